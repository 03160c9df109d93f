"""The variational autoencoder of CIFAR-10 of Kingma et al. (2016): 20 blocks at 16×16."""

from gated_pixelcnn.configs import schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults("vae")
    config.description = "CIFAR-10, variational autoencoder with inverse autoregressive flow"
    config.expected = "3.11 (paper, test, 10,000 draws)"
    config.data.source = "tfds:cifar10"
    config.data.validation = 0  # all 50,000 images are trained on; the test images choose weights
    config.train.update(
        steps=1_000_000,
        batch_size=16,
        optimizer="adamax",
        learning_rate=0.002,
        clip_norm=0.0,  # as in the code
        ema_decay=0.999,
        eval_every=5000,
        save_every=2000,
        sample_every=10_000,
    )
    return config
