"""scikit-learn's 8x8 digits: seconds on a CPU, for tests and first steps."""

from gated_pixelcnn.configs import schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults()
    config.description = "8x8 digits (embedded), in seconds"
    config.data.source = "embedded:digits8"
    config.data.levels = 16
    config.model.update(
        features=16,
        layers=3,
        first_kernel_size=5,
        condition="label",
    )
    config.train.update(
        steps=1000,
        batch_size=32,
        learning_rate=0.003,
        warmup_steps=50,
        schedule="cosine",
        eval_every=250,
        save_every=250,
        sample_every=500,
        samples=40,
    )
    return config
