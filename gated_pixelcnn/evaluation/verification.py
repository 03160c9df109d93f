"""Verification of identities by embeddings, of images and of drawn images."""

import numpy as np

from gated_pixelcnn.errors import UserError
from gated_pixelcnn.evaluation.images import check_numbers, filled_up
from gated_pixelcnn.models.autoregressive_model import AutoregressiveModel
from gated_pixelcnn.models.families.embedding import Embedding

NO_CODE = "the encoder gives no valid code"  # see `check_numbers`


class Verification:
    """Accuracy of an embedding, and of the distance of pixels, at matching identities."""

    name, unit = "verification_error", "verification error (1 - AUC)"

    def applies_to(self, model):
        """See `evaluators`."""
        return isinstance(model, Embedding)

    def evaluate(self, model, images):
        """A dict with num_images, num_identities, auc and pixel_auc."""
        labels = labels_of(images)
        pixels = images.run(lambda batch: batch.reshape(len(batch), -1))
        return {
            "num_images": len(labels),
            "num_identities": len(np.unique(labels)),
            "auc": auc(images.run(model), labels),
            "pixel_auc": auc(pixels, labels),
        }

    def loss(self, model, result):
        """1 − the area under the ROC curve."""
        return 1.0 - result["auc"]


class Likeness:
    """Draws images like those of a split, and tells whose identity they have, by their codes."""

    needs = "--workdir of a model that is conditioned on an image by its code"

    def __init__(self, each, seed=0):
        """Args: each: number of images drawn like each, at least 1; seed: of random numbers."""
        self.each, self.seed = each, seed

    def applies_to(self, model):
        """See `evaluators`."""
        return isinstance(model, AutoregressiveModel) and model.condition_spec.kind == "image"

    def evaluate(self, model, images):
        """The dict of `alike` under "likeness".

        Raises:
          UserError: images of one identity only.
        """
        labels, sources = labels_of(images), images.run(model.encode)
        check_identities(labels)
        codes, size = np.repeat(sources, self.each, axis=0), images.batch_size
        drawn = []
        for start in range(0, len(codes), size):
            part = codes[start : start + size]
            found = model.sample(
                condition=filled_up(part, size), seed=self.seed, example_seeds=start
            )
            drawn.append(np.asarray(model.encode(found))[: len(part)])
        drawn = np.concatenate(drawn).reshape(len(sources), self.each, -1)
        return {"likeness": alike(drawn, sources, labels)}


def labels_of(images):
    """The identities of `Images`, an array [N]."""
    return np.concatenate([labels for _, labels in images.batches()])


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
      FloatingPointError: a number of a vector is NaN or infinite; the message names the image.
    """
    check_numbers(vectors, "a number of the vector", NO_CODE)
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


def alike(drawn, sources, labels):
    """Rates at which drawn images are nearer to their source than to others.

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
      FloatingPointError: a number of a vector is NaN or infinite; the message names the source.
    """
    identities = check_identities(labels)
    for what, vectors in {"the vector": sources, "a vector drawn from that": drawn}.items():
        check_numbers(vectors, f"a number of {what}", NO_CODE)
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
