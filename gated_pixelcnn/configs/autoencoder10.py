"""PixelCNN autoencoder of the embedded Fashion-MNIST images with a code of 10 numbers."""

from gated_pixelcnn.configs import demo


def get_config():
    """Returns the configuration."""
    config = demo.get_config()
    config.description = "Autoencoder of Fashion-MNIST (embedded): an image from 10 numbers"
    config.model.update(
        condition="image",
        code_size=10,
        encoder_features=32,
    )
    config.train.samples = 10
    return config
