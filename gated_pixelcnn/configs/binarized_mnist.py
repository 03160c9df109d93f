"""Static binarized MNIST, the set of the published nats per image."""

from gated_pixelcnn.configs import schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults()
    config.description = "static binarized MNIST (50k/10k/10k)"
    config.data.source = "tfds:binarized_mnist"
    config.data.levels = 2
    config.data.validation = 0  # an npz file's x_test is the validation set of this data set
    config.model.update(
        features=64,
        layers=12,
        kernel_size=5,
        likelihood="bernoulli",
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
