"""What a condition is worth (2016b, sections 2.3 and 2.4): bits/dim with matched controls, samples.

    python benchmarks/classes.py --source=npz:fashion_mnist.npz --picture=docs/results/classes.png

Ten classes can be worth log2(10) / 784 = 0.0042 bits/dim at most; that m(h), which knows the place
of every pixel, is worth more whatever h is, must not be put down to the class. So m(h) is tried of
a constant, too, and a code of the image is beside that. Every row has the same batches, optimizer
(Adam) and steps, and its own best rate.

The paper claims that samples improve. A classifier that has seen real images only tells of 1,000
samples of every model how many are of the class that was asked for (an autoencoder: of that of the
image whose code it is), how evenly the classes occur, and with how many bits; of their distance to
the nearest training image, beside that of test images, whether they are copies.
"""

import os
import statistics
from pathlib import Path

import numpy as np
import trials
from absl import flags
from classifier import classifier_of

from gated_pixelcnn.errors import UserError, run

RATES = (0.008, 0.004, 0.016)
LEVELS, CLASSES = 16, 10
MODEL = {
    "family": "gated_pixelcnn",
    "features": 16,
    "layers": 10,
    "kernel_size": 5,
    "head_features": 64,
}
OF_IMAGE = {"condition": "image", "encoder_features": 32, "spatial_features": 16}
ROWS = {
    "nothing": {},
    "label": {"condition": "label"},
    "m(constant)": {"condition": "label", "spatial_features": 16},  # of one class
    "m(label)": {"condition": "label", "spatial_features": 16},
    "m(code of 10)": OF_IMAGE | {"code_size": 10},
    "m(code of 100)": OF_IMAGE | {"code_size": 100},
}
CONSTANT = "m(constant)"

_SOURCE = flags.DEFINE_string("source", "tfds:fashion_mnist", "data.source of ten classes.")
_STEPS = flags.DEFINE_integer("steps", 3000, "Of each training.", lower_bound=1)
_TEST = flags.DEFINE_integer("test", 10_000, "Held-out images.", lower_bound=CLASSES)
_SAMPLES = flags.DEFINE_integer("samples", 100, "For each class and model.", lower_bound=2)
_PICTURE = flags.DEFINE_string("picture", "", "PNG file for samples of the classes.")


def load():
    """Training and test images, uint8 [N, H, W, 1], and their labels."""
    from gated_pixelcnn import data

    source = os.path.expanduser(_SOURCE.value)
    found = data.load(data.DataConfig(source=source, levels=LEVELS, validation=0))
    if found.num_classes != CLASSES:
        raise UserError(f"{source} has {found.num_classes} classes and not {CLASSES}")
    splits = (found.train, found.test)
    return [part for split in splits for part in split.take(split.num_images)]


def one_class(images):
    """An npz file of the same images, all of one class."""
    path = Path(trials.directory_of("one_class.npz", "classes.json"))
    path.parent.mkdir(parents=True, exist_ok=True)
    x_train, y_train, x_test, y_test = images
    labels = {"y_train": np.zeros_like(y_train), "y_test": np.zeros_like(y_test)}
    np.savez(path, x_train=x_train, x_test=x_test, levels=LEVELS, **labels)
    return f"npz:{path}"


def distances(images, others):
    """Of every image to the nearest of others: the root of the mean square of the levels."""
    x, y = (a.reshape(len(a), -1).astype(np.float32) for a in (images, others))
    nearest = np.full(len(x), np.inf, np.float32)
    squares = np.sum(x * x, axis=1)
    for start in range(0, len(y), 5000):
        part = y[start : start + 5000]
        found = squares[:, None] - 2 * x @ part.T + np.sum(part * part, axis=1)
        nearest = np.minimum(nearest, found.min(axis=1))
    return np.sqrt(np.maximum(nearest, 0) / x.shape[1])


def quality(images, labels, classifier, training):
    """What is told of images, see above.

    Args:
      images: uint8 [N, H, W, 1].
      labels: the classes that were asked for [N], or None.
      classifier: see `classifier`.
      training: images.
    """
    found = classifier.predict(images, batch_size=200, verbose=0).argmax(axis=1)
    shares = np.bincount(found, minlength=CLASSES) / len(found)
    result = {
        "class_bits": float(-np.sum(shares * np.log2(np.maximum(shares, 1e-12)))),
        "nearest": float(np.mean(distances(images, training))),
    }
    if labels is not None:
        right = found == labels
        result["accuracy"] = float(np.mean(right))
        result["by_class"] = [round(float(np.mean(right[labels == c])), 3) for c in range(CLASSES)]
    return result


