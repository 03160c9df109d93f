"""Portraits between people (2016b, figure 5): rows from one person's embedding to another's.

    python benchmarks/portraits.py --source=npz:orl_faces32.npz --picture=docs/results/portraits.png

Trains the embedding and then the portraits given it, and draws rows of portraits of people that
neither has seen: on the way from the embedding of one photo to that of another, in a line, all of a
row with the same random numbers. That the pictures go from one person to the other is also told by
numbers: the similarity of the drawn portraits' embeddings to those of both ends.
An interrupted training goes on, one that was made is not made again.
"""

import os

import numpy as np
from absl import flags

from gated_pixelcnn.errors import UserError, run

PLACES = 7  # of a row, its ends included

_SOURCE = flags.DEFINE_string("source", "tfds:lfw", "data.source of photos of identities.")
_WORKDIR = flags.DEFINE_string("workdir", "runs/interpolation", "Folder for the trainings.")
_STEPS = flags.DEFINE_integer("steps", 1600, "Of the portraits.", lower_bound=1)
_DROPOUT = flags.DEFINE_float("dropout", 0.3, "Of the portraits, where photos are few.")
_PAIRS = flags.DEFINE_integer("pairs", 40, "Rows whose similarities are told.", lower_bound=2)
_PICTURE = flags.DEFINE_string("picture", "", "PNG file for rows between the first people.")


def trained(preset, *overrides):
    """The model of a preset, trained on the photos; its best weights."""
    import gated_pixelcnn as gpc

    directory = f"{_WORKDIR.value}/{preset}"
    source = f"data.source={os.path.expanduser(_SOURCE.value)}"
    config = gpc.get_config(preset, [source, "train.minutes=0", *overrides])
    result = gpc.train(config, directory)
    if result.stopped_by != "steps":
        raise UserError(f"stopped by {result.stopped_by}; the same command goes on")
    return config, gpc.load(directory)


def between(model, photos, others, seed):
    """Portraits on the way between photos.

    Args:
      model: conditioned on embeddings.
      photos: where rows begin, uint8 [N, H, W, C].
      others: where they end, the same.
      seed: of the draws; row i has the random numbers of example seed i.

    Returns:
      uint8 [N, PLACES, H, W, C].
    """
    start, end = (np.asarray(model.encode(images)) for images in (photos, others))
    rows, ends = np.arange(len(photos)), (start, end)
    drawn = []
    for t in np.linspace(0, 1, PLACES):
        codes = (1 - t) * ends[0] + t * ends[1]
        drawn.append(model.sample(condition=codes, seed=seed, example_seeds=rows))
    return np.stack(drawn, axis=1)


def similarities(model, drawn, photos, others):
    """Mean cosines of the embeddings of portraits to those of both ends, [PLACES, 2]."""
    codes = np.stack([np.asarray(model.encode(row)) for row in drawn])  # of unit length
    ends = np.stack([np.asarray(model.encode(images)) for images in (photos, others)], axis=1)
    return np.einsum("npd,ned->pe", codes, ends) / len(drawn)


def main(arguments):
    """Trains, tells the similarities, makes the picture if it is wanted."""
    if len(arguments) > 1:
        raise UserError(f"unknown argument {arguments[1]!r}")
    from gated_pixelcnn.data import DataConfig, load
    from gated_pixelcnn.visualization import grid, save_png

    trained("face_embedding")
    config, model = trained(
        "portraits",
        f"train.encoder={_WORKDIR.value}/face_embedding",
        f"train.steps={_STEPS.value}",
        f"model.dropout={_DROPOUT.value}",
        "train.sample_every=0",
    )
    test = load(DataConfig(**config.data)).test
    images, labels = test.take(test.num_images)
    people = [np.flatnonzero(labels == person) for person in np.unique(labels)]
    # Row i goes from a photo of person i to one of the next; first the first photo of each.
    turn = np.arange(_PAIRS.value)
    photo = turn // len(people)
    start, end = (
        images[[people[(i + k) % len(people)][p % 10] for i, p in zip(turn, photo, strict=True)]]
        for k in (0, 1)
    )
    drawn = between(model, start, end, seed=0)
    print(f"{_PAIRS.value} rows: similarity to the first photo, to the last one")
    for t, pair in zip(
        np.linspace(0, 1, PLACES), similarities(model, drawn, start, end), strict=True
    ):
        print(f"  {t:.2f}  {pair[0]:.3f}  {pair[1]:.3f}")
    if _PICTURE.value:
        shown = slice(len(people))
        rows = np.concatenate([start[shown, None], drawn[shown], end[shown, None]], axis=1)
        rows = rows.reshape(-1, *rows.shape[2:])
        save_png(_PICTURE.value, grid(rows, model.levels, columns=PLACES + 2, magnify=2))


if __name__ == "__main__":
    run(main)
