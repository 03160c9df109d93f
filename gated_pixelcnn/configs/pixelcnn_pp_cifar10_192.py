"""PixelCNN++ for CIFAR-10 with the 192 features that the paper has, and its code has not."""

from gated_pixelcnn.configs import pixelcnn_pp_cifar10


def get_config():
    """Returns the configuration."""
    config = pixelcnn_pp_cifar10.get_config()
    config.description = "CIFAR-10, PixelCNN++ at the size of the paper"
    config.model.features = 192
    return config
