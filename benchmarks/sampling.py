"""Time of sampling a batch against one forward pass of it and against naive sampling.

    python benchmarks/sampling.py
    python benchmarks/sampling.py --workdir=runs/supertux --batch=16   # of a run

All in one process, calls in turn, medians. Naive sampling takes a whole forward pass per value; its
time is the forward pass of the same process times their number (`--naive` runs it for real).
"""

from absl import flags

from gated_pixelcnn.errors import run

REPEATS = flags.DEFINE_integer("repeats", 7, "Counted calls of each function.", lower_bound=1)
FAMILY = flags.DEFINE_string("family", "", "Only the rows of this family.")
WORKDIR = flags.DEFINE_string("workdir", "", "Of a run, whose model is measured alone.")
_BATCH = flags.DEFINE_integer("batch", 16, "Images at once, of --workdir.", lower_bound=1)
_NAIVE = flags.DEFINE_bool("naive", False, "Also run naive sampling, once: minutes.")

# Family, batch, image shape, arguments of the model or a preset that has them.
GRAY, COLOUR = (28, 28, 1), (32, 32, 3)
SIZES = [
    ("gated_pixelcnn", 16, GRAY, {"features": 64, "layers": 12, "kernel_size": 5}),
    ("gated_pixelcnn", 1, GRAY, {"features": 64, "layers": 12, "kernel_size": 5}),
    ("gated_pixelcnn", 16, COLOUR, {"features": 96, "layers": 12, "kernel_size": 5}),
    ("gated_pixelcnn", 16, GRAY, {"features": 32, "layers": 8, "kernel_size": 3}),
    ("pixelcnn", 16, GRAY, {"features": 36, "layers": 8}),
    ("pixelcnn", 16, COLOUR, {"features": 129, "layers": 15, "head_features": 1026}),
    ("row_lstm", 16, GRAY, {"features": 24, "layers": 4}),
    ("row_lstm", 16, COLOUR, {"features": 129, "layers": 12, "head_features": 1026}),
    ("diagonal_bilstm", 16, GRAY, {"features": 24, "layers": 3}),
    ("diagonal_bilstm", 16, COLOUR, {"features": 129, "layers": 12, "head_features": 1026}),
    ("pixelcnn_pp", 16, COLOUR, {"features": 48, "blocks": 2}),
    ("pixelcnn_pp", 16, COLOUR, "pixelcnn_pp_cifar10"),
    ("auxiliary", 16, COLOUR, "grayscale_cifar10"),
    ("auxiliary", 16, COLOUR, "pyramid_cifar10"),
]


def models():
    """Family, name, batch and model of each row."""
    import gated_pixelcnn as gpc
    from gated_pixelcnn.models.registry import FAMILIES

    if WORKDIR.value:
        model = gpc.load(WORKDIR.value)
        yield model.family, model.family, _BATCH.value, model
        return
    for family, batch, shape, arguments in SIZES:
        if FAMILY.value not in ("", family):
            continue
        if isinstance(arguments, str):
            yield family, arguments, batch, gpc.build_model(gpc.get_config(arguments), shape, 256)
        else:
            model = FAMILIES[family](shape, **arguments)
            model.build()
            yield family, family, batch, model


def main(_):
    """Prints a row per size."""
    import machine
    import numpy as np
    import tensorflow as tf

    from gated_pixelcnn import sampling

    print(machine.describe())
    print(f"{'model, image, parameters':41}{'batch':>6}{'forward':>9}{'sample':>9}", end="")
    print(f"{'no XLA':>9}{'naive':>9}", end="")
    print("   sample/forward  no XLA/forward  naive/sample")
    for family, preset, batch, model in models():
        shape = model.image_shape
        images = np.random.default_rng(0).integers(0, model.levels, (batch, *shape))
        images = tf.constant(images.astype(model.image_spec.dtype.as_numpy_dtype))
        label = None
        if model.condition_kind == "label":
            label = np.arange(batch) % model.condition_size
        forward = tf.function(lambda x, y, model=model: model(x, y), autograph=False)
        took = machine.alternate(
            {
                "forward": lambda: forward(images, label),  # noqa: B023
                "sample": lambda: model.sample(batch, label),  # noqa: B023
                "plain": lambda: model.sample(batch, label, jit=False),  # noqa: B023
            },
            REPEATS.value,
        )
        exact = not model.is_lower_bound  # else nobody would sample naively
        passes = shape[0] * shape[1] * getattr(model, "colours", shape[-1]) if exact else np.nan
        naive = took["forward"] * passes
        if _NAIVE.value and exact:
            noise = sampling.noise(0, tf.range(batch), model)
            graph = tf.function(sampling.sample_naively, autograph=False)
            naive = machine.seconds(lambda: graph(model, noise))  # noqa: B023
        seconds, faster = (f"{naive:.1f}s", f"{naive / took['sample']:.0f}") if exact else "--"
        name = family if exact else preset
        name = f"{name} {'x'.join(map(str, shape))} {model.count_params():,}"
        print(f"{name:41}{batch:6}{took['forward']:8.3f}s{took['sample']:8.3f}s", end="")
        print(f"{took['plain']:8.3f}s{seconds:>9}{took['sample'] / took['forward']:17.2f}", end="")
        print(f"{took['plain'] / took['forward']:16.2f}{faster:>14}", flush=True)


if __name__ == "__main__":
    run(main)
