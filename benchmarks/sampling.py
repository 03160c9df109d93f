"""Time of sampling a batch against one forward pass of it and against naive sampling.

    python benchmarks/sampling.py

All in one process, calls in turn, medians. Naive sampling takes a whole forward pass per value; its
time is the forward pass of the same process times their number (`--naive` runs it for real).
"""

from absl import flags

from gated_pixelcnn.errors import run

_REPEATS = flags.DEFINE_integer("repeats", 7, "Counted calls of each function.", lower_bound=1)
_NAIVE = flags.DEFINE_bool("naive", False, "Also run naive sampling, once: minutes.")

# Name, batch, image shape, arguments of the model.
SIZES = [
    ("28x28x1, 12 x 64, 5x5", 16, (28, 28, 1), {"features": 64, "layers": 12, "kernel_size": 5}),
    ("28x28x1, 12 x 64, 5x5", 1, (28, 28, 1), {"features": 64, "layers": 12, "kernel_size": 5}),
    ("32x32x3, 12 x 96, 5x5", 16, (32, 32, 3), {"features": 96, "layers": 12, "kernel_size": 5}),
    ("28x28x1, 8 x 32, 3x3", 16, (28, 28, 1), {"features": 32, "layers": 8, "kernel_size": 3}),
]


def main(_):
    """Prints a row per size."""
    import machine
    import numpy as np
    import tensorflow as tf

    from gated_pixelcnn import sampling
    from gated_pixelcnn.models.gated_pixelcnn import GatedPixelCNN

    print(machine.describe())
    print(f"{'model':24}{'batch':>6}{'forward':>9}{'sample':>9}{'no XLA':>9}{'naive':>9}", end="")
    print("   sample/forward  no XLA/forward  naive/sample")
    for name, batch, shape, arguments in SIZES:
        model = GatedPixelCNN(shape, **arguments)
        model.build()
        images = np.random.default_rng(0).integers(0, 256, (batch, *shape)).astype(np.uint8)
        images = tf.constant(images)
        forward = tf.function(lambda x, model=model: model(x), autograph=False)
        took = machine.alternate(
            {
                "forward": lambda: forward(images),  # noqa: B023
                "sample": lambda: model.sample(batch),  # noqa: B023
                "plain": lambda: model.sample(batch, jit=False),  # noqa: B023
            },
            _REPEATS.value,
        )
        passes = shape[0] * shape[1] * model.colours
        naive = took["forward"] * passes
        if _NAIVE.value:
            noise = sampling.noise(0, tf.range(batch), model)
            graph = tf.function(sampling.sample_naively, autograph=False)
            naive = machine.seconds(lambda: graph(model, noise))  # noqa: B023
        print(f"{name:24}{batch:6}{took['forward']:8.3f}s{took['sample']:8.3f}s", end="")
        print(f"{took['plain']:8.3f}s{naive:8.1f}s{took['sample'] / took['forward']:17.2f}", end="")
        print(f"{took['plain'] / took['forward']:16.2f}{naive / took['sample']:14.0f}", flush=True)


if __name__ == "__main__":
    run(main)
