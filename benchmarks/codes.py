"""Classes told from codes (2016b, section 3.4): PixelCNN decoder against one of the squared error.

    python benchmarks/codes.py --source=npz:fashion_mnist.npz --picture=docs/results/codes.png

With a PixelCNN as decoder the encoder "no longer needs to represent the low-level pixel
statistics", so its codes should be more high-level. The encoders are the same, as are batches,
optimizer and steps; of several rates each has its best one, by its own loss. From codes of 10,000
training images a linear function and the nearest neighbour tell the class of all test images, as
they do from the codes of the encoder before training, and from the pixels.
What is in docs/results is not made again, and an interrupted training goes on.
"""

import itertools
import os
import statistics

import numpy as np
import trials
from absl import flags

from gated_pixelcnn.errors import UserError, run

FILE = "codes.json"
LEVELS = 16
SIZES = (10, 100)  # m
DECODERS = {"PixelCNN": "autoencoder", "MSE": "mse_autoencoder"}  # presets, without m

_SOURCE = flags.DEFINE_string("source", "tfds:fashion_mnist", "data.source of classes.")
_RATES = flags.DEFINE_multi_float("rate", [0.004], "Learning rate; again for another one.")
_STEPS = flags.DEFINE_integer("steps", 1000, "Of each training.", lower_bound=1)
_TEST = flags.DEFINE_integer("test", 10_000, "Held-out images.", lower_bound=2)
_TRAIN = flags.DEFINE_integer("train", 10_000, "Training images of known class.", lower_bound=2)
_PICTURE = flags.DEFINE_string("picture", "", "PNG file: accuracies as bars.")


def data():
    """Section `data` of the configurations."""
    return {"source": os.path.expanduser(_SOURCE.value), "levels": LEVELS, "validation": 0}


def settings_of(decoder, size):
    """A trial without a rate and a seed, see `trials`."""
    from gated_pixelcnn import configs

    return {
        "model": configs.get_config(f"{DECODERS[decoder]}{size}").model.to_dict(),
        "data": data(),
        "train": trials.TRAIN | {"steps": _STEPS.value, "eval_images": 1000},
        "test": _TEST.value,
    }


def untrained(size, seed):
    """The autoencoder of a size with its initial weights."""
    import keras

    import gated_pixelcnn as gpc
    from gated_pixelcnn import configs

    keras.utils.set_random_seed(seed)
    config = configs.get_config(f"{DECODERS['MSE']}{size}")
    return gpc.build_model(config, (28, 28, 1), LEVELS)


class Accuracies:
    """Accuracies of the classes told from codes, each found once."""

    def __init__(self):
        """Loads the images and what was found before."""
        from gated_pixelcnn.data import DataConfig, load

        found = load(DataConfig(**data()))
        splits = (found.train.take(_TRAIN.value), found.test.take(_TEST.value))
        (known, self.known_labels), (asked, self.asked_labels) = splits
        self.images = (known, asked)
        self.found = trials.read(f"probe_of_{FILE}")

    def of(self, name, codes):
        """{"linear", "neighbour"} by a function of images."""
        from gated_pixelcnn.evaluation.codes import probe

        if name not in self.found:
            flat = [np.concatenate([codes(p) for p in parts(images)]) for images in self.images]
            self.found[name] = probe(*flat, self.known_labels, self.asked_labels)
            trials.write(f"probe_of_{FILE}", self.found)
        return self.found[name]

    def of_model(self, name, model):
        """The same by the codes of a model."""
        return self.of(name, lambda images: flat(model.encode(images)))


def parts(images, size=500):
    """Images in parts of at most so many."""
    return [images[start : start + size] for start in range(0, len(images), size)]


def flat(array):
    """Float64 [N, D]."""
    array = np.asarray(array, np.float64)
    return array.reshape(len(array), -1)


def main(arguments):
    """Makes the trainings, prints the table, draws the picture if it is wanted."""
    if len(arguments) > 1:
        raise UserError(f"unknown argument {arguments[1]!r}")
    import gated_pixelcnn as gpc

    pairs = {f"{d} decoder, m = {m}": settings_of(d, m) for m in SIZES for d in DECODERS}
    results = trials.tuned(pairs, _RATES.value, FILE)
    accuracies = Accuracies()
    rows = {"pixels": [accuracies.of("pixels", flat)]}
    for size, seed in itertools.product(SIZES, trials.seeds()):
        row, model = f"untrained, m = {size}", untrained(size, seed)
        rows.setdefault(row, []).append(accuracies.of_model(f"{row}, seed {seed}", model))
    for row, of_seeds in results.items():
        for name in of_seeds:
            model = gpc.load(trials.directory_of(name, FILE) / "run", checkpoint="latest")
            rows.setdefault(row, []).append(accuracies.of_model(name, model))
    lines = []
    for row, found in rows.items():
        losses = [f"{trials.loss_of(result):.5g}" for result in results.get(row, {}).values()]
        lines.append([row, ", ".join(losses), *(told(found, kind) for kind in found[0])])
    trials.tell(["code", "nats or MSE", "linear", "nearest neighbour"], lines)
    if _PICTURE.value:
        draw(rows)


def told(found, kind):
    """The mean accuracy, and of several seeds each."""
    each = [f"{f[kind]:.1%}" for f in found]
    mean = f"{statistics.mean(f[kind] for f in found):.1%}"
    return mean if len(each) == 1 else f"{mean} ({', '.join(each)})"


def draw(rows):
    """Bars of the accuracies."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3.5), dpi=100)
    places = np.arange(len(rows))
    for shift, kind in ((-0.2, "linear"), (0.2, "neighbour")):
        means = [statistics.mean(f[kind] for f in found) for found in rows.values()]
        axes.barh(places + shift, means, 0.4, label=kind)
    axes.set_yticks(places, list(rows))
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="classes told right")
    axes.legend(loc="lower left")
    figure.savefig(_PICTURE.value, bbox_inches="tight")


if __name__ == "__main__":
    run(main)
