"""Grayscale PixelCNN for CIFAR-10 at the paper's sizes: 16 grays, then the colours.

Both parts have the 200 epochs that the paper has for the colours. Its prior has 30: train this
apart by --config.model.train_only=prior --config.train.steps=23438, and the colours by
--config.model.train_only=conditional.
"""

from gated_pixelcnn.configs import schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults("auxiliary", {"prior": "pixelcnn_pp", "conditional": "pixelcnn_pp"})
    config.description = "CIFAR-10, Grayscale PixelCNN at the paper's sizes"
    config.expected = "2.98 (paper, test, bound)"
    config.data.source = "tfds:cifar10"
    config.data.validation = 0  # all 50,000 images are trained on; the test images choose weights
    config.data.flips = True
    config.model.update(
        transform="gray",
        embedding="resnet",
        embedding_features=160,
        embedding_blocks=4,
        embedding_scales=3,
    )
    config.model.prior.likelihood = "categorical"
    config.model.conditional.blocks = 4  # the paper's "24 blocks instead of 36"
    config.train.update(
        steps=156_250,  # 200 epochs
        batch_size=64,
        schedule="exponential",
        decay=0.99999,
        clip_norm=0.0,  # not in the paper
        ema_decay=0.9995,  # as in PixelCNN++
        eval_every=5000,
        save_every=2000,
        sample_every=10_000,
    )
    return config
