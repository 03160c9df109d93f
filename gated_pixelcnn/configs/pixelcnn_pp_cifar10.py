"""PixelCNN++ for CIFAR-10 as in the authors' code: F = 160, batches of 8 × 16 images."""

from gated_pixelcnn.configs import schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults("pixelcnn_pp")
    config.description = "CIFAR-10, PixelCNN++ at the size of the authors' code"
    config.expected = "2.92 (paper, test)"
    config.data.source = "tfds:cifar10"
    config.data.validation = 0  # all 50,000 images are trained on; the test images choose weights
    config.train.update(
        steps=1_500_000,
        batch_size=128,
        beta_1=0.95,
        beta_2=0.9995,
        schedule="exponential",
        decay=0.999995,
        clip_norm=0.0,  # as in the code
        ema_decay=0.9995,
        eval_every=5000,
        save_every=2000,
        sample_every=10_000,
    )
    return config
