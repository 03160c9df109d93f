"""The original PixelCNN, sized for a CPU: the embedded Fashion-MNIST images, 16 levels."""

from gated_pixelcnn.configs import demo, schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults("pixelcnn")
    gated = demo.get_config()
    config.description = "PixelCNN (2016a) of Fashion-MNIST (embedded), in minutes"
    config.data.update(gated.data)
    config.model.update(
        features=36,
        layers=8,
        head_features=72,
    )
    config.train.update(gated.train)
    config.train.learning_rate = 1e-3  # gates allow more
    return config
