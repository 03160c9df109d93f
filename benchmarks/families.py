"""Every family at the same budget on the same images, each at the best shape of a small grid.

    python benchmarks/families.py --source=npz:binarized_mnist.npz --picture=families.png
    python benchmarks/families.py --data=colour32 --source=npz:tiny_imagenet32.npz --minutes=20

1. The speed of every shape: in one process, on one core, a step of each in turn with one of a
   reference. A minute below is one of that core alone, whatever it has to do besides later on.
2. Search, `--search_minutes` each: of every family all shapes at the middle rate, and the best one
   at the other rates. `--test` held-out images tell which is the best.
3. The table: the best shape of each family for `--minutes`, and PixelCNN once more with as many
   parameters as Gated PixelCNN; all held-out images (an npz file's x_test). The best rate of a
   short training is too high for a long one: here it is tuned again from `long_rates`, and
   each row has `--seeds` seeds of its own best one.

All families have the same batches, optimizer (Adam), warm-up, decay (cosine to the end of a run)
and rates. What is in docs/results is not made again, and an interrupted training goes on.
"""

import importlib.util
import os
import statistics

import trials
from absl import flags

from gated_pixelcnn.errors import UserError, nearest, run


def shapes(features, layers, **others):
    """The sizes that every family has."""
    return {"features": features, "layers": layers, **others}


# By data set: what differs from the defaults, shapes and rates, and test results of the papers.
DATA = {
    "binarized_mnist": {
        # An npz file's x_test is held out.
        "data": {"source": "tfds:binarized_mnist", "levels": 2, "validation": 0},
        "model": {"likelihood": "bernoulli"},
        "shapes": {
            "gated_pixelcnn": [
                shapes(21, 7, kernel_size=3),
                shapes(32, 12, kernel_size=3),
                shapes(16, 12, kernel_size=5),
                shapes(16, 18, kernel_size=5),
                shapes(24, 10, kernel_size=5),
                shapes(16, 10, kernel_size=7),
                shapes(16, 12, kernel_size=5, first_kernel_size=15),
            ],
            "pixelcnn": [
                shapes(32, 7, kernel_size=3),
                shapes(32, 14, kernel_size=3),
                shapes(16, 12, kernel_size=5),
                shapes(24, 10, kernel_size=5),
                shapes(32, 8, kernel_size=5),
                shapes(24, 8, kernel_size=7),
                shapes(24, 10, kernel_size=5, first_kernel_size=15),
            ],
            "row_lstm": [
                shapes(17, 7, kernel_size=3),
                shapes(24, 4, kernel_size=3),
                shapes(24, 7, kernel_size=3),
                shapes(32, 4, kernel_size=3),
                shapes(16, 10, kernel_size=3),
                shapes(24, 4, kernel_size=5),
                shapes(24, 5, kernel_size=3, first_kernel_size=15),
            ],
            "diagonal_bilstm": [
                shapes(16, 7),
                shapes(32, 1),
                shapes(24, 2),
                shapes(16, 4),
                shapes(24, 4),
                shapes(32, 3),
                shapes(24, 3, first_kernel_size=15),
            ],
        },
        "rates": [0.004, 0.002, 0.008],
        "long_rates": [0.002, 0.001, 0.004],
        "papers": {"pixelcnn": 81.30, "row_lstm": 80.54, "diagonal_bilstm": 79.20},
    },
    "colour32": {
        "data": {"source": "embedded:tiles32", "validation": 0},
        "model": {},
        "shapes": {
            "gated_pixelcnn": [shapes(21, 7, kernel_size=3, head_features=96)],
            "pixelcnn": [shapes(33, 7, kernel_size=3, head_features=96)],
            "row_lstm": [shapes(18, 7, kernel_size=3, head_features=96)],
            "diagonal_bilstm": [shapes(18, 7, head_features=96)],
            "pixelcnn_pp": [{"features": 16}],
            "grayscale": [{"features": 12}],
            "pyramid": [{"features": 12}],
        },
        "rates": [0.004],
        "long_rates": [0.004],
        "papers": {},
    },
}
PRESETS = ("pixelcnn_pp", "grayscale", "pyramid")  # what these families are made of
REFERENCE = "reference"

_DATA = flags.DEFINE_enum("data", "binarized_mnist", list(DATA), "The images.")
_SOURCE = flags.DEFINE_string("source", "", "data.source, where it is not that of --data.")
_MINUTES = flags.DEFINE_float("minutes", 60, "Of each training of the table.", lower_bound=0.01)
_SEARCH = flags.DEFINE_float("search_minutes", 10, "Of each of the search.", lower_bound=0.01)
_TEST = flags.DEFINE_integer("test", 2000, "Images of the search.", lower_bound=1)
_FAMILIES = flags.DEFINE_list("families", [], "Which families; by default all of --data.")
_PICTURE = flags.DEFINE_string("picture", "", "PNG file for nats against minutes.")
_REPEATS = flags.DEFINE_integer("repeats", 7, "Counted steps of each shape.", lower_bound=1)


