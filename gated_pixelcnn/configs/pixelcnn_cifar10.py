"""The PixelCNN of "Pixel Recurrent Neural Networks" for CIFAR-10: 15 layers, h = 128."""

from gated_pixelcnn.configs import schema


def get_config():
    """Returns the configuration."""
    config = schema.defaults("pixelcnn")
    config.description = "CIFAR-10, PixelCNN at the size of 2016a"
    config.expected = "3.14 (paper, test)"
    config.data.source = "tfds:cifar10"
    config.model.update(
        features=129,  # the paper's 128 cannot be shared among three colours
        layers=15,
        head_features=1026,  # 1024, likewise
    )
    config.train.update(
        steps=500_000,
        batch_size=16,
        optimizer="rmsprop",
        learning_rate=1e-3,
        schedule="exponential",
        decay=0.99999,
        clip_norm=1.0,  # ours, as is the averaging of the weights
        eval_every=5000,
        save_every=2000,
        sample_every=10_000,
    )
    return config
