"""Trainable models: the protocol of the training loop, whatever a model is trained for."""

import abc
import contextlib
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from gated_pixelcnn.layers import Encoder
from gated_pixelcnn.layers.weight_norm import data_dependent_initialisation
from gated_pixelcnn.models import registry
from gated_pixelcnn.models.keras_training import KerasTraining
from gated_pixelcnn.spec import Array, Inputs


class Trainable(Inputs, KerasTraining):
    """Base class of all that train.py trains.

    Attributes:
      loss_name, loss_unit: of `training_loss`, for reports.
      takes_labels: whether batches of training have labels, vectors or maps beside the images.
      images_per_class: where it is not 0, a batch has so many images of each of its classes.
      train_only, untrained: see `TrainedApart`.
      encoder: what makes a code of an image, where a model has one.
      trains_on_codes: whether batches of training are the codes of images and not these.
      initialised_by_data: whether there are initial weights that a first batch sets.
      remat: whether the backward pass computes the inside of blocks again, where a model can.
    """

    loss_name, loss_unit = "bits_per_dim", "bits/dim"
    takes_labels = False
    images_per_class = 0
    train_only = untrained = ""
    encoder: Encoder | None = None
    initialised_by_data = trains_on_codes = False
    remat = False

    def initialise(self, images: Array, labels: Array | None = None, but: Sequence = ()) -> None:
        """Sets the initial weights that depend on data, if there are any; see `training_loss`.

        Call it before the first step, with the same images on all workers.

        Args:
          images: integers 0…levels−1 [N, H, W, C].
          labels: integers [N], or None where `takes_labels` is off.
          but: layers that stay as they are.
        """
        if self.initialised_by_data:
            with data_dependent_initialisation(but):
                self.training_loss(images, labels, training=False)

    def take_weights(self, other: "Trainable") -> list:
        """Takes the weights of another model, to start from them.

        Args:
          other: a model of the same family with weights of the same shapes.

        Returns:
          The layers that have the weights of the other model now.

        Raises:
          ValueError: the models differ; the message tells in what.
        """
        check_family(self, other)
        return take_layers([self], [other])

    def __new__(cls, *args, **kwargs):
        """Keeps the arguments, for `get_config`."""
        model = super().__new__(cls, *args, **kwargs)
        with contextlib.suppress(TypeError):  # that of __init__ says what is wrong
            # Not by Keras' own, which would track the values.
            object.__setattr__(model, "arguments", registry.arguments(cls, args, kwargs))
        return model

    def get_config(self) -> dict:
        """See `keras.Model.get_config`: the arguments, and what was left to their defaults."""
        policy = keras.saving.serialize_keras_object(self.dtype_policy)
        config = {"name": self.name, "dtype": policy, **self.arguments}
        config["image_shape"] = self.image_shape
        if self.condition_names:  # they may have been set
            return config | {"condition_names": list(self.condition_names)}
        return {name: value for name, value in config.items() if name != "condition_names"}

    def summary(self, *args: Any, **kwargs: Any) -> None:
        """See `keras.Model.summary`; a model that is not built yet is."""
        self.prepare()
        super().summary(*args, **kwargs)

    def count_params(self) -> int:
        """See `keras.Model.count_params`; a model that is not built yet is."""
        self.prepare()
        return super().count_params()

    def prepare(self) -> None:
        """See `Inputs`: a model that nobody has called yet is built, as by a call."""
        if not self.built:
            self.build()

    def scale(self, images: Array) -> tf.Tensor:
        """Integers 0…levels−1 → the network's input −1…1, in the dtype of computation."""
        return self.image_spec.scale(images, self.compute_dtype)

    def training_loss(self, images: Array, labels: Array | None, training: bool) -> tf.Tensor:
        """The training loss of each image.

        Args:
          images: integers 0…levels−1 [N, H, W, C].
          labels: integers [N], or None where `takes_labels` is off.
          training: whether dropout and the like are on.

        Returns:
          The loss of every image [N].

        Raises:
          ValueError: images or labels that do not fit the model.
          tf.errors.InvalidArgumentError: the same of values inside a graph.
        """
        return self.training_loss_of(*self.checked_batch(images, labels), training)

    def checked_batch(self, images: Array, labels: Array | None = None) -> tuple:
        """What `training_loss_of` takes, checked: images and labels; codes `trains_on_codes`."""
        return self.checked(images, labels)

    @abc.abstractmethod
    def training_loss_of(self, images: Array, labels: Array | None, training: bool) -> tf.Tensor:
        """`training_loss` without checks, for use inside a graph."""

    def test_loss_of(self, images: Array, labels: Array | None) -> tuple[tf.Tensor, str]:
        """The loss of Keras' evaluate, without checks: losses [N] and their name."""
        return self.training_loss_of(images, labels, training=False), self.loss_name


def check_family(model, other):
    """Raises a ValueError for two models of different families."""
    if type(other) is not type(model):
        own, found = type(model).__name__, type(other).__name__
        raise ValueError(f"it is of the family {found}, not {own}.")


def take_layers(own, others):
    """Gives layers and variables the weights of others.

    Args:
      own: a list of layers and variables.
      others: a list of the same kind.

    Returns:
      All layers that have other weights now, those inside of others, too.

    Raises:
      ValueError: the weights differ in number or shape.
    """
    weights, found = ([w for x in xs for w in getattr(x, "weights", [x])] for xs in (own, others))
    shapes = [[(_path(w), tuple(w.shape)) for w in ws] for ws in (weights, found)]
    if shapes[0] != shapes[1]:
        wanted, there = (dict(pairs) for pairs in shapes)
        name = next(iter(n for n in wanted | there if wanted.get(n) != there.get(n)), "their order")
        raise ValueError(
            f"the models differ: {name} has the shape {there.get(name)} there and "
            f"{wanted.get(name)} here."
        )
    for weight, value in zip(weights, found, strict=True):
        weight.assign(value)
    return [layer for x in own if hasattr(x, "_flatten_layers") for layer in x._flatten_layers()]


def _path(weight):
    """The name of a weight without that of its model, which counts the models of the process."""
    return weight.path.partition("/")[2]


def check_remat(model: Any) -> None:
    """Raises the ValueError of a model that cannot have `remat`, as it has dropout."""
    if any(isinstance(layer, keras.layers.Dropout) for layer in model._flatten_layers()):
        raise ValueError(
            "remat=true cannot be had with dropout: what is computed again would drop other "
            "features; set one of them to false or 0"
        )
