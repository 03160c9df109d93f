"""Seconds, steps and forward passes of every way to sample, of every family, at several batches.

    python benchmarks/sampling.py                       # pixel by pixel
    python benchmarks/sampling.py --workdir=runs/demo   # of a run, by all methods
    python benchmarks/sampling.py --models=pixelcnn_pp_cifar10 --batches=16

Methods: pixel by pixel, or rows or whole images as fixed points; with XLA and without. How many
steps fixed points take depends on the model, and those of an untrained one tell nothing: by default
only a run is drawn from by these. All in one process, calls in turn, medians. Naive sampling takes
a whole forward pass per value; its time is the forward pass of the same process times their number
(`--naive` runs it for real, once).
"""

from absl import flags

from gated_pixelcnn.errors import UserError, nearest, run
from gated_pixelcnn.limits import METHODS

# Image and arguments of a model that is named after its family, or the preset of the same name.
GRAY, COLOUR = (28, 28, 1), (32, 32, 3)
MODELS = {
    "gated_pixelcnn 8x32": (GRAY, {"features": 32, "layers": 8, "kernel_size": 3}),
    "gated_pixelcnn 12x64": (GRAY, {"features": 64, "layers": 12, "kernel_size": 5}),
    "gated_pixelcnn 12x96": (COLOUR, {"features": 96, "layers": 12, "kernel_size": 5}),
    "pixelcnn": (GRAY, {"features": 36, "layers": 8}),
    "row_lstm": (GRAY, {"features": 24, "layers": 4}),
    "diagonal_bilstm": (GRAY, {"features": 24, "layers": 3}),
    "pixelcnn_pp F=24": (COLOUR, {"features": 24, "blocks": 2}),
    "pixelcnn_pp F=48": (COLOUR, {"features": 48, "blocks": 2}),
}
# Tens of seconds to compile, and more to draw: only where they are asked for.
LARGE = {
    "pixelcnn_cifar10": (COLOUR, None),
    "row_lstm_cifar10": (COLOUR, None),
    "diagonal_bilstm_cifar10": (COLOUR, None),
    "cifar10": (COLOUR, None),
    "pixelcnn_pp_cifar10": (COLOUR, None),
    "grayscale_cifar10": (COLOUR, None),
    "pyramid_cifar10": (COLOUR, None),
}

_MODELS = flags.DEFINE_list("models", list(MODELS), f"Which; also {', '.join(LARGE)}.")
_WORKDIR = flags.DEFINE_string("workdir", "", "Of a run, whose model is measured alone.")
_BATCHES = flags.DEFINE_list("batches", ["1", "4", "16", "64", "256"], "Numbers of images.")
_METHODS = flags.DEFINE_list("methods", [], "By default pixels; with --workdir all.")
_REPEATS = flags.DEFINE_integer("repeats", 3, "Counted calls of each function.", lower_bound=1)
_MOST = flags.DEFINE_float("most", 2.0, "A way slower than so many seconds is left out above.")
_NAIVE = flags.DEFINE_bool("naive", False, "Also run naive sampling, once: minutes.")


def model_of(name):
    """A model of the tables, built."""
    import gated_pixelcnn as gpc
    from gated_pixelcnn.models.registry import FAMILIES

    shape, arguments = (MODELS | LARGE)[name]
    if arguments is None:
        return gpc.build_model(gpc.get_config(name), shape, 256)
    model = FAMILIES[name.split()[0]](shape, **arguments)
    model.build()
    return model


def models():
    """Name and model of each part of the table."""
    import gated_pixelcnn as gpc

    if _WORKDIR.value:
        model = gpc.load(_WORKDIR.value)
        yield model.family, model
        return
    for name in _MODELS.value:
        yield name, model_of(name)


