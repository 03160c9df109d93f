"""Fashion-MNIST in 256 levels, conditioned on the class."""

from gated_pixelcnn.configs import mnist


def get_config():
    """Returns the configuration."""
    config = mnist.get_config()
    config.description = "Fashion-MNIST, 256 levels, by class"
    config.expected = ""
    config.data.source = "tfds:fashion_mnist"
    return config
