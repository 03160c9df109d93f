"""The Row LSTM of 2016a for CIFAR-10: 12 layers, h = 128."""

from gated_pixelcnn.configs import pixelcnn_cifar10, schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults("row_lstm")
    masked = pixelcnn_cifar10.get_config()
    config.description = "CIFAR-10, Row LSTM at the size of 2016a"
    config.expected = "3.07 (paper, test)"
    config.data.update(masked.data)
    config.model.update(
        features=129,  # the paper's 128 cannot be shared among three colours
        layers=12,
        head_features=masked.model.head_features,
    )
    config.train.update(masked.train)
    return config
