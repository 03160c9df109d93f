"""How many images that a class-conditional model draws are of the class that was asked for.

    python benchmarks/drawn_classes.py --workdir=runs/vq_prior

A classifier that has seen the real training images of the run only tells the class; of the real
test images it is told, too.
"""

import functools
import operator
from pathlib import Path

import numpy as np
from absl import flags
from classifier import classifier_of

from gated_pixelcnn.errors import UserError, run

_WORKDIR = flags.DEFINE_string("workdir", None, "Of the run.", required=True)
_SAMPLES = flags.DEFINE_integer("samples", 100, "For each class.", lower_bound=1)
_TOP_P = flags.DEFINE_float("top_p", 1.0, "See sample.py.")


def main(arguments):
    """Prints the shares."""
    import gated_pixelcnn as gpc
    from gated_pixelcnn import data
    from gated_pixelcnn.runs.directory import RunDirectory

    if len(arguments) > 1:
        raise UserError(f"unknown argument {arguments[1]!r}")
    model = gpc.load(_WORKDIR.value)
    if model.condition_kind != "label":
        raise UserError(f"the model of {_WORKDIR.value} is of no class (model.condition=label)")
    record = RunDirectory(_WORKDIR.value).read_config()
    found = data.load(data.DataConfig(**record["config"].data))
    parts = [split.take(split.num_images) for split in (found.train, found.test)]
    images = functools.reduce(operator.add, map(tuple, parts))
    classifier = classifier_of(images, model.levels, Path(_WORKDIR.value) / "classifier.keras")

    def right(pictures, labels):
        told = classifier.predict(pictures, batch_size=200, verbose=0).argmax(axis=1)
        return told == labels

    test = np.mean(right(images[2], images[3]))
    labels = np.tile(np.arange(model.condition_size), _SAMPLES.value)
    parts = [labels[first : first + 250] for first in range(0, len(labels), 250)]
    drawn = [
        model.sample_stages(len(part), part, seed=seed, top_p=_TOP_P.value)
        for seed, part in enumerate(parts)
    ]
    print(f"test images          {test:.3f} are told to be of their class")
    for number in range(len(drawn[0])):
        stage = np.concatenate([stages[number] for stages in drawn])
        if stage.shape[1:] != model.image_shape:
            continue
        shares = right(stage, labels)
        each = ", ".join(
            f"{name} {np.mean(shares[labels == c]):.2f}"
            for c, name in enumerate(model.class_names or range(model.condition_size))
        )
        print(f"stage {number + 1} of {len(drawn[0])} drawn  {np.mean(shares):.3f} ({each})")


if __name__ == "__main__":
    run(main)
