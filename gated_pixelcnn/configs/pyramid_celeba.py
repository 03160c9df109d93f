"""Pyramid PixelCNN for CelebA at the paper's sizes: 8×8, 16×16, … 128×128, with its crop.

Training, validation and test images are those of TFDS, the published split; the paper's is not
known to us. Its five stages were trained apart, here together: see `model.train_only`.
"""

from gated_pixelcnn.configs import pyramid, pyramid_cifar10


def get_config():
    """Returns the configuration."""
    config = pyramid.of_halvings(4, features=100, embedding_blocks=3, dropout=0.5)
    config.description = "CelebA, Pyramid PixelCNN at the paper's sizes: 8x8, 16x16, … 128x128"
    config.expected = "1.52 (paper, the last stage)"
    config.data.source = "tfds:celeb_a"
    config.data.crop = "50,40,25,25"  # of 218×178
    config.data.labels = False
    config.train.update(pyramid_cifar10.get_config().train)
    config.train.steps = 610_388  # 60 epochs of 162,770 images
    return config
