"""How much of the class is in a code: a linear probe and the nearest neighbour."""

import numpy as np
import tensorflow as tf

from gated_pixelcnn.evaluation.images import Images
from gated_pixelcnn.models.capabilities import HasCodes, HasLatents
from gated_pixelcnn.models.families.embedding import Embedding

MOST = 10_000  # training images at most, the first ones
RIDGE = 1e-3  # per image, of standardised numbers


class Probe:
    """Accuracy of labels told by the codes of images, and by their pixels.

    Codes that are "high-level" tell the class by a linear function, though nothing was trained for
    it (Gated PixelCNN, section 3.4, which shows it by samples). Training images, at most 10,000,
    and their labels are what the probe is fitted to, and among which neighbours are looked for.
    """

    needs = "a model with codes: an autoencoder, an embedding, or one with latent variables"

    def applies_to(self, model):
        """See `evaluators`."""
        return getattr(model, "encoder", None) is not None or isinstance(
            model, HasLatents | HasCodes
        )

    def evaluate(self, model, images):
        """{"probe": {"code_size", "num_train", "codes": accuracies, "pixels": accuracies}}.

        Accuracies are {"linear", "neighbour"}, 0…1.

        Raises:
          ValueError: images without labels.
        """
        if not (images.split.has_labels and images.train is not None and images.train.has_labels):
            raise ValueError("a probe needs images with labels")
        train = Images(images.train, images.batch_size, MOST)
        test = Images(images.split, images.batch_size, images.num_images)
        labels = [np.concatenate([found for _, found in each.batches()]) for each in (train, test)]

        def accuracies(function):
            known, asked = (each.run(function) for each in (train, test))
            flat = [x.reshape(len(x), -1).astype(np.float64) for x in (known, asked)]
            return flat[0].shape[1], probe(*flat, *labels)

        size, of_codes = accuracies(lambda batch: codes(model, batch))
        _, of_pixels = accuracies(lambda batch: batch)
        return {
            "probe": {
                "code_size": size,
                "num_train": train.num,
                "codes": of_codes,
                "pixels": of_pixels,
            }
        }


def codes(model, images):
    """The codes of images, their z, or the entries of codebooks: float [N, …]."""
    if isinstance(model, HasLatents):
        return model.encode_latents(images)
    if isinstance(model, HasCodes):
        maps = model.vectors_of(model.encode(images))
        return tf.concat([tf.reshape(x, [len(images), -1]) for x in maps], axis=1)
    return model(images) if isinstance(model, Embedding) else model.encode(images)


def probe(known, asked, known_labels, asked_labels):
    """Accuracies of a ridge regression to one-hot labels, and of the nearest neighbour.

    Args:
      known: float64 [N, D], of images whose labels are known.
      asked: float64 [M, D], of images whose labels are asked for.
      known_labels: integers [N].
      asked_labels: integers [M].

    Returns:
      {"linear", "neighbour"}, 0…1.
    """
    mean, deviation = known.mean(axis=0), known.std(axis=0)
    deviation[deviation < 1e-12] = 1.0  # nothing is in what is constant
    known, asked = ((x - mean) / deviation for x in (known, asked))
    one_hot = np.eye(1 + max(known_labels.max(), asked_labels.max()))[known_labels]
    offset = one_hot.mean(axis=0)
    ridge, targets = RIDGE * len(known), one_hot - offset
    if known.shape[1] <= len(known):
        weights = np.linalg.solve(_plus(known.T @ known, ridge), known.T @ targets)
    else:  # the same weights by the smaller matrix
        weights = known.T @ np.linalg.solve(_plus(known @ known.T, ridge), targets)
    linear = np.argmax(asked @ weights + offset, axis=1)
    # |a − b|² without |a|², which is the same for all b.
    lengths = np.square(known).sum(axis=1)
    nearest = [np.argmin(lengths - 2 * known @ one) for one in asked]
    return {
        "linear": float(np.mean(linear == asked_labels)),
        "neighbour": float(np.mean(known_labels[nearest] == asked_labels)),
    }


def _plus(square, ridge):
    return square + ridge * np.eye(len(square))
