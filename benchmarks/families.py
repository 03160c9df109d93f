"""Every family with the same budget on the same images, beside the figures of the papers.

    python benchmarks/families.py --data=binarized_mnist --workdir=runs/families --minutes=40
    python benchmarks/families.py --data=colour32 --workdir=runs/families --minutes=20

(`--source=npz:file.npz` for other images of the same shape.) Gated PixelCNN and the families of
2016a have seven layers and, for each data set, about as many parameters; for binarized MNIST those
of the Diagonal BiLSTM with h = 16, the size of 2016a. Gated PixelCNN has its skips, the others have
none, as by default. PixelCNN++, Grayscale and Pyramid PixelCNN (of colour images) are those of the
presets of that name with fewer features, but more parameters, many of them at lower resolutions.

A few steps tell the speed and with it how many steps the minutes allow, so that the learning rate
of each falls to the end of its own run; compilation and validation come on top, and the table has
the minutes that it took. Then: nats and bits/dim of all held-out images (an npz file's x_test), the
terms of a bound, and the time of 16 samples against that of a forward pass of 16 images.

A family whose row is in the work directory is not trained again; an interrupted training goes on.
`--families` makes some of the rows, and the table has all that there are.
"""

import json
import math
import os
import statistics
import time
from pathlib import Path

from absl import flags

from gated_pixelcnn.errors import run

# By data set: what differs from the defaults, h of each family, and test results of the papers.
DATA = {
    "binarized_mnist": {
        # An npz file's x_test is held out.
        "data": {"source": "tfds:binarized_mnist", "levels": 2, "validation": 0},
        "model": {"likelihood": "bernoulli", "head_features": 32},
        "features": {
            "gated_pixelcnn": 21,
            "pixelcnn": 32,
            "row_lstm": 17,
            "diagonal_bilstm": 16,
        },
        "papers": {
            "pixelcnn": "81.30 nats",
            "row_lstm": "80.54 nats",
            "diagonal_bilstm": "79.20 nats",
        },
    },
    "colour32": {
        "data": {"source": "embedded:tiles32", "validation": 0},
        "model": {"head_features": 96},
        "features": {
            "gated_pixelcnn": 21,
            "pixelcnn": 33,
            "row_lstm": 18,
            "diagonal_bilstm": 18,
            "pixelcnn_pp": 16,
            "grayscale": 12,
            "pyramid": 12,
        },
        "papers": {
            "gated_pixelcnn": "CIFAR-10 3.03",
            "pixelcnn": "CIFAR-10 3.14",
            "row_lstm": "CIFAR-10 3.07",
            "diagonal_bilstm": "CIFAR-10 3.00",
            "pixelcnn_pp": "CIFAR-10 2.92",
            "grayscale": "CIFAR-10 2.98",
            "pyramid": "CIFAR-10 3.32",
        },
    },
}
# Trials of 600 steps at two or three rates each: the best one, or a little less for longer runs.
# The Diagonal BiLSTM was not tried and has that of the Row LSTM; nor were the last three.
LEARNING_RATES = {
    "gated_pixelcnn": 0.006,
    "pixelcnn": 0.005,
    "row_lstm": 0.006,
    "diagonal_bilstm": 0.006,
    "pixelcnn_pp": 0.003,
    "grayscale": 0.003,
    "pyramid": 0.003,
}
PRESETS = ("pixelcnn_pp", "grayscale", "pyramid")  # what these families are made of
TRAINING = {
    "batch_size": 16,
    "warmup_steps": 200,
    "schedule": "cosine",
    "final_fraction": 0.01,
    "eval_images": 1000,
    "eval_batch_size": 100,
    "save_every": 200,
    "samples": 0,
}
COLUMNS = {
    "family": "family",
    "parameters": "parameters",
    "minutes": "minutes",
    "steps": "steps",
    "rate": "images/s",
    "nats": "nats",
    "bits": "bits/dim",
    "paper": "paper",
    "sample": "16 samples",
    "ratio": "forward passes",
}

_DATA = flags.DEFINE_enum("data", "binarized_mnist", list(DATA), "The images.")
_SOURCE = flags.DEFINE_string("source", "", "data.source, where it is not that of --data.")
_WORKDIR = flags.DEFINE_string("workdir", None, "For runs and rows.", required=True)
_MINUTES = flags.DEFINE_float("minutes", 40, "Of each training.", lower_bound=0.1)
_FAMILIES = flags.DEFINE_list("families", [], "Which rows to make; by default all of --data.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Counted samplings.", lower_bound=1)


def configuration(family, data, source):
    """The configuration of one training, but for its number of steps."""
    import gated_pixelcnn as gpc
    from gated_pixelcnn.configs import base

    chosen = DATA[data]
    features = chosen["features"][family]
    if family in PRESETS:
        config = gpc.get_config(family)
        config.data.update(base.get_config().data)
        config.train.update(base.get_config().train)
        set_features(config.model, features)
    else:
        config = base.get_config(family)
        # 3×3 is the only size that 2016a has; a Diagonal BiLSTM has none.
        small = {"kernel_size": 3} if "kernel_size" in config.model else {}
        config.model.update(chosen["model"], layers=7, features=features, **small)
    config.data.update(chosen["data"])
    config.data.source = source
    config.train.update(TRAINING, learning_rate=LEARNING_RATES[family])
    return config


