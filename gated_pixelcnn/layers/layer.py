"""The base of all layers: what Keras is told of them, once."""

import inspect
from typing import Any

import keras
import tensorflow as tf


class Layer(keras.layers.Layer):
    """A Keras layer that is described by its arguments and stores its weights by their names."""

    def __new__(cls, *args, **kwargs):
        """Keras derives `get_config` from plain arguments: here of a dtype policy the name."""
        if isinstance(kwargs.get("dtype"), keras.DTypePolicy):
            kwargs["dtype"] = kwargs["dtype"].name
        return super().__new__(cls, *args, **kwargs)

    def add_weight(self, *args: Any, **kwargs: Any) -> keras.Variable:
        """Makes a weight that is read as it is: a layer casts it where it uses it.

        Keras would cast it to the type of whatever layer is being called, before a norm is taken of
        it or a layer of float32 within one of half precision reads it.
        """
        return super().add_weight(*args, autocast=False, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the outputs for symbolic inputs: what `call` gives, whatever its signature."""
        return keras.Operation.compute_output_spec(self, *args, **kwargs)

    def compute_output_shape(self, *args: Any, **shapes: Any) -> Any:
        """Returns the shapes of outputs for those of `build`'s arguments, as `summary` asks."""
        first = next(iter(inspect.signature(self.call).parameters))
        shapes |= dict(zip([f"{first}_shape"], args, strict=False))

        def symbolic(shape):
            if shape and isinstance(shape[0], list | tuple):  # of a list of inputs
                return [symbolic(each) for each in shape]
            return keras.KerasTensor((None, *shape[1:]), self.compute_dtype)

        inputs = {
            first if name == "input_shape" else name.removesuffix("_shape"): symbolic(shape)
            for name, shape in shapes.items()
            if shape is not None
        }
        outputs = self.compute_output_spec(**inputs)
        found = [tuple(x.shape) for x in tf.nest.flatten(outputs) if x is not None]
        return found[0] if len(found) == 1 else found

    def _own_variables(self):
        return {x.name: x for x in self._trainable_variables + self._non_trainable_variables}

    def save_own_variables(self, store: Any) -> None:
        """See `keras.layers.Layer.save_own_variables`, which numbers the weights."""
        for name, variable in self._own_variables().items():
            store[name] = variable

    def load_own_variables(self, store: Any) -> None:
        """See `keras.layers.Layer.load_own_variables`.

        Raises:
          ValueError: the names are not those of this layer's weights.
        """
        variables = self._own_variables()
        if set(store.keys()) != variables.keys():
            found, wanted = (", ".join(sorted(names)) for names in (store.keys(), variables))
            raise ValueError(f"{self.path} has the weights {wanted}, but there are {found}.")
        for name, variable in variables.items():
            variable.assign(store[name])
