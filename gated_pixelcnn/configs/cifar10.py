"""CIFAR-10. The paper gives no sizes for it; these are in the range of its authors' other work."""

from gated_pixelcnn.configs import schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults()
    config.description = "CIFAR-10"
    config.expected = "3.03 (paper, test)"
    config.data.source = "tfds:cifar10"
    config.model.update(
        features=192,
        layers=15,
        kernel_size=5,
        head_features=768,
    )
    config.train.update(
        steps=200_000,
        batch_size=64,
        warmup_steps=1000,
        schedule="exponential",
        decay=0.99999,
        clip_norm=1.0,  # ours, as is the averaging of the weights
        ema_decay=0.9995,
        eval_every=2000,
        eval_batch_size=128,
    )
    return config
