"""ImageNet 32x32 as in the paper: 20 layers, 384 features, 5x5, batch 128, 200,000 steps."""

from gated_pixelcnn.configs import schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults()
    config.description = "ImageNet 32x32, the paper's model"
    config.expected = "3.83 (paper, validation)"
    config.data.source = "tfds:downsampled_imagenet/32x32"
    config.data.image_size = 32  # as they are; not known before the download
    config.model.update(
        features=384,
        layers=20,
        kernel_size=5,
        head_features=768,
    )
    config.train.update(
        steps=200_000,
        batch_size=128,
        warmup_steps=1000,
        schedule="exponential",
        decay=0.99999,
        clip_norm=1.0,  # ours, as is the averaging of the weights
        ema_decay=0.9995,
        eval_every=5000,
        eval_images=10_000,
        save_every=2000,
        sample_every=10_000,
    )
    return config
