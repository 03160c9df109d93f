"""How well a model predicts images, in bits/dim."""

import itertools
import math
import time

import numpy as np
import tensorflow as tf

from gated_pixelcnn.data.batches import input_error
from gated_pixelcnn.models.keras_training import unpacked
from gated_pixelcnn.spec import as_array, bits_per_dim, check_integer


def evaluate(model, images, condition=None, batch_size=64):
    """Evaluates a model on images in memory, or on those of a `tf.data.Dataset`.

    The result does not depend on the batch size: every image counts once, sums are in float64.

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
    _check_batch_size(batch_size)
    if not hasattr(model, "log_prob_parts"):
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


def score(
    model,
    split,
    batch_size=64,
    num_images=None,
    label_map=None,
    log_prob_parts=None,
    wrong_condition=False,
):
    """Evaluates a model on a data split, as `evaluate` does; its labels are the condition.

    Args:
      model: a density model, unconditional or conditioned on the label.
      split: a split of `data.load`.
      batch_size: number of images in one forward pass, at least 1.
      num_images: evaluate the first images only; None for all.
      label_map: the model's label for each label of the split, a list; None if they are the same.
      log_prob_parts: what computes the nats of a batch, see `DensityModel.log_prob_parts`, which
        it is by default.
      wrong_condition: give every image the label of another class (image i the one that comes
        1 + i mod (classes − 1) after its own), or the code of another image (half the images
        away, as those of a class may follow each other): how much worse that is tells how much the
        model makes of its condition.

    Returns:
      The dict of `evaluate`.

    Raises:
      ValueError: no images, images that do not fit the model, or no labels for a model that
        needs them.
      UserError: an image cannot be read.
      FloatingPointError: a log-probability is not finite; the message names the image.
    """
    _check_batch_size(batch_size)
    num_images = split.num_images if num_images is None else min(num_images, split.num_images)
    batch_size = min(batch_size, max(num_images, 1))

    spec = model.condition_spec

    def all_images():
        for images, _ in split_batches(split, batch_size, num_images):
            yield from images

    def batches():
        start, half = 0, num_images // 2
        rotated = itertools.chain(
            itertools.islice(all_images(), half, None), itertools.islice(all_images(), half)
        )
        for images, labels in split_batches(split, batch_size, num_images):
            condition = spec.of_data(images, mapped(labels, label_map))
            if wrong_condition:
                condition = spec.mismatched(
                    condition, start, lambda num: np.stack(list(itertools.islice(rotated, num)))
                )
            yield images, condition
            start += len(images)

    return _evaluate_batches(model, batches(), batch_size, log_prob_parts)


def classify(model, split, batch_size=64, num_images=None, label_map=None):
    """Classifies images by Bayes' rule, p(label | x) ∝ p(x | label), all labels equally likely.

    It takes as many forward passes of every image as there are classes.

    Args:
      model: a density model conditioned on the label.
      split: a split of `data.load` with labels.
      batch_size: number of images in one forward pass, at least 1.
      num_images: classify the first images only; None for all.
      label_map: see `score`.

    Returns:
      A dict with
        accuracy: share of the images whose own label is the likeliest, 0…1,
        label_log_probs: nats of every image given every label, float64 [N, classes],
        labels: the model's label of every image [N].

    Raises:
      ValueError: a model or images without labels.
    """
    _check_batch_size(batch_size)
    if model.condition_kind != "label" or not split.has_labels:
        raise ValueError("only images with labels can be classified, by a model conditioned on it.")
    num_images = split.num_images if num_images is None else min(num_images, split.num_images)
    batch_size = min(batch_size, max(num_images, 1))
    nats, truth = [], []
    for images, labels in split_batches(split, batch_size, num_images):
        given = [np.full(len(images), label, np.int32) for label in range(model.condition_size)]
        parts = [_parts(model.log_prob_parts, images, label, batch_size) for label in given]
        nats.append(np.sum(parts, axis=2).T)
        truth.append(mapped(labels, label_map))
    nats, truth = np.concatenate(nats), np.concatenate(truth)
    return {
        "accuracy": float(np.mean(nats.argmax(axis=1) == truth)),
        "label_log_probs": nats,
        "labels": truth,
    }


def importance_weighted(model, split, draws, batch_size=64, num_images=None):
    """Evaluates a model with latent numbers by the bound of several draws.

    Args:
      model: a `LatentVariableModel`.
      split: a split of `data.load`.
      draws: number of draws of z for every image, at least 1.
      batch_size: number of images in one forward pass, at least 1.
      num_images: evaluate the first images only; None for all.

    Returns:
      A dict with bits_per_dim and its standard_error as of `evaluate`, and draws.

    Raises:
      ValueError: no images, or images that do not fit the model.
      FloatingPointError: see `evaluate`.
    """
    _check_batch_size(batch_size)
    num_images = split.num_images if num_images is None else min(num_images, split.num_images)
    batch_size = min(batch_size, max(num_images, 1))
    nats, num = [], 0
    for images, _ in split_batches(split, batch_size, num_images):
        found = model.importance_log_prob(filled_up(images, batch_size), draws)[: len(images)]
        _check_finite(found, num)
        nats.append(found)
        num += len(images)
    if not nats:
        raise ValueError("there are no images to evaluate.")
    bits = bits_per_dim(-np.concatenate(nats), model.image_shape)
    return {
        "draws": draws,
        "bits_per_dim": float(bits.mean()),
        "standard_error": float(bits.std(ddof=1) / math.sqrt(len(bits))) if len(bits) > 1 else None,
    }


def mapped(labels, label_map):
    """The model's labels for those of a split; `label_map` as for `score`."""
    return (
        labels
        if label_map is None or labels is None
        else np.asarray(label_map, labels.dtype)[labels]
    )