def main(_):
    """Prints a row per model and batch."""
    import machine

    methods = _METHODS.value or (METHODS if _WORKDIR.value else METHODS[:1])
    for kind, values, allowed in [
        ("model", _MODELS.value, MODELS | LARGE),
        ("method", methods, METHODS),
    ]:
        for value in values:
            if value not in allowed:
                raise UserError(f"there is no {kind} {value!r}{nearest(value, allowed)}")
    if not all(batch.isdecimal() and int(batch) for batch in _BATCHES.value):
        raise UserError(f"--batches must be numbers from 1 on, got {','.join(_BATCHES.value)}")
    ways = [(method, jit) for method in methods for jit in (True, False)]
    names = {way: way[0] + (", XLA" if way[1] else "") for way in ways}
    counted = [method for method in methods if method != "pixels"]
    print(machine.describe())
    print(f"{'model':24}{'batch':>6}{'forward':>9}", end="")
    print("".join(f"{name:>13}" for name in names.values()), end="")
    print("".join(f"{f'steps {method}':>13}" for method in counted), end="")
    print(f"{'passes':>8}{'naive':>10}{'naive/best':>12}")
    for name, model in models():
        left = [way for way in ways if way[0] in model.methods]
        if not left:
            print(f"{name:24}  draws by {' or '.join(model.methods)}")
            continue
        if model.condition_kind not in (None, "label"):
            raise UserError(f"{name} is conditioned on a {model.condition_kind}: there is none")
        for batch in map(int, _BATCHES.value):
            took, steps = measured(model, batch, left)
            best = min(took[way] for way in left)
            print(f"{name:24}{batch:6}{took['forward']:8.3f}s", end="")
            print("".join(f"{seconds(took.get(way)):>13}" for way in ways), end="")
            print("".join(f"{steps.get(method, '-'):>13}" for method in counted), end="")
            print(f"{best / took['forward']:8.2f}{seconds(took['naive']):>10}", end="")
            faster = f"{took['naive'] / best:.0f}" if took["naive"] else "-"
            print(f"{faster:>12}", flush=True)
            left = [way for way in left if took[way] < _MOST.value]
            if not left:
                break


def measured(model, batch, ways):
    """Seconds of a forward pass, of every way and of naive sampling; and the steps of methods."""
    import machine
    import numpy as np
    import tensorflow as tf

    from gated_pixelcnn import sampling
    from gated_pixelcnn.models.autoregressive_model import AutoregressiveModel

    images = np.random.default_rng(0).integers(0, model.levels, (batch, *model.image_shape))
    images = tf.constant(images.astype(model.image_spec.dtype.as_numpy_dtype))
    label = None
    if model.condition_kind == "label":
        label = tf.constant(np.arange(batch, dtype=np.int32) % model.condition_size)
    forward = tf.function(model, autograph=False)
    calls = {"forward": lambda: forward(images, label)}
    for method, jit in ways:
        how = {"method": method, "jit": jit}
        calls[method, jit] = lambda how=how: model.sample(batch, label, **how)
    took = machine.alternate(calls, _REPEATS.value)
    took["naive"] = None
    if not isinstance(model, AutoregressiveModel):  # its stages have steps of their own
        return took, {}
    took["naive"] = took["forward"] * np.prod(model.image_shape[:2]) * model.colours
    if _NAIVE.value:
        noise = sampling.noise(0, tf.range(batch), model)
        graph = tf.function(sampling.sample_naively, autograph=False)
        took["naive"] = machine.seconds(lambda: graph(model, noise, label))
    methods = {method for method, _ in ways} - {"pixels"}
    return took, {method: steps_of(model, batch, label, method) for method in methods}


def steps_of(model, batch, label, method):
    """How many steps a method takes."""
    import tensorflow as tf

    from gated_pixelcnn.sampling import UNCHANGED, draw_value, loop, noise

    def choose(parameters, colour, values, here):
        return draw_value(model.likelihood, parameters, colour, values, here["noise"], UNCHANGED)

    @tf.function(autograph=False)
    def steps():
        inputs = {"noise": noise(0, tf.range(batch), model)}
        return loop.run(model, label, inputs, choose, method=method)[1]

    return int(steps())


def seconds(number):
    """A number as seconds, or a dash for None."""
    return "-" if number is None else f"{number:.4f}s" if number < 10 else f"{number:.1f}s"


if __name__ == "__main__":
    run(main)
