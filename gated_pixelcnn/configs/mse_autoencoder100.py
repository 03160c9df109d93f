"""The baseline of autoencoder100: its encoder with a decoder trained for the squared error."""

from gated_pixelcnn.configs import autoencoder100
from gated_pixelcnn.configs.mse_autoencoder10 import baseline_of


def get_config():
    """Returns the configuration."""
    return baseline_of(autoencoder100.get_config())