def set_features(model, features):
    """Gives all parts of a model so many features."""
    for key in model:
        if key in ("features", "embedding_features"):
            model[key] = features
        elif key in ("prior", "conditional"):
            set_features(model[key], features)


def steps_of(config, dataset, minutes):
    """How many steps the minutes allow, by the speed of the first ones."""
    import tensorflow as tf

    from gated_pixelcnn import building
    from gated_pixelcnn.training.config import TrainConfig
    from gated_pixelcnn.training.state import TrainState

    model = building.build_model(config, dataset.image_shape, dataset.levels)
    state = TrainState(model, TrainConfig(**config.train), 0, tf.distribute.get_strategy())
    batches = dataset.train.train_batches(config.train.batch_size, 0)
    times = []
    for images, *_ in batches.take(23):
        start = time.perf_counter()
        float(state.make_step((images,))[0])
        times.append(time.perf_counter() - start)
    return max(1, round(60 * minutes / (sum(times[3:]) / len(times[3:]))))


def images_per_second(directory):
    """The median over the reports of a run, without compilation, validation and checkpoints.

    NaN for a trial that was too short for a report.
    """
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    reports = [json.loads(line).get("train_images_per_second") for line in lines]
    rates = [rate for rate in reports if rate]
    return statistics.median(rates) if rates else math.nan


def make_row(family, data, source, directory, minutes, repeats):
    """Trains, evaluates and samples; returns the row of the table."""
    import machine
    import numpy as np
    import tensorflow as tf

    import gated_pixelcnn as gpc
    from gated_pixelcnn.data import DataConfig, load
    from gated_pixelcnn.training.run_directory import RunDirectory

    config = configuration(family, data, source)
    dataset = load(DataConfig(**config.data))
    if (directory / "config.json").exists():
        steps = RunDirectory(directory).read_config()["config"]["train"]["steps"]
    else:
        steps = steps_of(config, dataset, minutes)
    config.train.update(steps=steps, eval_every=max(1, steps // 8))
    trained = gpc.train(config, directory)
    if trained.stopped_by != "steps":
        raise gpc.UserError(f"stopped by {trained.stopped_by}; the same command goes on")

    model = gpc.load(directory, checkpoint="latest")
    held_out = np.concatenate([np.asarray(b[0]) for b in dataset.validation.eval_batches(100)])
    found = gpc.evaluate(model, held_out, batch_size=100)
    images = tf.constant(held_out[:16])
    forward = tf.function(lambda x: model(x), autograph=False)
    took = machine.alternate(
        {"forward": lambda: forward(images), "sample": lambda: model.sample(16)}, repeats
    )
    error = found["log_probs"].std() / np.sqrt(len(held_out))
    return {
        "family": family,
        "parameters": f"{model.count_params():,}",
        "minutes": f"{trained.seconds / 60:.1f}",
        "steps": f"{trained.step:,}",
        "rate": f"{images_per_second(directory):.0f}",
        "nats": f"{found['nats']:.2f} ± {error:.2f}",
        "bits": f"{found['bits_per_dim']:.4f}",
        "terms": ", ".join(f"{name} {bits:.4f}" for name, bits in (found["terms"] or {}).items()),
        "paper": DATA[data]["papers"].get(family, ""),
        "sample": f"{took['sample']:.2f} s",
        "ratio": f"{took['sample'] / took['forward']:.2f}",
    }


def read_row(path, wanted):
    """A row that was made before; raises UserError if it was made of something else."""
    from gated_pixelcnn.errors import UserError

    row = json.loads(path.read_text())
    if (made := row.pop("made_of")) != wanted:
        raise UserError(
            f"{path} was made of {made} and not of {wanted}; choose another --workdir or the same "
            "--source and --minutes"
        )
    return row


def main(arguments):
    """Prints the table."""
    import machine

    from gated_pixelcnn.errors import UserError, nearest

    if len(arguments) > 1:
        raise UserError(f"unknown argument {arguments[1]!r}")
    of_data = DATA[_DATA.value]["features"]
    families = _FAMILIES.value or list(of_data)
    for family in families:
        if family not in of_data:
            raise UserError(f"{_DATA.value} has no family {family!r}{nearest(family, of_data)}")
    print(machine.describe(), f"on {len(os.sched_getaffinity(0))} of them", flush=True)
    directory = Path(_WORKDIR.value) / _DATA.value
    source = _SOURCE.value or DATA[_DATA.value]["data"]["source"]
    wanted = {"source": source, "minutes": _MINUTES.value}
    for family in families:
        kept = directory / f"{family}.json"
        if not kept.exists():
            row = make_row(
                family,
                _DATA.value,
                source,
                directory / family,
                _MINUTES.value,
                _REPEATS.value,
            )
            kept.write_text(json.dumps({"made_of": wanted, **row}, indent=1))
    kept = [directory / f"{family}.json" for family in of_data]
    rows = [read_row(path, wanted) for path in kept if path.exists()]
    widths = {name: max(len(row[name]) for row in (COLUMNS, *rows)) for name in COLUMNS}
    for row in (COLUMNS, *rows):
        print("  ".join(row[name].rjust(width) for name, width in widths.items()))
    for row in rows:
        if terms := row.get("terms"):  # of a bound
            print(f"{row['family']}: {terms}")


if __name__ == "__main__":
    run(main)
