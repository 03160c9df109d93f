"""What each part of Gated PixelCNN is worth (2016b, section 2): all but one part, at equal steps.

    python benchmarks/ablation.py --source=npz:binarized_mnist.npz --colours=npz:tiny_imagenet32.npz

The parts are tried on binarized MNIST, the masks that let a colour see those before it on colour
tiles. Every row has the same batches, optimizer (Adam) and steps, and its own best rate;
the nats are of all held-out images (an npz file's x_test). What is in docs/results is not made
again, and an interrupted training goes on.
"""

import os
import statistics

import trials
from absl import flags

from gated_pixelcnn.errors import UserError, run

RATES = (0.004, 0.002, 0.008)
GATED = {
    "family": "gated_pixelcnn",
    "features": 16,
    "layers": 12,
    "kernel_size": 5,
    "likelihood": "bernoulli",
}
# What differs from it.
PARTS = {
    "as it is": {},
    "ReLU instead of gates": {"gate": "relu"},
    "ReLU, as many parameters": {"gate": "relu", "features": 22},
    "one stack": {"stacks": 1},
    "one stack, ReLU": {"stacks": 1, "gate": "relu"},
    "no residual": {"residual": False},
    "no skips": {"skips": False},
    "no residual, no skips": {"residual": False, "skips": False},
    "vertical residual": {"vertical_residual": True},
}
OF_COLOURS = {
    "family": "gated_pixelcnn",
    "features": 24,
    "layers": 6,
    "kernel_size": 5,
    "head_features": 96,
}
COLOURS = {
    "R, then G, then B": {"likelihood": "categorical"},
    "colours independent": {"likelihood": "independent"},
}

_SOURCE = flags.DEFINE_string("source", "tfds:binarized_mnist", "data.source of binarized images.")
_COLOURS = flags.DEFINE_string("colours", "embedded:tiles32", "data.source of colour images.")
_STEPS = flags.DEFINE_integer("steps", 2000, "Of each training.", lower_bound=1)
_TEST = flags.DEFINE_integer("test", 10_000, "Held-out images.", lower_bound=1)


def settings_of(model, source, levels):
    """A trial, see `trials`."""
    source = os.path.expanduser(source)
    return {
        "model": model,
        "data": {"source": source, "levels": levels, "validation": 0, "labels": False},
        "train": trials.TRAIN | {"eval_images": 1000, "steps": _STEPS.value},
        "test": _TEST.value,
    }


def table(rows, title, file):
    """Makes and prints one."""
    lines, first = [], None
    for row, results in trials.tuned(rows, RATES, file).items():
        results = list(results.values())
        nats = [result["nats"] for result in results]
        first = first or nats
        worse = [a - b for a, b in zip(nats, first, strict=True)]
        train = results[0]["settings"]["train"]
        lines.append(
            [
                row,
                f"{results[0]['parameters']:,}",
                f"{train['learning_rate']:g}",
                f"{statistics.mean(nats):.2f} ({', '.join(f'{n:.2f}' for n in nats)})",
                f"{statistics.mean(r['bits_per_dim'] for r in results):.4f}",
                f"{statistics.mean(worse):+.2f} ({', '.join(f'{w:+.2f}' for w in worse)})",
            ]
        )
    trials.tell([title, "parameters", "rate", "nats", "bits/dim", "more than the first"], lines)


def main(arguments):
    """Makes both tables."""
    if len(arguments) > 1:
        raise UserError(f"unknown argument {arguments[1]!r}")
    table(
        {row: settings_of(GATED | part, _SOURCE.value, 2) for row, part in PARTS.items()},
        "binarized MNIST",
        "ablation.json",
    )
    table(
        {row: settings_of(OF_COLOURS | part, _COLOURS.value, 64) for row, part in COLOURS.items()},
        "colour tiles",
        "ablation_colours.json",
    )


if __name__ == "__main__":
    run(main)
