"""Bits/dim of a model."""

import itertools
import math
import time

import numpy as np
import tensorflow as tf

from gated_pixelcnn.evaluation.images import check_numbers, filled_up
from gated_pixelcnn.models.density_model import DensityModel
from gated_pixelcnn.models.keras_training import unpacked
from gated_pixelcnn.spec import Array, as_array, bits_per_dim, check_integer


def evaluate(
    model: DensityModel,
    images: Array | tf.data.Dataset,
    condition: Array | None = None,
    batch_size: int = 64,
) -> dict:
    """Evaluates a model on images in memory, or on those of a `tf.data.Dataset`.

    The result does not depend on the batch size (in half precision, to rounding): every image
    counts once, sums are in float64.

    Args:
      model: a density model.
      images: integers 0…levels-1 [N, H, W, C], or a pair (tuple) or dict of images and condition;
        or a tf.data.Dataset of batches of them, as Keras' fit takes it.
      condition: labels [N] (or names of classes), vectors [N, D] or maps [N, H, W, D], or None.
      batch_size: number of images in one forward pass, at least 1.

    Returns:
      A dict with
        bits_per_dim: mean over the images,
        standard_error: of that mean, in bits/dim; None for a single image,
        nats: mean of -log p of an image,
        bits_per_channel: mean bits/dim of each colour given the ones before it, a list of C; None
          for a lower bound,
        terms: of a lower bound, what each of its terms has in the bits/dim, by name; else None,
        num_images: N,
        images_per_second: without the first batch, which traces the graph, where there are more,
        is_lower_bound: whether the model's log-probabilities are lower bounds (then the bits/dim
          are upper bounds),
        log_probs: nats of every image, float64 [N].

    Raises:
      ValueError: no images, or images or a condition that do not fit the model.
      FloatingPointError: a log-probability is not finite; the message names the image.
    """
    check_integer("batch_size", batch_size, 1)
    if not isinstance(model, DensityModel):
        raise ValueError(f"{type(model).__name__} gives images no probability.")
    if isinstance(images, tf.data.Dataset):
        if condition is not None:
            raise ValueError("a tf.data.Dataset holds the condition itself: leave out condition.")
        return _evaluate_batches(model, _batches_of(images, batch_size), batch_size)
    if isinstance(images, tuple | dict):
        if condition is not None:
            raise ValueError("images hold the condition already: leave out condition.")
        images, condition = unpacked((images,))
    images = np.asarray(as_array("images", images))
    condition = model.condition_spec.numbered(condition, len(images))
    condition = None if condition is None else np.asarray(as_array("condition", condition))
    if condition is not None and condition.shape[:1] != images.shape[:1]:
        raise ValueError(
            f"condition must have one entry for each of the {len(images)} images, but has the "
            f"shape {list(condition.shape)}."
        )
    batch_size = min(batch_size, max(len(images), 1))
    starts = range(0, len(images), batch_size)
    batches = (
        (
            images[start : start + batch_size],
            None if condition is None else condition[start : start + batch_size],
        )
        for start in starts
    )
    return _evaluate_batches(model, batches, batch_size)


class BitsPerDim:
    """Bits/dim of a density model; the labels of the images are the condition."""

    name, unit = "bits_per_dim", "bits/dim"

    def applies_to(self, model):
        """See `evaluators`."""
        return isinstance(model, DensityModel)

    def evaluate(self, model, images):
        """The dict of `evaluate`, see `evaluators`.

        Raises:
          ValueError: no images, images that do not fit the model, or no labels for a model that
            needs them.
          UserError: an image cannot be read.
          FloatingPointError: a log-probability is not finite; the message names the image.
        """
        of_data = model.condition_spec.of_data
        pairs = ((batch, of_data(batch, labels)) for batch, labels in images.batches())
        return _evaluate_batches(model, pairs, images.size, images.log_prob_terms)

    def loss(self, model, result):
        """Bits/dim, or those of the one term that is trained."""
        return result["terms"][model.trained_term] if model.trained_term else result[self.name]


