"""How well embeddings tell whether two images show the same identity, also of drawn images."""

import numpy as np

from gated_pixelcnn.errors import UserError
from gated_pixelcnn.evaluation import filled_up, split_batches


def embed(function, split, batch_size=64, num_images=None):
    """Embeds the images of a split.

    Args:
      function: images [N, H, W, C] → vectors [N, D], called with `batch_size` images every time.
      split: a split of `data.load` with labels.
      batch_size: number of images in one forward pass.
      num_images: the first images only; None for all.

    Returns:
      Vectors float [N, D] and labels [N].
    """
    vectors, labels = [], []
    for images, of_images in split_batches(split, batch_size, num_images):
        vectors.append(np.asarray(function(filled_up(images, batch_size)))[: len(images)])
        labels.append(of_images)
    return np.concatenate(vectors), np.concatenate(labels)


def auc(vectors, labels):
    """The area under the ROC curve of verification by distance, over all pairs.

    It is the probability that two images of one identity are nearer to each other than two of
    different identities: 0.5 for vectors that say nothing, 1 for perfect ones.

    Args:
      vectors: float [N, D].
      labels: identities [N].

    Returns:
      A float, 0…1.

    Raises:
      UserError: no two images of one identity, or only one identity.
    """
    squares = np.sum(np.square(vectors, dtype=np.float64), axis=1)
    distances = squares[:, None] + squares - 2 * vectors.astype(np.float64) @ vectors.T
    pairs = np.triu_indices(len(labels), 1)
    same = (labels[:, None] == labels)[pairs]
    positives, negatives = same.sum(), (~same).sum()
    if not positives or not negatives:
        raise UserError(
            "verification needs two images of one identity and two identities, but there are "
            f"{positives} pairs of one identity and {negatives} of two"
        )
    # Ranks, equal distances sharing theirs: the statistic of Mann and Whitney.
    values, inverse, counts = np.unique(
        distances[pairs].round(9), return_inverse=True, return_counts=True
    )
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    below = ranks[~same].sum() - negatives * (negatives + 1) / 2
    return float(below / (positives * negatives))


def likeness(model, split, each, batch_size=64, num_images=None, seed=0):
    """Draws images like those of a split, and tells whose identity they have, by their codes.

    Args:
      model: a density model conditioned on an image by its code (`encode`).
      split: a split of `data.load` with labels.
      each: number of images drawn like each, at least 1.
      batch_size: number of images drawn at once.
      num_images: the first images only; None for all.
      seed: of the random numbers.

    Returns:
      The dict of `alike`.

    Raises:
      UserError: images of one identity only.
    """
    sources, labels = embed(model.encode, split, batch_size, num_images)
    check_identities(labels)
    codes = np.repeat(sources, each, axis=0)
    drawn = []
    for start in range(0, len(codes), batch_size):
        part = codes[start : start + batch_size]
        images = model.sample(condition=filled_up(part, batch_size), seed=seed, streams=start)
        drawn.append(np.asarray(model.encode(images))[: len(part)])
    return alike(np.concatenate(drawn).reshape(len(sources), each, -1), sources, labels)


def alike(drawn, sources, labels):
    """How often drawn images are nearer to what they were drawn from than to others.

    Args:
      drawn: vectors of the images drawn from each source, float [N, K, D].
      sources: vectors of the sources, float [N, D].
      labels: their identities [N].

    Returns:
      A dict with
        pairs: how often, on average over the drawn images, the source is nearer than an image of
          another identity: 0.5 for images that have nothing of their source,
        identities: the share of the drawn images that are nearer to the mean of their source's
          identity than to that of any other,
        chance: what `identities` is for images that have nothing of their source.

    Raises:
      UserError: images of one identity only.
    """
    identities = check_identities(labels)
    means = np.stack([sources[labels == identity].mean(axis=0) for identity in identities])
    pairs, right = [], []
    for vectors, source, label in zip(drawn, sources, labels, strict=True):
        to_own = distances(vectors, source[np.newaxis])
        pairs.append(to_own < distances(vectors, sources[labels != label]))
        right.append(identities[distances(vectors, means).argmin(axis=1)] == label)
    return {
        "pairs": float(np.mean([nearer.mean() for nearer in pairs])),
        "identities": float(np.mean(right)),
        "chance": 1 / len(identities),
    }


def check_identities(labels):
    """The identities that there are; raises a UserError if there is only one."""
    identities = np.unique(labels)
    if len(identities) < 2:
        raise UserError("likeness needs images of two identities, but there is only one")
    return identities


def distances(a, b):
    """Euclidean distances between vectors [N, D] and [M, D], float64 [N, M]."""
    return np.linalg.norm(np.subtract(a[:, np.newaxis], b, dtype=np.float64), axis=-1)
