"""Pyramid PixelCNN for CIFAR-10 at the paper's sizes: 8×8, 16×16 and then 32×32."""

from gated_pixelcnn.configs import pyramid


def get_config():
    """Returns the configuration."""
    config = pyramid.of_halvings(2, features=100, embedding_blocks=3, dropout=0.5)
    config.description = "CIFAR-10, Pyramid PixelCNN at the paper's sizes: 8x8, 16x16, 32x32"
    config.expected = "3.32 (paper, test, bound)"
    config.data.source = "tfds:cifar10"
    config.data.validation = 0  # all 50,000 images are trained on; the test images choose weights
    config.train.update(
        steps=187_500,  # 60 epochs
        batch_size=16,
        schedule="exponential",
        decay=0.999995,
        clip_norm=0.0,  # not in the paper
        ema_decay=0.9995,  # as in PixelCNN++
        eval_every=5000,
        save_every=2000,
        sample_every=10_000,
    )
    return config
