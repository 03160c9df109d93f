"""ImageNet 32x32 by class, the paper's headline: its model of ImageNet, given one of 1,000 labels.

`downsampled_imagenet`, whose bits/dim the papers report, has no labels. `imagenet_resized` has, but
was made smaller in another way, so that its bits/dim do not compare.
"""

from gated_pixelcnn.configs import imagenet32


def get_config():
    """Returns the configuration."""
    config = imagenet32.get_config()
    config.description = "ImageNet 32x32 by class, the paper's model"
    config.expected = ""
    config.data.source = "tfds:imagenet_resized/32x32"
    config.model.condition = "label"
    return config