def settings_of(family, shape, rate, steps, seed, test):
    """A trial, see `trials`."""
    chosen = DATA[_DATA.value]
    source = {"source": os.path.expanduser(_SOURCE.value)} if _SOURCE.value else {}
    if family in PRESETS:
        model = trials.of_preset(family, shape["features"])
    else:
        model = {"family": family, **chosen["model"], **shape}
    return {
        "model": model,
        "data": chosen["data"] | source,
        "train": trials.TRAIN | {"learning_rate": rate, "steps": steps, "eval_images": test},
        "seed": seed,
        "test": test,
    }


def name_of(family, shape):
    """Such as "gated_pixelcnn 24 x 10, 5x5, first 7x7"."""
    name = f"{family} {shape['features']}"
    if "layers" in shape:
        name += f" x {shape['layers']}"
    if "kernel_size" in shape:
        name += f", {shape['kernel_size']}x{shape['kernel_size']}"
    if "first_kernel_size" in shape:
        name += f", first {shape['first_kernel_size']}x{shape['first_kernel_size']}"
    return name


def model_of(family, shape):
    """The model of a shape, built."""
    from gated_pixelcnn import configs
    from gated_pixelcnn.data import DataConfig, load
    from gated_pixelcnn.runs.build import build_model

    settings = settings_of(family, shape, 0.001, 1, 0, 1)
    del settings["test"]
    config = configs.complete(settings)
    dataset = load(DataConfig(**config.data))
    model = build_model(config, dataset.image_shape, dataset.levels)
    return config, dataset, model


def measured(wanted, file):
    """Seconds of a step of each shape on one core, {name: {"seconds", "parameters"}}.

    Args:
      wanted: {name: (family, shape)}.
      file: of results, which holds what was measured before.
    """
    speeds = trials.read(file)
    missing = {name: pair for name, pair in wanted.items() if name not in speeds}
    if not missing:
        return speeds
    os.sched_setaffinity(0, {trials.cores()[0]})
    import machine
    import tensorflow as tf

    from gated_pixelcnn.configs.training import TrainConfig
    from gated_pixelcnn.training.state import TrainState

    steps, parameters = {}, {}
    first = next(iter(DATA[_DATA.value]["shapes"].items()))
    for name, pair in {REFERENCE: (first[0], first[1][0]), **missing}.items():
        config, dataset, model = model_of(*pair)
        state = TrainState(model, TrainConfig(**config.train), 0, tf.distribute.get_strategy())
        batch = next(iter(dataset.train.train_batches(config.train.batch_size, 0)))
        steps[name] = lambda state=state, batch=batch[:1]: state.make_step(batch)
        parameters[name] = model.count_params()
    took = machine.alternate(steps, _REPEATS.value)
    known = speeds.get(REFERENCE, {"seconds": took[REFERENCE]})["seconds"]
    for name, seconds in took.items():
        # As of the time when the first ones were measured.
        seconds *= known / took[REFERENCE]
        speeds.setdefault(name, {"seconds": seconds, "parameters": parameters[name]})
        print(f"{name}: {speeds[name]['seconds']:.4f} s, {parameters[name]:,} parameters")
    trials.write(file, speeds)
    return speeds


def search(families, speeds):
    """The best (shape, rate) of every family."""
    chosen, minutes = DATA[_DATA.value], _SEARCH.value
    middle, *others = chosen["rates"]
    if not others and all(len(chosen["shapes"][family]) == 1 for family in families):
        return {family: (chosen["shapes"][family][0], middle) for family in families}

    def trial(family, shape, rate):
        steps = steps_in(minutes, speeds[name_of(family, shape)])
        settings = settings_of(family, shape, rate, steps, 0, _TEST.value)
        return f"{name_of(family, shape)}, rate {rate:g}, {minutes:g} minutes", settings

    def best(pairs_of):
        """Makes all (shape, rate) of all families; returns the best of each."""
        wanted = {f: {trial(f, *pair)[0]: pair for pair in pairs} for f, pairs in pairs_of.items()}
        all_trials = dict(trial(f, *pair) for f, pairs in pairs_of.items() for pair in pairs)
        found = trials.make(all_trials, f"{_DATA.value}_search.json")
        return {f: pairs[min(pairs, key=lambda n: found[n]["nats"])] for f, pairs in wanted.items()}

    at_middle = best({f: [(shape, middle) for shape in chosen["shapes"][f]] for f in families})
    return best({f: [(at_middle[f][0], rate) for rate in chosen["rates"]] for f in families})


def steps_in(minutes, speed):
    """How many steps of a shape so many minutes of one core have."""
    return max(1, round(60 * minutes / speed["seconds"]))


