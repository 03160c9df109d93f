"""PixelCNN autoencoder of 32x32 patches of ImageNet, at the size of the paper's models of ImageNet.

The paper gives neither the size of the images that the patches are of nor that of the decoder.
"""

from gated_pixelcnn.configs import imagenet32


def get_config():
    """Returns the configuration."""
    config = imagenet32.get_config()
    config.description = "Autoencoder of 32x32 patches of ImageNet 64x64: a patch from 10 numbers"
    config.expected = ""
    config.data.source = "tfds:imagenet_resized/64x64"
    config.data.image_size = 64  # as they are; not known before the download
    config.data.patch = 32
    config.model.update(condition="image", code_size=10)
    config.train.samples = 10
    return config
