"""How well embeddings tell whether two images show the same identity."""

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