def as_large(shape, parameters):
    """A shape of PixelCNN, its features such that there are about so many parameters."""
    tried = {}
    for features in range(8, 129):
        _, _, model = model_of("pixelcnn", shape | {"features": features})
        tried[features] = abs(model.count_params() - parameters)
        if model.count_params() > parameters:
            break
    return shape | {"features": min(tried, key=tried.get)}


def table(rows, speeds):
    """Makes the trainings of the table.

    Args:
      rows: {name of the row: (family, shape)}.
      speeds: of the shapes, see `measured`.

    Returns:
      {name of the row: results at its best rate, one for each seed}.
    """
    wanted = {}
    for row, (family, shape) in rows.items():
        steps = steps_in(_MINUTES.value, speeds[name_of(family, shape)])
        wanted[row] = settings_of(family, shape, None, steps, None, 10_000)
        wanted[row]["train"]["eval_images"] = _TEST.value  # of the curve
    named = {f"{row}, {_MINUTES.value:g} minutes": settings for row, settings in wanted.items()}
    found = trials.tuned(named, DATA[_DATA.value]["long_rates"], f"{_DATA.value}.json")
    return {row: list(found[name].values()) for row, name in zip(rows, named, strict=True)}


def tell(rows, results, speeds):
    """Prints the table, in Markdown."""
    papers = DATA[_DATA.value]["papers"]
    lines = []
    order = sorted(rows, key=lambda row: statistics.mean(r["nats"] for r in results[row]))
    for row in order:
        family, shape = rows[row]
        name, of_seeds = name_of(family, shape), results[row]
        nats = [result["nats"] for result in of_seeds]
        bits = statistics.mean(result["bits_per_dim"] for result in of_seeds)
        lines.append(
            [
                row,
                name.removeprefix(family).strip(),
                f"{of_seeds[0]['settings']['train']['learning_rate']:g}",
                f"{of_seeds[0]['parameters']:,}",
                f"{of_seeds[0]['steps']:,}",
                f"{trials.TRAIN['batch_size'] / speeds[name]['seconds']:.0f}",
                f"{statistics.mean(nats):.2f} ({', '.join(f'{n:.2f}' for n in nats)})",
                f"{bits:.4f}",
                f"{papers[family]:.2f}" if family in papers else "",
            ]
        )
    trials.tell("family shape rate parameters steps images/s nats bits/dim paper".split(), lines)
    for row in order:
        if terms := results[row][0]["terms"]:  # of a bound
            print(row + ": " + ", ".join(f"{name} {bits:.4f}" for name, bits in terms.items()))


def draw(results, path):
    """Draws nats of the first held-out images against minutes."""
    import math

    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), dpi=100)
    for number, (row, of_seeds) in enumerate(results.items()):
        for seed, result in enumerate(of_seeds):
            steps, bits = zip(*result["curve"], strict=True)
            nats = [b * result["nats"] / result["bits_per_dim"] for b in bits]
            minutes = [_MINUTES.value * step / result["steps"] for step in steps]
            style = {"color": f"C{number}", "linestyle": "-" if seed == 0 else "--"}
            axes.plot(minutes, nats, label=None if seed else row, marker=".", **style)
    lowest = min(axes.get_ylim()[0], 79.0)
    axes.set(xlabel="minutes of one core", ylabel="nats", ylim=(math.floor(lowest), None))
    axes.set_title(f"{_DATA.value}: the first {_TEST.value:,} held-out images, two seeds")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, bbox_inches="tight")


def main(arguments):
    """Makes the table, and the picture if it is wanted."""
    if len(arguments) > 1:
        raise UserError(f"unknown argument {arguments[1]!r}")
    if _PICTURE.value and not importlib.util.find_spec("matplotlib"):
        raise UserError("--picture needs matplotlib: pip install '.[dev]'")
    of_family = DATA[_DATA.value]["shapes"]
    families = _FAMILIES.value or list(of_family)
    for family in families:
        if family not in of_family:
            raise UserError(f"{_DATA.value} has no family {family!r}{nearest(family, of_family)}")
    pairs = [(family, shape) for family in families for shape in of_family[family]]
    file = f"{_DATA.value}_speeds.json"
    speeds = measured({name_of(*pair): pair for pair in pairs}, file)
    rows = {family: (family, shape) for family, (shape, _) in search(families, speeds).items()}
    if _DATA.value == "binarized_mnist" and {"gated_pixelcnn", "pixelcnn"} <= rows.keys():
        of_gated = speeds[name_of(*rows["gated_pixelcnn"])]["parameters"]
        shape = as_large(rows["pixelcnn"][1], of_gated)
        speeds = measured({name_of("pixelcnn", shape): ("pixelcnn", shape)}, file)
        rows["pixelcnn, as many parameters"] = ("pixelcnn", shape)
    results = table(rows, speeds)
    tell(rows, results, speeds)
    if _PICTURE.value:
        draw(results, _PICTURE.value)


if __name__ == "__main__":
    run(main)
