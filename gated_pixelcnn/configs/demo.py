"""The embedded Fashion-MNIST images, 16 levels, conditioned on the class: minutes on a CPU."""

from gated_pixelcnn.configs import schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults()
    config.description = "Fashion-MNIST (embedded, 4,000 images), by class, in minutes"
    config.data.levels = 16
    config.model.update(
        features=32,
        layers=6,
        kernel_size=3,
        condition="label",
        spatial_features=16,  # m(h): where a class has its shapes, which few layers cannot see
    )
    config.train.update(
        steps=2000,
        minutes=5.0,
        batch_size=16,
        learning_rate=0.003,
        warmup_steps=100,
        schedule="cosine",
        final_fraction=0.02,
        eval_every=500,
        eval_batch_size=100,
        save_every=500,
        sample_every=500,
        samples=40,
    )
    return config
