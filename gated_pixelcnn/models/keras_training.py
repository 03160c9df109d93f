"""Keras' own compile, fit, evaluate and predict, for all that train.py trains."""

import functools
import inspect
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gated_pixelcnn.models.capabilities import Part, training_loss_and_sums

_NAMES = ("images", "condition")
_NO_WEIGHTS = "sample weights are not supported: a likelihood has none."


def _checked(method):
    """The method of Keras, which takes arrays only and drops weights where there are no labels.

    Here lists of numbers are arrays, and weights are an error.
    """
    signature = inspect.signature(method)

    @functools.wraps(method)
    def checked(*args, **kwargs):
        given = signature.bind(*args, **kwargs)
        if given.arguments.get("class_weight") is not None:
            raise ValueError("class_weight is not supported: a likelihood has none.")
        if given.arguments.get("sample_weight") is not None:
            raise ValueError(_NO_WEIGHTS)
        for name in ("x", "y"):
            if name in given.arguments:
                given.arguments[name] = _arrays(given.arguments[name])
        return method(*given.args, **given.kwargs)

    return checked


def _arrays(data):
    """Data for Keras with arrays in the place of lists of numbers, also in a pair or dict."""
    if isinstance(data, dict):
        return {name: _arrays(x) for name, x in data.items()}
    if not isinstance(data, list | tuple):
        return data
    if any(hasattr(x, "shape") for x in data):  # images and their condition
        return type(data)(np.asarray(x) if isinstance(x, list) else x for x in data)
    return np.asarray(data)


class KerasTraining(keras.Model):
    """A model whose loss is its own; see `Trainable` for what it must have.

    Logs hold `loss`, which is to be minimised, and the same by its name (`bits_per_dim`, `mse`, …),
    and of validation images `val_loss`: `ModelCheckpoint` and `EarlyStopping` work as they are.

    Data are images, or images and a condition: two arrays, a list, tuple or dict (`images`,
    `condition`) of them, or a `tf.data.Dataset` of such batches.
    """

    _by_xla = False
    fit = _checked(keras.Model.fit)
    evaluate = _checked(keras.Model.evaluate)
    predict = _checked(keras.Model.predict)
    train_on_batch = _checked(keras.Model.train_on_batch)
    test_on_batch = _checked(keras.Model.test_on_batch)

    def __init__(self, **kwargs: Any) -> None:
        """Args: **kwargs: Keras' own (name, dtype)."""
        super().__init__(**kwargs)
        self._mean_loss = keras.metrics.Mean(name="loss")

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "rmsprop",
        loss: None = None,
        loss_weights: None = None,
        metrics: None = None,
        weighted_metrics: None = None,
        **kwargs: Any,
    ) -> None:
        """See `keras.Model.compile`.

        Args:
          optimizer: a Keras optimizer or its name.
          loss: None.
          loss_weights: None.
          metrics: None.
          weighted_metrics: None.
          **kwargs: Keras' others.

        Raises:
          ValueError: another loss or a metric, which nothing would compute.
        """
        others = {
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
        }
        for name, value in others.items():
            if value not in (None, [], {}):
                raise ValueError(
                    f"compile takes no {name}, got {value!r}: this model minimises its own loss, "
                    f"{self.loss_unit}, which fit and evaluate report as loss and {self.loss_name}."
                )
        super().compile(optimizer, **kwargs)

    def compile_from_config(self, config: dict) -> None:
        """See `keras.Model.compile_from_config`, which leaves it to models with a `compile`."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    # tf.train.Checkpoint finds layers in attributes but not in lists: here is every variable.

    def _variables_by_name(self):
        ids = {id(weight) for weight in self.weights}
        states = [variable for variable in self.variables if id(variable) not in ids]
        kinds = {"weight": self.weights, "state": states}  # states are there before weights are
        return {f"{kind}_{i}": x for kind, found in kinds.items() for i, x in enumerate(found)}

    def _trackable_children(self, save_type="checkpoint", **kwargs):
        """See `tf.train.Checkpoint`, which calls this."""
        return super()._trackable_children(save_type, **kwargs) | self._variables_by_name()

    def _post_build(self):
        """Keras calls this after `build`; a checkpoint may have been restored before."""
        super()._post_build()
        for name, variable in self._variables_by_name().items():
            self._handle_deferred_dependencies(name, variable)

    @property
    def jit_compile(self) -> bool:
        """False: XLA, which drops assertions, compiles only what comes after them."""
        return False

    @jit_compile.setter
    def jit_compile(self, value: bool | str) -> None:
        self._by_xla = bool(value)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Keras' step."""
        compute = self._loss_and_gradients
        if self._by_xla:
            compute = tf.function(compute, jit_compile=True, autograph=False)
        losses, gradients, sums = compute(*self.checked_batch(*unpacked(data)))
        self.optimizer.apply(gradients, self.trainable_variables)
        if sums:
            self.take_sums(sums)
        return self._logs(losses, self.loss_name)

    def _loss_and_gradients(self, images, condition):
        whole = Part(tf.cast(self.optimizer.iterations, tf.int64), 0, tf.shape(images)[0])
        with tf.GradientTape() as tape:
            losses, sums = training_loss_and_sums(self, images, condition, whole)
            loss = self.optimizer.scale_loss(tf.reduce_mean(losses))
        return losses, tape.gradient(loss, self.trainable_variables), sums

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Keras' evaluation step."""
        return self._logs(*self.test_loss_of(*self.checked(*unpacked(data))))

    def predict_step(self, data: Any) -> tf.Tensor:
        """Keras' step of `predict`: what `call` gives."""
        images, condition = unpacked(data)
        return self(images) if condition is None else self(images, condition)

    def _logs(self, losses, name):
        self._mean_loss.update_state(losses)
        mean = self._mean_loss.result()
        return {"loss": mean, name: mean}

    @property
    def metrics(self) -> list[keras.Metric]:
        """Keras resets these at every epoch."""
        return [self._mean_loss]


def unpacked(data):
    """Images and condition (or None) of what Keras hands to a step; or a ValueError."""
    images, condition, weights = keras.utils.unpack_x_y_sample_weight(data)
    if weights is not None:
        raise ValueError(_NO_WEIGHTS)
    # Keras traces one graph for all that it is given until the model is compiled again.
    if any(x.shape.rank is None for x in tf.nest.flatten(data) if tf.is_tensor(x)):
        raise ValueError(
            "images or condition have another number of axes than those of the call before: "
            "compile the model again."
        )
    if not isinstance(images, list | tuple | dict):
        return images, condition
    if not isinstance(images, dict):
        names = _NAMES if len(images) <= len(_NAMES) else range(len(images))
        images = dict(zip(names, images, strict=False))
    if condition is None and {"images"} <= images.keys() <= set(_NAMES):
        return images["images"], images.get("condition")
    raise ValueError(
        "data must be images, or images and a condition: a pair, or a dict of 'images' and "
        f"'condition'; got {', '.join(map(repr, images))}{' and y' * (condition is not None)}."
    )
