"""Mixin of what takes images and conditions."""

from collections.abc import Sequence

import tensorflow as tf

from gated_pixelcnn import graph_checks
from gated_pixelcnn.spec.arguments import Array
from gated_pixelcnn.spec.conditions import ConditionSpec
from gated_pixelcnn.spec.images import ImageSpec


class Inputs:
    """Mixin of what takes images and conditions: it has an `image_spec` and a `condition_spec`."""

    image_spec: ImageSpec
    condition_spec: ConditionSpec

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.image_spec.shape

    @property
    def levels(self) -> int:
        """Number of values that a colour of a pixel can take."""
        return self.image_spec.levels

    @property
    def condition_kind(self) -> str | None:
        """None, "label", "vector", "spatial" or "image"."""
        return self.condition_spec.kind

    @property
    def condition_size(self) -> int:
        """See `ConditionSpec.size`."""
        return self.condition_spec.size

    @property
    def condition_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of the labels, or of a vector's or maps' entries.

        A tuple; () where they are not known. They may be set, all of them or none.
        """
        return self.condition_spec.names

    @condition_names.setter
    def condition_names(self, names: Sequence[str]) -> None:
        self.condition_spec.names = names

    @property
    def class_names(self) -> tuple[str, ...]:
        """The `condition_names` of a model conditioned on the label; () of any other."""
        return self.condition_names if self.condition_kind == "label" else ()

    def checked(
        self, images: Array, condition: Array | None = None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Images as integers and their condition as a tensor, or the error that says why not."""
        images = self.checked_images(images)
        condition = self.condition_spec.of(images, condition)
        if condition is images:
            return images, images
        return images, self.condition_spec.check(condition, images.shape[0])

    def checked_images(self, images: Array) -> tf.Tensor:
        """Images in the type of their levels, or the error that says why not."""
        self.prepare()
        return self.image_spec.check(images)

    def prepare(self) -> None:
        """Called before arguments are checked."""

    def nan_if_unchecked(self, nats: Array, images: Array, condition: Array | None) -> tf.Tensor:
        """Nats of these images, NaN where a check of values was left out of the graph."""
        checked = [(self.levels, images)]
        if tf.is_symbolic_tensor(condition) and condition.dtype.is_integer:
            checked.append((self.condition_spec.values, condition))
        return graph_checks.nan_unless_below(nats, *checked)
