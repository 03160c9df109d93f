"""The same as autoencoder10 with a code of 100 numbers."""

from gated_pixelcnn.configs import autoencoder10


def get_config():
    """Returns the configuration."""
    config = autoencoder10.get_config()
    config.description = "Autoencoder of Fashion-MNIST (embedded): an image from 100 numbers"
    config.model.code_size = 100
    return config
