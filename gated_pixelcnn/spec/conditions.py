"""Conditions that a model takes: none, a class, a vector, maps or an image."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from gated_pixelcnn import graph_checks
from gated_pixelcnn.errors import nearest
from gated_pixelcnn.names import find_name
from gated_pixelcnn.spec.arguments import Array, as_array
from gated_pixelcnn.spec.images import ImageSpec

MOST = 1e30  # size of a served condition's numbers: sums of products with weights stay finite


class ConditionSpec:
    """No condition; the base of those that there are.

    Attributes:
      kind: None, "label", "vector", "spatial" or "image".
      size: number of classes, length of the vector, number of maps or, of an image, m, the numbers
        of its code; 0 for none.
      images: the ImageSpec of the model.
      names: names of the classes in the order of the labels, or of the entries of a vector or maps;
        () where they are not known.
      as_served: whether only the first of the `forms` is taken, and numbers of at most MOST in
        size, as by the graphs of an export.
      beside_images: whether batches of a data set have it beside the images.
    """

    kind = None
    beside_images = False
    sized = ""  # what size is the number of
    named = ""  # what has names

    def __init__(self, size: int, images: ImageSpec, as_served: bool = False) -> None:
        """Args: size, images and as_served: see the class."""
        self.size, self.images, self.as_served, self._names = size, images, as_served, ()
        if self.sized and size < 1:
            raise ValueError(
                f"condition_size must be the number of {self.sized} (at least 1) of the "
                f"{self.kind} condition, got {size}."
            )

    def forms(self, num: int | None) -> list[tuple]:
        """Forms that it may have, the first one in a request: [(integers or numbers, shape)]."""
        return []

    def check(self, condition: Array | None, num: int | None) -> tf.Tensor | None:
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
            if self.as_served and not (np.abs(condition) <= MOST).all():
                raise ValueError(f"the {self.kind} condition must be numbers of at most {MOST:g}.")
            return condition
        finite = graph_checks.required(tf.math.is_finite(condition), message)
        return graph_checks.after([finite], condition)

    def check_kind(self, condition: Array | None, num: int | None) -> str | None:
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

    def check_integers(self, condition: Array | None) -> tf.Tensor:
        """Integers whose shape fits, as a tensor, or the error that says what is wrong."""

    @property
    def values(self) -> int:
        """Number of values that its integers may have; 0 where they are numbers of any kind."""
        return 0

    def of(self, images: Array, condition: Array | None) -> Array | None:
        """Returns the condition of images where a caller gives this one, or None."""
        return condition

    @property
    def names(self) -> tuple[str, ...]:
        """See the class; they may be set, all of them or none."""
        return self._names

    @names.setter
    def names(self, names: Sequence[str]) -> None:
        names, wanted = tuple(names), self.size if self.named else 0
        if len(names) not in (0, wanted) or not all(isinstance(name, str) for name in names):
            raise ValueError(
                f"condition_names must be the names of the {wanted} {self.named or 'classes'} of "
                f"this model, got {len(names)}: {', '.join(map(str, names[:20]))}."
            )
        self._names = names

    def numbered(self, condition: Array | None, num: int | None = 1) -> Array | None:
        """Labels in the place of names, see `Label.numbered`; anything else stays."""
        return condition

    def of_data(self, images: Array, beside: Array | None) -> Array | None:
        """The condition of a batch of a data set; `beside`: labels, vectors or maps, or None."""
        return None

    def mismatched(
        self, condition: Array | None, start: int, others: Callable[[int], Array]
    ) -> tf.Tensor:
        """A control that has nothing of an image in its condition; see `MismatchedCondition`.

        Args:
          condition: of a batch, as `of_data` gives it.
          start: the index of its first image in the data set.
          others: function of a number, to the conditions of the next so many images half the data
            set away.

        Returns:
          The condition of another class or image for each, None where there is no condition.
        """
        return None

    def alternatives(self, num_images: int) -> int:
        """Number of conditions in a data set of so many images; 1 or 0: no control."""
        return 0

    def for_grid(self, num: int | None, examples: Callable[[int], tuple]) -> tuple:
        """The conditions of a grid of about so many samples that show what a model has learned.

        Args:
          num: number of samples.
          examples: function of a number, to so many images of the data and what is beside them.

        Returns:
          The conditions, what is shown above the samples (or None), and the number of columns (None
          for a square).
        """
        return None, None, None

    def served(self) -> dict[str, tf.TensorSpec]:
        """Shape and type of a batch by its name in a SavedModel: {} or {kind: tf.TensorSpec}."""
        if self.kind is None:
            return {}
        what, (_, *shape) = self.forms(None)[0]
        dtype = self.integer_dtype if what == "integers" else tf.float32
        return {self.kind: tf.TensorSpec([None, *shape], dtype)}

    def check_served(self, name: str, condition: Array | None) -> tf.Tensor:
        """The condition of a request, whose values are checked in the graph."""
        message = f"{name} must be numbers of at most {MOST:g} in size"
        fits = graph_checks.required(tf.abs(condition) <= MOST, message)  # NaN is not
        return graph_checks.after([fits], condition)


class Label(ConditionSpec):
    """A class, or weights of the classes."""

    kind, sized, named, beside_images = "label", "classes", "classes", True
    integer_dtype = tf.int32

    def forms(self, num: int | None) -> list[tuple]:
        """See `ConditionSpec`."""
        return [("integers", (num,)), ("weights of the classes", (num, self.size))]

    def check_integers(self, condition: Array | None) -> tf.Tensor:
        """See `ConditionSpec`."""
        message = f"labels must be 0…{self.size - 1} for a model of {self.size} classes"
        return tf.cast(graph_checks.below(self.size, message, condition), tf.int32)

    @property
    def values(self) -> int:
        """See `ConditionSpec`."""
        return self.size

    def numbered(self, condition: Array | None, num: int | None = 1) -> Array | None:
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

    def of_data(self, images: Array, beside: Array | None) -> Array | None:
        """See `ConditionSpec`."""
        if beside is None:
            raise ValueError(
                "this model is conditioned on the label, but the images have no labels."
            )
        return beside

    def mismatched(
        self, condition: Array | None, start: int, others: Callable[[int], Array]
    ) -> tf.Tensor:
        """Another label for every image, each as often: see `ConditionSpec`."""
        steps = 1 + (start + np.arange(len(condition))) % max(self.size - 1, 1)
        return ((condition + steps) % self.size).astype(condition.dtype)

    def alternatives(self, num_images: int) -> int:
        """See `ConditionSpec`."""
        return self.size

    def for_grid(self, num: int | None, examples: Callable[[int], tuple]) -> tuple:
        """All classes in turn, in columns if they all have as many samples."""
        return np.arange(num) % self.size, None, None if num % self.size else self.size

    def check_served(self, name: str, condition: Array | None) -> tf.Tensor:
        """See `ConditionSpec`."""
        return graph_checks.below(self.size, f"{name} must be 0…{self.size - 1}", condition)


class OfEachImage(ConditionSpec):
    """A condition of which every image has its own: base of those that are no classes."""

    def mismatched(
        self, condition: Array | None, start: int, others: Callable[[int], Array]
    ) -> tf.Tensor:
        """That of the image half the data set away, as alike ones may follow each other."""
        return others(len(condition))

    def alternatives(self, num_images: int) -> int:
        """See `ConditionSpec`."""
        return num_images


class Vector(OfEachImage):
    """A vector of numbers, or of zeros and ones for tags."""

    kind, sized, named, beside_images = "vector", "vector length", "entries", True
    found = "vectors"

    def forms(self, num: int | None) -> list[tuple]:
        """See `ConditionSpec`."""
        return [("numbers", (num, self.size))]

    def of_data(self, images: Array, beside: Array | None) -> Array | None:
        """See `ConditionSpec`."""
        if beside is None:
            raise ValueError(
                f"this model is conditioned on a {self.kind}, but the images have no "
                f"{self.found}: call evaluate(model, images, condition)."
            )
        return beside

    def for_grid(self, num: int | None, examples: Callable[[int], tuple]) -> tuple:
        """Conditions of the data, above each sample the image that has it."""
        images, conditions = examples(num)
        return conditions, images, len(images)


class Spatial(Vector):
    """Maps of the image's size."""

    kind, sized, named, found = "spatial", "maps", "maps", "maps"

    def forms(self, num: int | None) -> list[tuple]:
        """See `ConditionSpec`."""
        return [("numbers", (num, *self.images.shape[:2], self.size))]


