"""MNIST and Fashion-MNIST in 256 levels."""

from gated_pixelcnn.configs.preset import Preset

mnist = Preset(
    "MNIST, 256 levels, by class",
    image_shape=(28, 28, 1),
    parameters=1_971_008,
    data=dict(source="tfds:mnist"),
    model=dict(features=64, layers=12, kernel_size=5, condition="label"),
    train=dict(
        steps=100_000,
        batch_size=64,
        warmup_steps=500,
        schedule="cosine",
        final_fraction=0.01,
        clip_norm=1.0,  # ours, as is the averaging of the weights
        eval_batch_size=256,
    ),
)
fashion_mnist = mnist.variant(
    "Fashion-MNIST, 256 levels, by class",
    parameters=1_971_008,
    data=dict(source="tfds:fashion_mnist"),
)
