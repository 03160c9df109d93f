"""Grayscale and Pyramid PixelCNN: bits/dim of each stage in its own dimensions (2017, table 2).

    python benchmarks/stages.py --source=npz:tiny_imagenet32.npz

Both are the presets with fewer features; with several rates each has its best one. A table has a
row for each stage, the simplest view first: its bits/dim, and its share of the code length of the
whole image. What is in docs/results is not made again, and an interrupted training goes on.
"""

import os

import trials
from absl import flags

from gated_pixelcnn.errors import UserError, run

FILE = "stages.json"
FEATURES = 12
# Steps of about equal time.
STEPS = {"grayscale": 600, "pyramid": 1200}

_SOURCE = flags.DEFINE_string("source", "embedded:tiles32", "data.source of 32x32 colour images.")
_RATES = flags.DEFINE_multi_float("rate", [0.004], "Learning rate; again for another one.")
_TEST = flags.DEFINE_integer("test", 1000, "Held-out images.", lower_bound=1)


def settings_of(family):
    """A trial without a rate and a seed, see `trials`."""
    data = {"source": os.path.expanduser(_SOURCE.value), "validation": 0, "flips": True}
    return {
        "model": trials.of_preset(family, FEATURES),
        "data": data | {"labels": False},
        "train": trials.TRAIN | {"steps": STEPS[family], "eval_images": 200},
        "test": _TEST.value,
    }


def main(arguments):
    """Makes the trainings, prints the table."""
    if len(arguments) > 1:
        raise UserError(f"unknown argument {arguments[1]!r}")
    settings = {family: settings_of(family) for family in STEPS}
    results = trials.tuned(settings, _RATES.value, FILE)
    lines = []
    for family, of_seeds in results.items():
        for result in of_seeds.values():
            rate = result["settings"]["train"]["learning_rate"]
            bits = [stage["bits_per_dim"] * values_of(stage) for stage in result["stages"]]
            lines.append([family, f"{rate:g}", "whole", f"{result['bits_per_dim']:.4f}", ""])
            for stage, in_stage in zip(result["stages"], bits, strict=True):
                size = "x".join(map(str, stage["image_shape"]))
                share = f"{in_stage / sum(bits):.1%}"
                name = f"{size}, {stage['levels']} levels"
                lines.append(["", "", name, f"{stage['bits_per_dim']:.4f}", share])
    trials.tell(["family", "rate", "stage", "bits/dim of its own", "of the code length"], lines)


def values_of(stage):
    """Number of values of an image of a stage."""
    height, width, channels = stage["image_shape"]
    return height * width * channels


if __name__ == "__main__":
    run(main)
