"""PixelRNN with Row LSTM layers, sized for a CPU: the embedded Fashion-MNIST images, 16 levels."""

from gated_pixelcnn.configs import pixelcnn, schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults("row_lstm")
    masked = pixelcnn.get_config()
    config.description = "Row LSTM (2016a) of Fashion-MNIST (embedded), in minutes"
    config.data.update(masked.data)
    config.model.update(
        features=24,
        layers=4,
        head_features=48,
    )
    config.train.update(masked.train)
    return config
