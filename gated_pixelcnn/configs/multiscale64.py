"""ImageNet in two scales, 32x32 and then 64x64 given these, by class: the paper's appendix.

The paper does not tell the architecture; both parts are as its models of ImageNet.
"""

from gated_pixelcnn.configs import imagenet32, schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults("auxiliary")
    single = imagenet32.get_config()
    config.description = "Multi-scale: ImageNet at 32x32, then 64x64, by class"
    config.data.update(single.data)
    config.data.source = "tfds:imagenet_resized/64x64"  # with labels
    config.data.image_size = 64
    config.train.update(single.train)
    config.model.update(condition="label", embedding_features=64, spatial_features=64)
    keys = ("features", "layers", "kernel_size", "head_features")
    size = {key: single.model[key] for key in keys}
    config.model.prior.update(size)
    config.model.conditional.update(size)
    return config
