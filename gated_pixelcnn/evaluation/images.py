"""The images of a data split that a model is evaluated on, in batches of one size."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from gated_pixelcnn.data.batches import input_error
from gated_pixelcnn.spec import check_integer


@dataclasses.dataclass(frozen=True)
class Images:
    """Images of a data split.

    Attributes:
      split: a split of `data.load`.
      batch_size: number of images in one forward pass, at least 1.
      num_images: the first images only; None for all.
      label_map: the model's label for each label of the split, a list; None if they are the same.
      log_prob_terms: what computes the nats of a batch, see `DensityModel.log_prob_terms`, which it
        is by default.
      train: the split that was trained on, for baselines; None if there is none.
    """

    split: Any
    batch_size: int = 64
    num_images: int | None = None
    label_map: list | None = None
    log_prob_terms: Callable | None = None
    train: Any = None

    def __post_init__(self):
        """Checks the numbers."""
        check_integer("batch_size", self.batch_size, 1)

    @property
    def num(self):
        """Number of images."""
        all_images = self.split.num_images
        return all_images if self.num_images is None else min(self.num_images, all_images)

    @property
    def size(self):
        """Number of images in a batch but the last."""
        return min(self.batch_size, max(self.num, 1))

    def batches(self):
        """Yields integers [n, H, W, C], and the model's labels [n] or conditions [n, …] or None.

        Raises:
          UserError: an image cannot be read.
        """
        for images, labels in split_batches(self.split, self.size, self.num):
            yield images, mapped(labels, self.label_map)

    def run(self, function):
        """Applies a function to all images; returns an array [num, …].

        Args:
          function: integers [n, H, W, C] → an array [n, …], always of as many images.
        """
        return np.concatenate(
            [
                np.asarray(function(filled_up(images, self.size)))[: len(images)]
                for images, _ in self.batches()
            ]
        )


def check_numbers(values, what, why, first=0):
    """Raises an error where one of the values of images [n, …] is NaN or infinite.

    Args:
      values: floats.
      what: what they are, such as "the squared error".
      why: what that says.
      first: number of the first image.

    Raises:
      FloatingPointError: the message names the image.
    """
    flat = np.reshape(values, [len(values), -1])
    wrong = np.argwhere(~np.isfinite(flat))
    if len(wrong):
        image, place = wrong[0]
        raise FloatingPointError(
            f"{what} of image {first + image} (counted from 0) is {flat[image, place]}: {why}"
        )


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
      Images, integers [n, H, W, C], and labels [n] or conditions [n, …] (None where the data have
      none), with n = batch_size but for the last batch.

    Raises:
      UserError: an image cannot be read.
    """
    left = math.inf if num_images is None else num_images
    if left <= 0:
        return
    batches = iter(split.eval_batches(batch_size))
    while (batch := _next_batch(batches)) is not None:
        images, *beside = (np.asarray(part) for part in batch)
        take = int(min(left, len(images)))
        yield images[:take], beside[0][:take] if beside else None
        left -= take
        if left <= 0:
            return


def _next_batch(batches):
    try:
        return next(batches, None)
    except tf.errors.OpError as error:
        raise input_error(error) from error


def filled_up(array, size):
    """A batch made up to `size` by copies of its first entry."""
    return np.concatenate([array, np.repeat(array[:1], size - len(array), axis=0)])
