"""Arithmetic of a training step against the float32 peak of a matrix product on this machine.

    python benchmarks/training.py
    taskset -c 0 python benchmarks/training.py    # of one core

A step is forward, backward and update. A kernel of k rows, n columns, i inputs and o outputs takes
2·k·n·i·o operations at every position forward and twice that backward; nothing else is counted.
"""

from absl import flags

from gated_pixelcnn.errors import run

_REPEATS = flags.DEFINE_integer("repeats", 7, "Counted calls of each function.", lower_bound=1)

# Batch, image shape, levels, layers, features, kernel size.
SIZES = [
    (16, (28, 28, 1), 2, 12, 16, 5),
    (16, (28, 28, 1), 2, 10, 16, 7),
    (16, (28, 28, 1), 2, 10, 24, 5),
    (16, (28, 28, 1), 2, 6, 64, 5),
    (16, (28, 28, 1), 256, 8, 32, 3),
    (16, (28, 28, 1), 256, 12, 64, 5),
    (8, (32, 32, 3), 256, 12, 96, 5),
    (8, (32, 32, 3), 256, 4, 192, 5),
]


def operations(model):
    """Floating-point operations of one step for one image."""
    height, width, _ = model.image_shape
    kernels = [weight for weight in model.trainable_variables if len(weight.shape) > 1]
    return 6 * height * width * sum(int(weight.value.shape.num_elements()) for weight in kernels)


def main(_):
    """Prints a row per size."""
    import machine
    import numpy as np
    import tensorflow as tf

    from gated_pixelcnn.configs.training import TrainConfig
    from gated_pixelcnn.models.families.gated_pixelcnn import GatedPixelCNN
    from gated_pixelcnn.training.state import TrainState

    print(machine.describe())
    size = 2048
    square = tf.random.normal((size, size))
    product = tf.function(lambda: tf.matmul(square, square))
    print(f"{'images':14}{'model':14}{'batch':>6}{'parameters':>12}{'step':>9}", end="")
    print(f"{'images/s':>10}{'GFLOP/s':>9}{'peak':>9}{'share':>7}")
    for batch, shape, levels, layers, features, n in SIZES:
        likelihood = "bernoulli" if levels == 2 else "categorical"
        model = GatedPixelCNN(shape, levels, features, layers, n, likelihood=likelihood)
        model.build()
        settings = TrainConfig(batch_size=batch)
        state = TrainState(model, settings, 0, tf.distribute.get_strategy())
        images = np.random.default_rng(0).integers(0, levels, (batch, *shape)).astype(np.uint8)
        images = (tf.constant(images),)
        took = machine.alternate(
            {
                "product": product,
                "step": lambda: state.make_step(images),  # noqa: B023
            },
            _REPEATS.value,
        )
        peak = 2 * size**3 / took["product"] / 1e9
        rate = operations(model) * batch / took["step"] / 1e9
        kind = f"{'x'.join(map(str, shape))}, {levels}"
        print(f"{kind:14}{f'{layers} x {features}, {n}x{n}':14}{batch:6}", end="")
        print(f"{model.count_params():12,}{took['step']:8.3f}s", end="")
        print(f"{batch / took['step']:10.1f}{rate:9.0f}{peak:9.0f}{rate / peak:7.2f}", flush=True)


if __name__ == "__main__":
    run(main)
