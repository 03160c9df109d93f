"""Multi-scale: the embedded Fashion-MNIST images at 14x14, then at 28x28 given these, by class."""

from gated_pixelcnn.configs import demo, schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults("auxiliary")
    single = demo.get_config()
    config.description = "Multi-scale: Fashion-MNIST (embedded) at 14x14, then 28x28, by class"
    config.data.update(single.data)
    config.train.update(single.train)
    config.model.update(condition="label", embedding_features=16)
    for part in (config.model.prior, config.model.conditional):
        part.update(features=32, layers=6, kernel_size=3)
    config.model.prior.spatial_features = 16
    return config