def draw(name, images):
    """Samples of a trial's model, and the classes that were asked for or None."""
    import gated_pixelcnn as gpc

    directory = trials.directory_of(name, "classes.json") / "run"
    if not directory.exists():
        raise UserError(f"{directory} is gone: take {name!r} out of classes.json to make it again")
    model = gpc.load(directory, checkpoint="latest")
    num = CLASSES * _SAMPLES.value
    if model.condition_kind == "image":
        condition, labels = images[2][:num], images[3][:num]
    else:
        condition = labels = np.repeat(np.arange(CLASSES), _SAMPLES.value)
        if model.condition_kind is None:
            condition = labels = None
        elif model.condition_size == 1:
            condition, labels = np.zeros_like(labels), None
    drawn = []
    for start in range(0, num, 200):  # a part's noise is told by its seed
        part = slice(start, min(start + 200, num))
        given = None if condition is None else condition[part]
        drawn.append(np.asarray(model.sample(part.stop - start, given, seed=start)))
    return np.concatenate(drawn), labels


def main(arguments):
    """Makes the trainings, tells about their samples, prints the table."""
    if len(arguments) > 1:
        raise UserError(f"unknown argument {arguments[1]!r}")
    images = load()
    source = {CONSTANT: one_class(images)}
    results = trials.tuned(
        {
            row: {
                "model": MODEL | part,
                "data": {
                    "source": source.get(row, os.path.expanduser(_SOURCE.value)),
                    "levels": LEVELS,
                    "validation": 0,
                },
                "train": trials.TRAIN | {"eval_images": 1000, "steps": _STEPS.value},
                "test": _TEST.value,
            }
            for row, part in ROWS.items()
        },
        RATES,
        "classes.json",
    )
    path = Path(trials.directory_of("classifier.keras", "classes.json"))
    classifier = classifier_of(images, LEVELS, path)
    samples = trials.read("classes_samples.json")
    for name in (name for of_row in results.values() for name in of_row):
        if name not in samples:
            samples[name] = quality(*draw(name, images), classifier, images[0])
            trials.write("classes_samples.json", samples)
    real = quality(*images[2:], classifier, images[0])

    lines = []
    for row, of_row in results.items():
        found = [samples[name] for name in of_row]
        bits = [result["bits_per_dim"] for result in of_row.values()]
        lines.append([row, *in_words(bits, "{:.4f}"), *of_samples(found)])
    lines.append(["test images", "", *of_samples([real])])
    columns = ["given", "bits/dim", "right class", "bits of the classes", "nearest training image"]
    trials.tell(columns, lines)
    if _PICTURE.value:
        picture(results, images)


def in_words(numbers, shape):
    """The mean, and of several numbers each."""
    each = ", ".join(shape.format(n) for n in numbers)
    mean = shape.format(statistics.mean(numbers))
    return [f"{mean} ({each})" if len(numbers) > 1 else mean]


def of_samples(found):
    """Cells of a table."""
    right = [f["accuracy"] for f in found if "accuracy" in f]
    return [
        *(in_words(right, "{:.1%}") if right else [""]),
        *in_words([f["class_bits"] for f in found], "{:.2f}"),
        *in_words([f["nearest"] for f in found], "{:.2f}"),
    ]


def picture(results, images):
    """Samples of the ten classes side by side, by the label alone and below by m(label)."""
    from gated_pixelcnn.visualization import captioned, grid, save_png

    shown, rows = [], ("label", "m(label)")
    for row in rows:
        drawn, _ = draw(next(iter(results[row])), images)
        of_class = drawn.reshape(CLASSES, -1, *drawn.shape[1:])[:, :6]
        shown.extend(of_class.swapaxes(0, 1).reshape(-1, *drawn.shape[1:]))
    cells = grid(np.stack(shown), LEVELS, columns=CLASSES)
    save_png(_PICTURE.value, captioned(cells, list(rows)))


if __name__ == "__main__":
    run(main)