class Image(OfEachImage):
    """An image, of which an encoder makes a code; or the code."""

    kind = "image"

    @property
    def integer_dtype(self) -> tf.DType:
        """The type of the model's images."""
        return self.images.dtype

    def forms(self, num: int | None) -> list[tuple]:
        """See `ConditionSpec`."""
        return [("integers", (num, *self.images.shape)), ("codes", (num, self.size))]

    def check_integers(self, condition: Array | None) -> tf.Tensor:
        """See `ConditionSpec`."""
        return self.images.check(condition)

    @property
    def values(self) -> int:
        """See `ConditionSpec`."""
        return self.images.levels

    def of(self, images: Array, condition: Array | None) -> Array | None:
        """Returns the condition; where none is given, images are conditioned on themselves."""
        return images if condition is None else condition

    def of_data(self, images: Array, beside: Array | None) -> Array | None:
        """See `ConditionSpec`."""
        return images

    def for_grid(self, num: int | None, examples: Callable[[int], tuple]) -> tuple:
        """Images of the data, above each what is drawn from its code."""
        shown, _ = examples(num)
        return shown, shown, len(shown)

    def check_served(self, name: str, condition: Array | None) -> tf.Tensor:
        """See `ConditionSpec`."""
        return self.images.check_served(name, condition)


KINDS = {kind.kind: kind for kind in (ConditionSpec, Label, Vector, Spatial, Image)}


def stands_beside(kind: str | None) -> bool:
    """Whether a kind of condition stands beside the images of a data set."""
    return kind in KINDS and KINDS[kind].beside_images


def condition_spec(
    kind: str | None,
    size: int,
    images: ImageSpec,
    names: Sequence[str] = (),
    as_served: bool = False,
) -> ConditionSpec:
    """Makes the ConditionSpec of a model.

    Args:
      kind: None, "label", "vector", "spatial" or "image".
      size: see `ConditionSpec`.
      images: the model's ImageSpec.
      names: of the classes or entries, if they are known.
      as_served: see `ConditionSpec`.

    Raises:
      ValueError: an unknown kind, a size out of its range, or names that do not fit.
    """
    if kind not in KINDS:
        raise ValueError(f"condition must be one of {tuple(KINDS)}, got {kind!r}.")
    result = KINDS[kind](size, images, as_served)
    result.names = names
    return result