def split_batches(split, batch_size, num_images=None):
    """Reads a data split in order.

    Args:
      split: a split of `data.load`.
      batch_size: number of images in a batch, at least 1.
      num_images: stop after the first images; None for all.

    Yields:
      Images uint8 [n, H, W, C] and labels [n] (None where the data have none), with
      n = batch_size but for the last batch.

    Raises:
      UserError: an image cannot be read.
    """
    left = math.inf if num_images is None else num_images
    if left <= 0:
        return
    batches = iter(split.eval_batches(batch_size))
    while (batch := _next_batch(batches)) is not None:
        images, labels = batch if split.has_labels else (batch[0], None)
        take = int(min(left, len(images)))
        yield np.asarray(images)[:take], None if labels is None else np.asarray(labels)[:take]
        left -= take
        if left <= 0:
            return


def _batches_of(dataset, batch_size):
    """Images and condition (or None) of a tf.data.Dataset of batches, in batches of this size."""
    if any(len(spec.shape) < 1 for spec in tf.nest.flatten(dataset.element_spec)):
        raise ValueError("the tf.data.Dataset must give batches: call its batch(…) before.")
    for batch in dataset.rebatch(batch_size).as_numpy_iterator():
        yield unpacked(batch)


def _next_batch(batches):
    try:
        return next(batches, None)
    except tf.errors.OpError as error:
        raise input_error(error) from error


def _check_batch_size(batch_size):
    check_integer("batch_size", batch_size, 1)


def _evaluate_batches(model, batches, batch_size, log_prob_parts=None):
    """`evaluate` of pairs of images and condition; only the last may be a partial batch."""
    log_prob_parts = log_prob_parts or model.log_prob_parts
    parts = []  # one array [n, P] per batch
    num_images = warm_images = 0
    start = warm = time.perf_counter()
    for images, condition in batches:
        nats = _parts(log_prob_parts, images, condition, batch_size)
        _check_finite(nats.sum(axis=1), num_images)
        parts.append(nats)
        num_images += len(images)
        if not warm_images:
            warm_images, warm = num_images, time.perf_counter()
    if not num_images:
        raise ValueError("there are no images to evaluate.")
    if num_images == warm_images:
        warm_images, warm = 0, start
    images_per_second = (num_images - warm_images) / (time.perf_counter() - warm)

    parts = np.concatenate(parts)
    log_probs = parts.sum(axis=1)
    bits = bits_per_dim(-log_probs, model.image_shape)
    per_channel = terms = None
    if model.terms is None:
        colour_shape = (*model.image_shape[:2], 1)
        per_channel = bits_per_dim(-parts.mean(axis=0), colour_shape).tolist()
    else:
        shares = bits_per_dim(-parts.mean(axis=0), model.image_shape).tolist()
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


def _check_finite(log_probs, first):
    """Raises the FloatingPointError that names the image; `first` is the number of the first."""
    wrong = np.flatnonzero(~np.isfinite(log_probs))
    if wrong.size:
        raise FloatingPointError(
            f"the log-probability of image {first + wrong[0]} (counted from 0) is "
            f"{log_probs[wrong[0]]}: the model gives no valid probability for it"
        )


def _parts(log_prob_parts, images, condition, batch_size):
    """Nats of every image's parts, float64 [n, P].

    A partial batch is filled up with copies of its first image, so that no graph is traced again
    for it, and the copies are dropped.
    """
    size = len(images)
    parts = log_prob_parts(
        filled_up(images, batch_size),
        None if condition is None else filled_up(condition, batch_size),
    )
    return np.asarray(parts)[:size]


def filled_up(array, size):
    """A batch made up to `size` by copies of its first entry."""
    return np.concatenate([array, np.repeat(array[:1], size - len(array), axis=0)])
