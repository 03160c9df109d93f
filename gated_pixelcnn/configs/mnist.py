"""MNIST in 256 levels, conditioned on the digit."""

from gated_pixelcnn.configs import schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults()
    config.description = "MNIST, 256 levels, by class"
    config.data.source = "tfds:mnist"
    config.model.update(
        features=64,
        layers=12,
        kernel_size=5,
        condition="label",
    )
    config.train.update(
        steps=100_000,
        batch_size=64,
        warmup_steps=500,
        schedule="cosine",
        final_fraction=0.01,
        clip_norm=1.0,  # ours, as is the averaging of the weights
        eval_batch_size=256,
    )
    return config
