"""The Row LSTM of 2016a for ImageNet 64×64: 4 layers, h = 512, no residual connections."""

from gated_pixelcnn.configs import imagenet64, pixelcnn_cifar10, schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults("row_lstm")
    masked = pixelcnn_cifar10.get_config()
    config.description = "ImageNet 64x64, Row LSTM at the size of 2016a"
    config.expected = "3.63 (paper, validation)"
    config.data.update(imagenet64.get_config().data)
    config.model.update(
        features=513,  # the paper's 512 cannot be shared among three colours
        layers=4,
        head_features=masked.model.head_features,
        residual=False,
    )
    config.train.update(masked.train, batch_size=32)
    return config
