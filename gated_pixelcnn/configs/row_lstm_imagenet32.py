"""The Row LSTM of 2016a for ImageNet 32×32: 12 layers, h = 384."""

from gated_pixelcnn.configs import imagenet32, pixelcnn_cifar10, schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults("row_lstm")
    masked = pixelcnn_cifar10.get_config()
    config.description = "ImageNet 32x32, Row LSTM at the size of 2016a"
    config.expected = "3.86 (paper, validation)"
    config.data.update(imagenet32.get_config().data)
    config.model.update(
        features=384,
        layers=12,
        head_features=masked.model.head_features,
    )
    config.train.update(masked.train, batch_size=32)
    return config
