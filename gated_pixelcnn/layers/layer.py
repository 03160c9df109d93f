"""The base of all layers: what Keras is told of them, once."""

import keras


class Layer(keras.layers.Layer):
    """A Keras layer that is described by its arguments and stores its weights by their names."""

    def __new__(cls, *args, **kwargs):
        """Keras derives `get_config` from plain arguments: here of a dtype policy the name."""
        if isinstance(kwargs.get("dtype"), keras.DTypePolicy):
            kwargs["dtype"] = kwargs["dtype"].name
        return super().__new__(cls, *args, **kwargs)

    def _own_variables(self):
        return {x.name: x for x in self._trainable_variables + self._non_trainable_variables}

    def save_own_variables(self, store):
        """See `keras.layers.Layer.save_own_variables`, which numbers the weights."""
        for name, variable in self._own_variables().items():
            store[name] = variable

    def load_own_variables(self, store):
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