class MismatchedCondition:
    """Bits/dim where every image has the condition of another one.

    That is the label of another class (image i has the one that comes 1 + i mod (classes − 1) after
    its own), or the code, vector or maps of another image (half the images away, as those that are
    alike may follow each other). How much worse that is tells how much the model makes of its
    condition.
    """

    def applies_to(self, model):
        """See `evaluators`."""
        return isinstance(model, DensityModel)

    def evaluate(self, model, images):
        """Its bits/dim, and the kind of condition; nothing where there is no other condition."""
        spec = model.condition_spec
        if spec.alternatives(images.num) < 2:
            return {}

        def every_condition():
            for batch, beside in images.batches():
                yield from spec.of_data(batch, beside)

        def pairs():
            start, half = 0, images.num // 2
            rotated = itertools.chain(
                itertools.islice(every_condition(), half, None),
                itertools.islice(every_condition(), half),
            )

            def others(num):
                return np.stack(list(itertools.islice(rotated, num)))

            for batch, beside in images.batches():
                yield batch, spec.mismatched(spec.of_data(batch, beside), start, others)
                start += len(batch)

        found = _evaluate_batches(model, pairs(), images.size, images.log_prob_terms)
        return {"wrong_condition_bits_per_dim": found["bits_per_dim"], "condition": spec.kind}


def _batches_of(dataset, batch_size):
    """Images and condition (or None) of a tf.data.Dataset of batches, in batches of this size."""
    if any(len(spec.shape) < 1 for spec in tf.nest.flatten(dataset.element_spec)):
        raise ValueError("the tf.data.Dataset must give batches: call its batch(…) before.")
    for batch in dataset.rebatch(batch_size).as_numpy_iterator():
        yield unpacked(batch)


def _evaluate_batches(model, batches, batch_size, log_prob_terms=None):
    """`evaluate` of pairs of images and condition; only the last may be a partial batch."""
    log_prob_terms = log_prob_terms or model.log_prob_terms
    pieces = []  # one array [n, terms] per batch
    num_images = warm_images = 0
    start = warm = time.perf_counter()
    for images, condition in batches:
        nats = filled_terms(log_prob_terms, images, condition, batch_size)
        check_finite(nats.sum(axis=1), num_images)
        pieces.append(nats)
        num_images += len(images)
        if not warm_images:
            warm_images, warm = num_images, time.perf_counter()
    if not num_images:
        raise ValueError("there are no images to evaluate.")
    if num_images == warm_images:
        warm_images, warm = 0, start
    images_per_second = (num_images - warm_images) / (time.perf_counter() - warm)

    nats = np.concatenate(pieces)
    log_probs = nats.sum(axis=1)
    bits = bits_per_dim(-log_probs, model.image_shape)
    per_channel = terms = None
    if model.terms is None:
        colour_shape = (*model.image_shape[:2], 1)
        per_channel = bits_per_dim(-nats.mean(axis=0), colour_shape).tolist()
    else:
        shares = bits_per_dim(-nats.mean(axis=0), model.image_shape).tolist()
        terms = dict(zip(model.terms, shares, strict=True))
    return {
        "bits_per_dim": float(bits.mean()),
        "standard_error": (
            float(bits.std(ddof=1) / math.sqrt(num_images)) if num_images > 1 else None
        ),
        "nats": float(-log_probs.mean()),
        "bits_per_channel": per_channel,
        "terms": terms,
        "num_images": num_images,
        "images_per_second": images_per_second,
        "is_lower_bound": bool(model.is_lower_bound),
        "log_probs": log_probs,
    }


def check_finite(log_probs, first):
    """Raises the FloatingPointError that names the image; `first` is the number of the first."""
    why = "the model gives no valid probability for it"
    check_numbers(log_probs, "the log-probability", why, first)


def filled_terms(log_prob_terms, images, condition, batch_size):
    """Nats of every image's terms, float64 [n, P].

    A partial batch is filled up with copies of its first image, so that no graph is traced again
    for it, and the copies are dropped.
    """
    size = len(images)
    terms = log_prob_terms(
        filled_up(images, batch_size),
        None if condition is None else filled_up(condition, batch_size),
    )
    return np.asarray(terms)[:size]
