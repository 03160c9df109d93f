"""binarized_mnist in a size for an hour on a CPU core."""

from gated_pixelcnn.configs import binarized_mnist


def get_config():
    """Returns the configuration."""
    config = binarized_mnist.get_config()
    config.description = "static binarized MNIST for a CPU"
    config.expected = ""
    config.model.update(
        features=16,
        layers=10,
        kernel_size=7,  # at equal time it gains more than more features do: docs/results.md
    )
    config.train.update(
        steps=25_000,
        minutes=60.0,
        batch_size=16,
        learning_rate=0.004,
        warmup_steps=100,
        eval_images=2000,
        eval_every=2000,
        save_every=1000,
        sample_every=5000,
    )
    return config
