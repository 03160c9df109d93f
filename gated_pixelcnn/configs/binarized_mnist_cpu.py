"""binarized_mnist in a size for 2 CPU cores and an hour."""

from gated_pixelcnn.configs import binarized_mnist


def get_config():
    """Returns the configuration."""
    config = binarized_mnist.get_config()
    config.description = "static binarized MNIST for a CPU"
    config.expected = ""
    config.model.update(
        features=32,
        layers=8,
        kernel_size=3,
    )
    config.train.update(
        steps=10_000,
        minutes=60.0,
        batch_size=32,
        learning_rate=0.003,
        warmup_steps=100,
        eval_images=2000,
        eval_every=500,
        save_every=500,
        sample_every=2000,
    )
    return config
