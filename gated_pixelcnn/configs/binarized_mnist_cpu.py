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
        steps=20_000,
        minutes=60.0,
        batch_size=16,
        learning_rate=0.002,
        warmup_steps=200,
        eval_images=2000,
        eval_every=2000,
        save_every=1000,
        sample_every=5000,
    )
    return config
