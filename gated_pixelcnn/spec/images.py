"""Images that a model takes, and bits per dimension of them."""

import dataclasses
import math
from typing import Any

import tensorflow as tf

from gated_pixelcnn import graph_checks
from gated_pixelcnn.limits import MOST_CHANNELS
from gated_pixelcnn.spec.arguments import Array, as_array, check_integer

MOST_LEVELS = 65_536
ORDERED, CATEGORICAL = "ordered", "categorical"


def integer_type(levels: int) -> tf.DType:
    """The type of arrays of values 0…levels−1: uint8, or uint16 above 256 levels."""
    return tf.uint8 if levels <= 256 else tf.uint16


@dataclasses.dataclass(frozen=True)
class ImageSpec:
    """Images, or maps of codes, of a shape and a number of levels.

    Attributes:
      shape: (H, W, C).
      levels: number of values that a colour of a pixel can take, 2…65,536.
      values: "ordered", such as brightness, or "categorical", such as codes or tiles, whose numbers
        say nothing.
    """

    shape: tuple
    levels: int
    values: str = ORDERED

    def __post_init__(self):
        """Raises the ValueError that says what is wrong."""
        shape = tuple(int(size) for size in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError(f"image_shape must be (height, width, channels), got {shape}.")
        levels = check_integer("levels", self.levels, 2, MOST_LEVELS)
        if self.values not in (ORDERED, CATEGORICAL):
            raise ValueError(f"values must be {ORDERED!r} or {CATEGORICAL!r}, got {self.values!r}.")
        if shape[2] > MOST_CHANNELS and not self.is_categorical:
            raise ValueError(
                f"image_shape must have at most {MOST_CHANNELS} channels of ordered values, got "
                f"{shape}; more are maps of codes, whose values are {CATEGORICAL!r}."
            )
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "levels", levels)

    @property
    def dtype(self) -> tf.DType:
        """See `integer_type`."""
        return integer_type(self.levels)

    @property
    def is_categorical(self) -> bool:
        """Whether values have no order."""
        return self.values == CATEGORICAL

    def check(self, images: Array, name: str = "images") -> tf.Tensor:
        """Images in the type of their levels, or the error that says what does not fit."""
        images = as_array(name, images)
        self.check_kind(images, name)
        message = f"{name} must have values 0…{self.levels - 1} for a model of {self.levels} levels"
        return tf.cast(graph_checks.below(self.levels, message, images), self.dtype)

    def check_kind(self, images: Array, name: str = "images") -> None:
        """Checks shape and type, without looking at values."""
        shape = tuple(images.shape)
        if len(shape) != 4 or shape[1:] != self.shape:
            raise ValueError(
                f"{name} must have the shape [N, {', '.join(map(str, self.shape))}] of this "
                f"model, got {list(shape)}."
            )
        if shape[0] == 0:
            raise ValueError(f"{name} must be at least one, got an array of the shape {shape}.")
        dtype = tf.as_dtype(images.dtype)
        if not (dtype.is_integer or dtype.is_bool):
            raise ValueError(
                f"{name} must be integers 0…{self.levels - 1} ({self.dtype.name}), not "
                f"{dtype.name}."
            )

    def check_completion(
        self, given: Array, known: Array | None, num: int | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """`given` and `known` of `sample` for every image, or the ValueError that says why not."""
        given = self.check(given, "given")
        known = tf.convert_to_tensor(as_array("known", known))
        if known.dtype != tf.bool:
            raise ValueError(f"known must be booleans, got {known.dtype.name}.")
        whole = [num, *self.shape]
        for name, array in (("given", given), ("known", known)):
            shape = array.shape.as_list()
            fits = zip(shape[::-1], whole[::-1], strict=False)
            if len(shape) > 4 or any(size not in (1, wanted) for size, wanted in fits):
                raise ValueError(f"{name} must broadcast to shape {whole}, got {shape}.")
        return tf.broadcast_to(given, whole), tf.broadcast_to(known, whole)

    def scale(self, images: Array, dtype: str) -> tf.Tensor:
        """Integers 0…levels−1 → the network's input −1…1."""
        wide = "float64" if dtype == "float64" else "float32"  # float16 ends at 65,504
        return tf.cast(tf.cast(images, wide) * (2.0 / (self.levels - 1)) - 1.0, dtype)

    def served(self) -> tf.TensorSpec:
        """Shape and type of a batch, for a SavedModel."""
        return tf.TensorSpec([None, *self.shape], self.dtype)

    def check_served(self, name: str, images: Array) -> tf.Tensor:
        """Images of a request, whose values are checked in the graph."""
        message = f"{name} must have values 0…{self.levels - 1}"
        return graph_checks.below(self.levels, message, images)


def bits_per_dim(nats: Any, image_shape: tuple[int, ...]) -> Any:
    """Converts code lengths of whole images: the one place where nats become bits/dim.

    Bits/dim is the mean code length of one colour of one pixel: -log2 p(image) / (H * W * C).

    Args:
      nats: -log p of images, a number, an array or a tensor of any shape.
      image_shape: (H, W, C) of the images.

    Returns:
      Bits per dimension, in the shape of `nats`.
    """
    return nats / (math.log(2) * math.prod(image_shape))


def kind_of_images(image_shape: tuple[int, ...], levels: int) -> str:
    """Name for messages of images of a shape (H, W, C)."""
    return f"{'x'.join(map(str, image_shape))} with {levels} levels"
