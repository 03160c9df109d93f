"""The same as autoencoder10_imagenet with a code of 100 numbers."""

from gated_pixelcnn.configs import autoencoder10_imagenet


def get_config():
    """Returns the configuration."""
    config = autoencoder10_imagenet.get_config()
    config.description = "Autoencoder of 32x32 patches of ImageNet 64x64: a patch from 100 numbers"
    config.model.code_size = 100
    return config
