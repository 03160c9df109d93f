"""32x32 colour tiles of the embedded pictures: colour images without a download."""

from gated_pixelcnn.configs import schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults()
    config.description = "32x32 colour tiles (embedded)"
    config.data.source = "embedded:tiles32"
    config.data.flips = True
    config.model.update(
        features=48,
        layers=8,
        kernel_size=3,
        likelihood="mixture",
    )
    config.train.update(
        steps=20_000,
        batch_size=16,
        warmup_steps=200,
        schedule="cosine",
        final_fraction=0.02,
        eval_every=500,
        save_every=500,
        sample_every=2000,
    )
    return config
