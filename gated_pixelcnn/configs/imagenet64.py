"""ImageNet 64x64: the model of ImageNet 32x32; the paper gives no other sizes."""

from gated_pixelcnn.configs import imagenet32


def get_config():
    """Returns the configuration."""
    config = imagenet32.get_config()
    config.description = "ImageNet 64x64, the paper's model"
    config.expected = "3.57 (paper, validation)"
    config.data.source = "tfds:downsampled_imagenet/64x64"
    config.data.image_size = 64  # as they are; not known before the download
    return config
