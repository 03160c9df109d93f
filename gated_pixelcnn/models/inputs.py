"""What a user may get wrong in the images and conditions that are given to a model."""

import numpy as np
import tensorflow as tf

from gated_pixelcnn import graph_checks


class InputChecks:
    """The checks of a model, which has the attributes that they look at.

    Every ValueError says what was wanted and what was found. In a graph the values are not known
    when it is traced: there it is an InvalidArgumentError of the run that says so. A graph that XLA
    compiles has no assertions: its nats are NaN.
    """

    def checked(self, images, condition=None):
        """Images as uint8 and their condition as a tensor, or the error that says why not."""
        images = self.check_images(images)
        condition = self.own_condition(images, condition)
        if condition is images:
            return images, images
        return images, self.check_condition(condition, images.shape[0])

    def nan_if_unchecked(self, nats, images, condition):
        """Nats of these images, NaN where a check of values was left out of the graph."""
        checked = [(self.levels, images)]
        if tf.is_symbolic_tensor(condition) and condition.dtype.is_integer:
            size = self.condition_size if self.condition_kind == "label" else self.levels
            checked.append((size, condition))
        return graph_checks.nan_unless_below(nats, *checked)

    def own_condition(self, images, condition):
        """What images are conditioned on: where it is an image and none is given, on themselves."""
        return images if condition is None and self.condition_kind == "image" else condition

    def check_images(self, images):
        """Returns images as uint8, or raises the ValueError that says what does not fit."""
        images = as_array("images", images)
        self.check_kind_of_images(images)
        message = f"images must have values 0…{self.levels - 1} for a model of {self.levels} levels"
        return tf.cast(graph_checks.below(self.levels, message, images), tf.uint8)

    def check_kind_of_images(self, images):
        """What can be told without looking at values: shape and type."""
        shape = tuple(images.shape)
        if len(shape) != 4 or shape[1:] != self.image_shape:
            raise ValueError(
                f"images must have the shape [N, {', '.join(map(str, self.image_shape))}] of this "
                f"model, got {list(shape)}."
            )
        dtype = tf.as_dtype(images.dtype)
        if not (dtype.is_integer or dtype.is_bool):
            raise ValueError(
                f"images must be integers 0…{self.levels - 1} (uint8), not {dtype.name}."
            )

    def check_condition(self, condition, num):
        """Returns the condition as a tensor, or raises the ValueError that says what is wrong."""
        if condition is not None and self.condition_kind is not None:
            condition = as_array("condition", condition)
        self.check_kind_of_condition(condition, num)
        if condition is None:
            return None
        rank = len(condition.shape)
        if self.condition_kind == "image" and rank == 4:
            return self.check_images(condition)
        if self.condition_kind == "label" and rank == 1:
            return self._check_labels(condition)
        condition = tf.cast(condition, tf.float32)
        message = f"the {self.condition_kind} condition has values not finite"
        if is_known(condition):
            if not np.isfinite(condition).all():
                raise ValueError(f"{message}.")
            return condition
        finite = graph_checks.required(tf.math.is_finite(condition), message)
        return graph_checks.after([finite], condition)

    def _check_labels(self, labels):
        classes = self.condition_size
        message = f"labels must be 0…{classes - 1} for a model of {classes} classes"
        return tf.cast(graph_checks.below(classes, message, labels), tf.int32)

    def check_kind_of_condition(self, condition, num):
        """What can be told without looking at values: presence, shape and type."""
        kind, size = self.condition_kind, self.condition_size
        if kind is None:
            if condition is not None:
                raise ValueError("this model is unconditional: it takes no condition.")
            return
        # What it may be: integers or numbers of any type, and their shape.
        forms = {
            "label": [("integers", (num,)), ("weights of the classes", (num, size))],
            "vector": [("numbers", (num, size))],
            "spatial": [("numbers", (num, *self.image_shape[:2], size))],
            "image": [("integers", (num, *self.image_shape)), ("codes", (num, size))],
        }[kind]
        wanted = " or ".join(f"{what} of shape {list(shape)}" for what, shape in forms)
        if condition is None:
            raise ValueError(
                f"this model is conditioned on a {kind}: condition is missing ({wanted})."
            )
        dtype = tf.as_dtype(condition.dtype)
        for what, shape in forms:
            fits = tf.TensorShape(condition.shape).is_compatible_with(shape)
            if fits and (what != "integers" or dtype.is_integer):
                return
        raise ValueError(
            f"the {kind} condition must be {wanted}, got {dtype.name} of shape "
            f"{list(condition.shape)}."
        )

    def check_completion(self, given, known, num):
        """`given` and `known` of `sample` for every image, or the ValueError that says why not."""
        given = self.check_images(given)
        known = tf.convert_to_tensor(as_array("known", known))
        if known.dtype != tf.bool:
            raise ValueError(f"known must be booleans, got {known.dtype.name}.")
        whole = [num, *self.image_shape]
        for name, array in (("given", given), ("known", known)):
            shape = array.shape.as_list()
            fits = zip(shape[::-1], whole[::-1], strict=False)
            if len(shape) > 4 or any(size not in (1, wanted) for size, wanted in fits):
                raise ValueError(f"{name} must broadcast to shape {whole}, got {shape}.")
        return tf.broadcast_to(given, whole), tf.broadcast_to(known, whole)


def checked_shape(image_shape):
    """(H, W, C) as a tuple of integers, or the ValueError that says what is wrong."""
    image_shape = tuple(int(size) for size in image_shape)
    if len(image_shape) != 3 or min(image_shape) < 1:
        raise ValueError(f"image_shape must be (height, width, channels), got {image_shape}.")
    return image_shape


def as_array(name, values, refused="OSUcMm"):
    """Values as an array of numbers (a tensor stays one), or the ValueError that says why not.

    Args:
      name: of the argument.
      values: an array or what NumPy makes one of.
      refused: kinds of NumPy's types that are no numbers here.
    """
    if tf.is_tensor(values):
        return values
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} must be an array of numbers ({error}).") from None
    if array.dtype.kind in refused:
        raise ValueError(
            f"{name} must be an array of numbers, got {array.dtype} of shape {list(array.shape)}."
        )
    return array


def is_known(array):
    """Whether an array's values can be looked at: not inside a graph that is being traced."""
    return not tf.is_symbolic_tensor(array)
