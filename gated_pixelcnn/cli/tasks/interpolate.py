"""Interpolation between two classes, two images or two z."""

import functools
import os

import numpy as np
from absl import flags

from gated_pixelcnn import paths
from gated_pixelcnn.cli.labels import parse_label
from gated_pixelcnn.cli.tasks.task import Flag, Prompts, Task
from gated_pixelcnn.data import photos
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.models.capabilities import HasLatents


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


class Interpolate(Task):
    """Draws from what lies between two ends."""

    flags = (
        Flag(
            "interpolate",
            "Two classes or image files with a comma between them: a row of images from one to the "
            "other, all with the same random numbers; of a model with latent variables also two "
            "numbers, each of a z. Again for another row.",
            define=flags.DEFINE_multi_string,
            images=True,
        ),
        Flag(
            "path",
            "How --interpolate goes from one to the other.",
            "linear",
            functools.partial(flags.DEFINE_enum, enum_values=list(WAYS)),
        ),
    )
    conditions = ("label", "image")
    capabilities = (HasLatents,)
    not_exported = "an exported model takes classes and images, nothing between them"
    impossible = (
        "this model is conditioned neither on a class nor on an image, and has no latent variables"
    )

    def _read(self, values, model, trained):
        # All images of a row have the same random numbers.
        pairs = [_ends(text, model, values.seed, trained) for text in values.interpolate]
        rows = len(pairs)
        num = values.num or rows * 8
        columns = -(-num // rows)
        turn = np.arange(num)
        along = np.linspace(0, 1, columns)[turn // rows] if columns > 1 else np.zeros(num)
        between = WAYS[values.path]
        points = [between(*pairs[i % rows], t) for i, t in enumerate(along)]
        field = "stage" if isinstance(model, HasLatents) else "condition"
        points = {field: np.array(points, np.float32)}
        return Prompts(num, turn % rows, min(rows, num), **points)


def _ends(text, model, seed, trained):
    """Two classes, images or numbers of a z, as an array of weights of classes, codes, or z."""
    names = trained.class_names
    words = paths.split_names(text, lambda word: word in names or os.path.exists(paths.local(word)))
    if len(words) != 2:
        raise UserError(
            f"--interpolate needs two ends with a comma between them, as in --interpolate=3,8 or "
            f"--interpolate=a.png,b.png, got {text!r}"
        )
    if model.condition_kind == "label":
        known = model.condition_size, names, trained.empty_classes
        labels = [parse_label("interpolate", word, *known) for word in words]
        return np.eye(model.condition_size)[labels]
    has_latents = isinstance(model, HasLatents)
    numbers = [has_latents and word.isdecimal() for word in words]
    if any(numbers) and not (all(numbers) and max(map(int, words)) < 2**31):
        raise UserError(
            f"--interpolate={text}: both ends must be numbers of a z, 0…{2**31 - 1}, or both files"
        )
    if all(numbers):
        return np.asarray(model.draw_latents(seed, np.array(words, np.int64)))
    words = [paths.local(word) for word in words]
    for word in words:
        if os.path.isdir(word) or photos.is_npz(word):
            raise UserError(f"--interpolate goes from one image file to another; {word} is not one")
    images = np.concatenate([trained.images(word, model) for word in words])
    return np.asarray(model.encode_latents(images) if has_latents else model.encode(images))
