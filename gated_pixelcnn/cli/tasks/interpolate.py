"""Ways between two classes, two images or two z."""

import os

import numpy as np

from gated_pixelcnn import paths
from gated_pixelcnn.cli.labels import parse_label
from gated_pixelcnn.data import photos
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.models.capabilities import HasLatents


def ends(text, model, seed, reading, class_names=(), empty_classes=()):
    """Reads the two ends of one --interpolate.

    Args:
      text: two classes, images, or numbers of a z, with a comma between them.
      model: the model that is to draw.
      seed: of the z.
      reading: how images are read, see `photos.Reading`.
      class_names: names of the classes in the order of their numbers, or none.
      empty_classes: numbers of those that were not trained on.

    Returns:
      The two in an array: weights of classes, codes of images, or z.

    Raises:
      UserError: an end that is not known, not possible, or not two.
    """
    words = paths.split_names(
        text, lambda word: word in class_names or os.path.exists(paths.local(word))
    )
    if len(words) != 2:
        raise UserError(
            f"--interpolate needs two ends with a comma between them, as in --interpolate=3,8 or "
            f"--interpolate=a.png,b.png, got {text!r}"
        )
    if model.condition_kind == "label":
        classes = model.condition_size
        known = classes, class_names, empty_classes
        labels = [parse_label("interpolate", word, *known) for word in words]
        return np.eye(classes)[labels]
    has_latents = isinstance(model, HasLatents)
    numbers = [has_latents and word.isdecimal() for word in words]
    if any(numbers) and not (all(numbers) and max(map(int, words)) < 2**31):
        raise UserError(
            f"--interpolate={text}: both ends must be numbers of a z, 0…{2**31 - 1}, or both files"
        )
    if all(numbers):
        return np.asarray(model.draw_latents(seed, np.array(words, np.int64)))
    if model.condition_kind != "image" and not has_latents:
        raise UserError(
            "--interpolate is not possible: this model is conditioned neither on a class nor on an "
            "image, and has no latent numbers"
        )
    words = [paths.local(word) for word in words]
    for word in words:
        if os.path.isdir(word) or word.lower().endswith(".npz"):
            raise UserError(f"--interpolate goes from one image file to another; {word} is not one")
    images = [photos.read_images(word, model.image_shape, model.levels, reading) for word in words]
    encode = model.encode_latents if has_latents else model.encode
    return np.asarray(encode(np.concatenate(images)))


def linear(start, end, t):
    """The point on the line between two vectors; t from 0 to 1."""
    return (1 - t) * start + t * end


def spherical(start, end, t):
    """The point on the great circle between two vectors, its length between theirs."""
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    shape, start, end = start.shape, start.ravel(), end.ravel()
    if min(lengths) == 0:
        return linear(start, end, t).reshape(shape)
    a, b = start / lengths[0], end / lengths[1]
    angle = np.arccos(np.clip(a @ b, -1, 1))
    if np.sin(angle) < 1e-6:  # one direction, or two that no single circle goes through
        return linear(start, end, t).reshape(shape)
    direction = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
    return (linear(*lengths, t) * direction).reshape(shape)


WAYS = {"linear": linear, "spherical": spherical}
