"""AGAVE of CIFAR-10 at the paper's sizes: λ = 12 gave its best bound.

The averaged weights and the number of steps are those of the autoencoder's paper, not its own.
"""

from gated_pixelcnn.configs import schema, vae_cifar10


def get_config():
    """Returns the configuration."""
    config = schema.defaults("agave")
    config.description = "CIFAR-10, AGAVE at the paper's sizes"
    config.expected = "2.92 (paper, test, 150 draws)"
    of_vae = vae_cifar10.get_config()
    config.data.update(of_vae.data)
    config.train.update(of_vae.train)
    config.model.update(stream_features=160, kl_weight=12.0, free_bits=0.0)
    return config
