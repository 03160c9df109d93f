"""Images and conditions that a model takes: the one place that knows their shapes and checks them.

Every ValueError says what was wanted and what was found. In a graph values are not known when it is
traced: there it is an InvalidArgumentError of the run that says so. A graph that XLA compiles has
no assertions: its nats are NaN.
"""

import dataclasses
import math
import operator

import numpy as np
import tensorflow as tf

from gated_pixelcnn import graph_checks
from gated_pixelcnn.errors import nearest
from gated_pixelcnn.names import folded

MOST = 1e30  # size of a served condition's numbers: sums of products with weights stay finite


@dataclasses.dataclass(frozen=True)
class ImageSpec:
    """Images of a shape and a number of levels.

    Attributes:
      shape: (H, W, C).
      levels: number of values that a colour of a pixel can take, 2…256.
    """

    shape: tuple
    levels: int

    def __post_init__(self):
        """Raises the ValueError that says what is wrong."""
        shape = tuple(int(size) for size in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError(f"image_shape must be (height, width, channels), got {shape}.")
        check_integer("levels", self.levels, 2, 256)
        object.__setattr__(self, "shape", shape)

    def check(self, images, name="images"):
        """Images as uint8, or the error that says what does not fit."""
        images = as_array(name, images)
        self.check_kind(images, name)
        message = f"{name} must have values 0…{self.levels - 1} for a model of {self.levels} levels"
        return tf.cast(graph_checks.below(self.levels, message, images), tf.uint8)

    def check_kind(self, images, name="images"):
        """Checks shape and type, without looking at values."""
        shape = tuple(images.shape)
        if len(shape) != 4 or shape[1:] != self.shape:
            raise ValueError(
                f"{name} must have the shape [N, {', '.join(map(str, self.shape))}] of this "
                f"model, got {list(shape)}."
            )
        dtype = tf.as_dtype(images.dtype)
        if not (dtype.is_integer or dtype.is_bool):
            raise ValueError(
                f"{name} must be integers 0…{self.levels - 1} (uint8), not {dtype.name}."
            )

    def check_completion(self, given, known, num):
        """`given` and `known` of `sample` for every image, or the ValueError that says why not."""
        given = self.check(given)
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

    def scale(self, images, dtype):
        """Integers 0…levels−1 → the network's input −1…1."""
        return tf.cast(images, dtype) * (2.0 / (self.levels - 1)) - 1.0

    def served(self):
        """Shape and type of a batch, for a SavedModel."""
        return tf.TensorSpec([None, *self.shape], tf.uint8)

    def check_served(self, name, images):
        """Images of a request, whose values are checked in the graph."""
        message = f"{name} must have values 0…{self.levels - 1}"
        return graph_checks.below(self.levels, message, images)


class ConditionSpec:
    """No condition; the base of those that there are.

    Attributes:
      kind: None, "label", "vector", "spatial" or "image".
      size: number of classes, length of the vector, number of maps or, of an image, m, the numbers
        of its code; 0 for none.
      images: the ImageSpec of the model.
      names: names of the classes in the order of the labels, () where they are not known.
      as_served: whether only the first of the `forms` is taken, as by the graphs of an export.
      from_data: whether a data set has it.
    """

    kind = None
    from_data = True
    sized = ""  # what size is the number of

    def __init__(self, size, images, as_served=False):
        """Args: size, images and as_served: see the class."""
        self.size, self.images, self.as_served, self._names = size, images, as_served, ()
        if self.sized and size < 1:
            raise ValueError(
                f"condition_size must be the number of {self.sized} (at least 1) of the "
                f"{self.kind} condition, got {size}."
            )

    def forms(self, num):
        """Forms that it may have, the first one in a request: [(integers or numbers, shape)]."""
        return []

    def check(self, condition, num):
        """The condition of `num` images as a tensor, or the error that says what is wrong."""
        if condition is not None and self.kind is not None:
            condition = as_array("condition", self.numbered(condition, num))
        if self.check_kind(condition, num) == "integers":
            return self.check_integers(condition)
        if condition is None:
            return None
        condition = tf.cast(condition, tf.float32)
        message = f"the {self.kind} condition has values not finite"
        if not tf.is_symbolic_tensor(condition):
            if not np.isfinite(condition).all():
                raise ValueError(f"{message}.")
            return condition
        finite = graph_checks.required(tf.math.is_finite(condition), message)
        return graph_checks.after([finite], condition)

    def check_kind(self, condition, num):
        """Checks presence, shape and type, without looking at values.

        Returns:
          What it is of `forms`; None for no condition.
        """
        forms = self.forms(num)[: 1 if self.as_served else None]
        if not forms:
            if condition is not None:
                raise ValueError("this model is unconditional: it takes no condition.")
            return None
        wanted = " or ".join(f"{what} of shape {list(shape)}" for what, shape in forms)
        if condition is None:
            raise ValueError(
                f"this model is conditioned on a {self.kind}: condition is missing ({wanted})."
            )
        dtype = tf.as_dtype(condition.dtype)
        for what, shape in forms:
            fits = tf.TensorShape(condition.shape).is_compatible_with(shape)
            if fits and (what != "integers" or dtype.is_integer):
                return what
        raise ValueError(
            f"the {self.kind} condition must be {wanted}, got {dtype.name} of shape "
            f"{list(condition.shape)}."
        )

    def check_integers(self, condition):
        """Integers whose shape fits, as a tensor, or the error that says what is wrong."""

    @property
    def values(self):
        """Number of values that its integers may have; 0 where they are numbers of any kind."""
        return 0

    def of(self, images, condition):
        """Returns the condition of images where a caller gives this one, or None."""
        return condition

    @property
    def names(self):
        """See the class; they may be set, all of them or none."""
        return self._names

    @names.setter
    def names(self, names):
        names, classes = tuple(names), self.size if self.kind == "label" else 0
        if len(names) not in (0, classes) or not all(isinstance(name, str) for name in names):
            raise ValueError(
                f"class_names must be the names of the {classes} classes of this model, got "
                f"{len(names)}: {', '.join(map(str, names[:20]))}."
            )
        self._names = names

    def numbered(self, condition, num=1):
        """Labels in the place of names, see `Label.numbered`; anything else stays."""
        return condition

    def of_data(self, images, labels):
        """The condition of a batch of a data set."""
        return None

    def mismatched(self, condition, start, others):
        """A control that has nothing of an image in its condition; see `MismatchedCondition`.

        Args:
          condition: of a batch, as `of_data` gives it.
          start: the index of its first image in the data set.
          others: function of a number, to the next so many images half the data set away.

        Returns:
          The condition of another class or image for each, None where there is no condition.
        """
        return None

    def alternatives(self, num_images):
        """Number of conditions in a data set of so many images; 1 or 0: no control."""
        return 0

    def for_grid(self, num, images):
        """The conditions of a grid of about so many samples that show what a model has learned.

        Args:
          num: number of samples.
          images: function of a number, to so many images of the data.

        Returns:
          The conditions, what is shown above the samples (or None), and the number of columns (None
          for a square).
        """
        return None, None, None

    def served(self):
        """Shape and type of a batch by its name in a SavedModel: {} or {kind: tf.TensorSpec}."""
        if self.kind is None:
            return {}
        what, (_, *shape) = self.forms(None)[0]
        dtype = self.integer_dtype if what == "integers" else tf.float32
        return {self.kind: tf.TensorSpec([None, *shape], dtype)}

    def check_served(self, name, condition):
        """The condition of a request, whose values are checked in the graph."""
        message = f"{name} must be numbers of at most {MOST:g} in size"
        fits = graph_checks.required(tf.abs(condition) <= MOST, message)  # NaN is not
        return graph_checks.after([fits], condition)


class Label(ConditionSpec):
    """A class, or weights of the classes."""

    kind, sized = "label", "classes"
    integer_dtype = tf.int32

    def forms(self, num):
        """See `ConditionSpec`."""
        return [("integers", (num,)), ("weights of the classes", (num, self.size))]

    def check_integers(self, condition):
        """See `ConditionSpec`."""
        message = f"labels must be 0…{self.size - 1} for a model of {self.size} classes"
        return tf.cast(graph_checks.below(self.size, message, condition), tf.int32)

    @property
    def values(self):
        """See `ConditionSpec`."""
        return self.size

    def numbered(self, condition, num=1):
        """Labels in the place of names.

        Args:
          condition: a name, which all images have, or a list of names; anything else stays.
          num: number of images, for a single name.

        Raises:
          ValueError: a name that no class has, or several have.
        """
        if condition is None or tf.is_tensor(condition):
            return condition
        names = [condition] * num if isinstance(condition, str) else condition
        names = as_array("condition", names, refused="")
        if names.ndim != 1 or not names.size or not all(isinstance(name, str) for name in names):
            return condition
        return np.array([self._label_of(str(name)) for name in names], np.int32)

    def _label_of(self, name):
        label = find_name(name, self.names)
        if label is None:
            unnamed = "; its classes have no names, give labels"
            hint = nearest(name, self.names) if self.names else unnamed
            raise ValueError(f"this model has no class {name!r}{hint}")
        return label

    def of_data(self, images, labels):
        """See `ConditionSpec`."""
        if labels is None:
            raise ValueError(
                "this model is conditioned on the label, but the images have no labels."
            )
        return labels

    def mismatched(self, condition, start, others):
        """Another label for every image, each as often: see `ConditionSpec`."""
        steps = 1 + (start + np.arange(len(condition))) % max(self.size - 1, 1)
        return ((condition + steps) % self.size).astype(condition.dtype)

    def alternatives(self, num_images):
        """See `ConditionSpec`."""
        return self.size

    def for_grid(self, num, images):
        """All classes in turn, in columns if they all have as many samples."""
        return np.arange(num) % self.size, None, None if num % self.size else self.size

    def check_served(self, name, condition):
        """See `ConditionSpec`."""
        return graph_checks.below(self.size, f"{name} must be 0…{self.size - 1}", condition)


class Vector(ConditionSpec):
    """A vector of numbers."""

    kind, sized, from_data = "vector", "vector length", False

    def forms(self, num):
        """See `ConditionSpec`."""
        return [("numbers", (num, self.size))]

    def of_data(self, images, labels):
        """Refuses what no data set has."""
        raise ValueError(
            f"this model is conditioned on a {self.kind}, which data sets do not have: "
            "call evaluate(model, images, condition)."
        )


class Spatial(Vector):
    """Maps of the image's size."""

    kind, sized = "spatial", "maps"

    def forms(self, num):
        """See `ConditionSpec`."""
        return [("numbers", (num, *self.images.shape[:2], self.size))]


class Image(ConditionSpec):
    """An image, of which an encoder makes a code; or the code."""

    kind = "image"
    integer_dtype = tf.uint8

    def forms(self, num):
        """See `ConditionSpec`."""
        return [("integers", (num, *self.images.shape)), ("codes", (num, self.size))]

    def check_integers(self, condition):
        """See `ConditionSpec`."""
        return self.images.check(condition)

    @property
    def values(self):
        """See `ConditionSpec`."""
        return self.images.levels

    def of(self, images, condition):
        """Returns the condition; where none is given, images are conditioned on themselves."""
        return images if condition is None else condition

    def of_data(self, images, labels):
        """See `ConditionSpec`."""
        return images

    def mismatched(self, condition, start, others):
        """The image half the data set away, as those of a class may follow each other."""
        return others(len(condition))

    def alternatives(self, num_images):
        """See `ConditionSpec`."""
        return num_images

    def for_grid(self, num, images):
        """Images of the data, above each what is drawn from its code."""
        shown = images(num)
        return shown, shown, len(shown)

    def check_served(self, name, condition):
        """See `ConditionSpec`."""
        return self.images.check_served(name, condition)


KINDS = {kind.kind: kind for kind in (ConditionSpec, Label, Vector, Spatial, Image)}


def condition_spec(kind, size, images, names=(), as_served=False):
    """Makes the ConditionSpec of a model.

    Args:
      kind: None, "label", "vector", "spatial" or "image".
      size: see `ConditionSpec`.
      images: the model's ImageSpec.
      names: of the classes, if they are known.
      as_served: see `ConditionSpec`.

    Raises:
      ValueError: an unknown kind, a size out of its range, or names that do not fit.
    """
    if kind not in KINDS:
        raise ValueError(f"condition must be one of {tuple(KINDS)}, got {kind!r}.")
    result = KINDS[kind](size, images, as_served)
    result.names = names
    return result


class Inputs:
    """Mixin of what takes images and conditions: it has an `image_spec` and a `condition_spec`."""

    @property
    def image_shape(self):
        """(H, W, C)."""
        return self.image_spec.shape

    @property
    def levels(self):
        """Number of values that a colour of a pixel can take."""
        return self.image_spec.levels

    @property
    def condition_kind(self):
        """None, "label", "vector", "spatial" or "image"."""
        return self.condition_spec.kind

    @property
    def condition_size(self):
        """See `ConditionSpec.size`."""
        return self.condition_spec.size

    @property
    def class_names(self):
        """Names of the classes in the order of the labels, a tuple; () where they are not known.

        They may be set: as many as there are classes, for a model conditioned on the label.
        """
        return self.condition_spec.names

    @class_names.setter
    def class_names(self, names):
        self.condition_spec.names = names

    def checked(self, images, condition=None):
        """Images as uint8 and their condition as a tensor, or the error that says why not."""
        images = self.checked_images(images)
        condition = self.condition_spec.of(images, condition)
        if condition is images:
            return images, images
        return images, self.condition_spec.check(condition, images.shape[0])

    def checked_images(self, images):
        """Images as uint8, or the error that says why not."""
        self.prepare()
        return self.image_spec.check(images)

    def prepare(self):
        """Called before arguments are checked."""

    def nan_if_unchecked(self, nats, images, condition):
        """Nats of these images, NaN where a check of values was left out of the graph."""
        checked = [(self.levels, images)]
        if tf.is_symbolic_tensor(condition) and condition.dtype.is_integer:
            checked.append((self.condition_spec.values, condition))
        return graph_checks.nan_unless_below(nats, *checked)


def find_name(name, names):
    """The index of a name, in which case and accents' form count only where they must, or None.

    Raises:
      ValueError: several are called so.
    """
    for same in (str, folded):
        found = [index for index, known in enumerate(names) if same(known) == same(name)]
        if len(found) > 1:
            raise ValueError(f"{len(found)} classes are called {name!r}: give the label, a number")
        if found:
            return found[0]
    return None


def bits_per_dim(nats, image_shape):
    """Converts code lengths of whole images: the one place where nats become bits/dim.

    Bits/dim is the mean code length of one colour of one pixel: -log2 p(image) / (H * W * C).

    Args:
      nats: -log p of images, a number, an array or a tensor of any shape.
      image_shape: (H, W, C) of the images.

    Returns:
      Bits per dimension, in the shape of `nats`.
    """
    return nats / (math.log(2) * math.prod(image_shape))


def kind_of_images(image_shape, levels):
    """Name for messages of images of a shape (H, W, C)."""
    return f"{'x'.join(map(str, image_shape))} with {levels} levels"


def check_integer(name, value, lowest, highest=None):
    """The value as an int; otherwise a ValueError with the argument, the value, what is allowed.

    A float is no integer, whatever its value; arrays and tensors of one integer are.
    """
    allowed = f"at least {lowest}" if highest is None else f"from {lowest} to {highest}"
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except (TypeError, AttributeError):  # the latter of tensors
        number = None
    if number is None:
        of = "of " if highest is None else ""
        raise ValueError(f"{name} must be an integer {of}{allowed}, got {value!r}.")
    if number < lowest or (highest is not None and number > highest):
        raise ValueError(f"{name} must be {allowed}, got {number}.")
    return number


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
