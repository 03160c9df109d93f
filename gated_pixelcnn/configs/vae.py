"""A variational autoencoder of the embedded Fashion-MNIST images, sized for a CPU."""

from gated_pixelcnn.configs import schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults("vae")
    config.description = "Variational autoencoder of Fashion-MNIST (embedded, 4,000 images)"
    config.model.update(
        features=32,
        blocks=2,
        latents=8,
        halvings=2,
    )
    config.train.update(
        steps=4000,
        batch_size=16,
        optimizer="adamax",
        learning_rate=0.002,
        eval_every=500,
        eval_batch_size=100,
        save_every=500,
        sample_every=1000,
    )
    return config
