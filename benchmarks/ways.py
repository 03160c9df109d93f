"""Seconds, steps and forward passes of every way to sample, at several batches.

    python benchmarks/ways.py
    python benchmarks/ways.py --workdir=runs/demo --batches=1,16   # of a run, whose steps are real

Methods: pixel by pixel, or rows as fixed points; with XLA and without. How many steps rows take
depends on the model: those of an untrained one tell nothing. All in one process, calls in turn,
medians.
"""

import sampling as table
from absl import flags

from gated_pixelcnn.errors import run

_BATCHES = flags.DEFINE_list("batches", ["1", "4", "16", "64", "256"], "Numbers of images.")
_METHODS = flags.DEFINE_list("methods", ["pixels", "rows"], "Of these the ways.")
_MOST = flags.DEFINE_float("most", 4.0, "A way slower than so many seconds is left out above.")

GRAY, COLOUR = table.GRAY, table.COLOUR
MODELS = {
    "gated_pixelcnn 8x32": (GRAY, {"features": 32, "layers": 8, "kernel_size": 3}),
    "gated_pixelcnn 12x64": (GRAY, {"features": 64, "layers": 12, "kernel_size": 5}),
    "gated_pixelcnn 12x96": (COLOUR, {"features": 96, "layers": 12, "kernel_size": 5}),
    "pixelcnn": (GRAY, {"features": 36, "layers": 8}),
    "row_lstm": (GRAY, {"features": 24, "layers": 4}),
    "diagonal_bilstm": (GRAY, {"features": 24, "layers": 3}),
    "pixelcnn_pp F=24": (COLOUR, {"features": 24, "blocks": 2}),
}


def models():
    """Name and model of each row."""
    import gated_pixelcnn as gpc
    from gated_pixelcnn.models.registry import FAMILIES

    if table.WORKDIR.value:
        model = gpc.load(table.WORKDIR.value)
        yield model.family, model
        return
    for name, (shape, arguments) in MODELS.items():
        if table.FAMILY.value in ("", name.split()[0]):
            model = FAMILIES[name.split()[0]](shape, **arguments)
            model.build()
            yield name, model


def main(_):
    """Prints a row per model and batch."""
    import machine
    import numpy as np
    import tensorflow as tf

    ways = [(method, jit) for method in _METHODS.value for jit in (True, False)]
    names = {way: way[0] + (", XLA" if way[1] else "") for way in ways}
    print(machine.describe())
    print(f"{'model':22}{'batch':>6}{'forward':>9}", end="")
    print("".join(f"{name:>14}" for name in names.values()) + f"{'steps of rows':>15}{'passes':>8}")
    for name, model in models():
        left = [way for way in ways if way[0] == "pixels" or model.draws_rows]
        for batch in map(int, _BATCHES.value):
            images = np.random.default_rng(0).integers(0, model.levels, (batch, *model.image_shape))
            images = tf.constant(images.astype(model.image_spec.dtype.as_numpy_dtype))
            label = None
            if model.condition_kind == "label":
                label = tf.constant(np.arange(batch, dtype=np.int32) % model.condition_size)
            forward = tf.function(lambda x, y, model=model: model(x, y), autograph=False)
            calls = {"forward": lambda: forward(images, label)}  # noqa: B023
            steps = "-"
            for method, jit in left:
                how = {"method": method, "jit": jit}
                calls[method, jit] = lambda how=how: model.sample(batch, label, **how)  # noqa: B023
                if method == "rows":
                    steps = str(steps_of(model, batch, label))
            took = machine.alternate(calls, table.REPEATS.value)
            row = f"{name:22}{batch:6}{took['forward']:8.3f}s"
            for way in ways:
                row += f"{took[way]:13.4f}s" if way in took else f"{'-':>14}"
            best = min(took[way] for way in left)
            left = [way for way in left if took[way] < _MOST.value]
            print(f"{row}{steps:>15}{best / took['forward']:8.2f}", flush=True)
            if not left:
                break


def steps_of(model, batch, label):
    """How many steps rows take."""
    import tensorflow as tf

    from gated_pixelcnn.sampling import UNCHANGED, draw_value, loop, noise

    def choose(parameters, colour, values, here):
        return draw_value(model.likelihood, parameters, colour, values, here["noise"], UNCHANGED)

    @tf.function(autograph=False)
    def steps():
        inputs = {"noise": noise(0, tf.range(batch), model)}
        return loop.run(model, label, inputs, choose, method="rows")[1]

    return int(steps())


if __name__ == "__main__":
    run(main)
