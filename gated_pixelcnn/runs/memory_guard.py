"""A model that is loaded may be as large as the file that it is from, and not larger.

A configuration of a few bytes can ask for any amount of memory. The file that holds the weights
tells how many there can be, before memory is taken for them.
"""

import contextlib
import math

import tensorflow as tf

from gated_pixelcnn import configs
from gated_pixelcnn.errors import UserError

_OTHERS = 1000  # values that are no weights, such as those of metrics
_COUNTED = ("layers", "blocks", "scales", "halvings")  # each of which has an array at least


class _TooLargeError(Exception):
    """Not a ValueError, which `build_model` would take for a wrong argument."""


@contextlib.contextmanager
def within(path, array_sizes, config):
    """Limits the models that are built inside of it.

    Args:
      path: The file of the weights, for messages.
      array_sizes: Number of values of every array in it.
      config: ConfigDict of the model.

    Raises:
      UserError: The model needs more layers or values than there are.
    """
    wrong = f"{path} is of another model or version: it holds"
    left = sum(array_sizes) + _OTHERS
    for key, value in configs.flat(config.model).items():
        most = len(array_sizes) if key.endswith(_COUNTED) else left
        if isinstance(value, int) and value > most:
            raise UserError(f"{wrong} {len(array_sizes)} arrays, but model.{key} is {value}")

    def count(create, initial_value=None, **arguments):
        nonlocal left
        with tf.Graph().as_default():  # where the value has a shape but takes no memory
            value = tf.convert_to_tensor(_called(initial_value))
        left -= math.prod(value.shape)
        if left < 0:
            raise _TooLargeError
        if value.dtype.is_floating:  # the file has it: nothing random is drawn for it
            initial_value = tf.zeros(value.shape, value.dtype)
        return create(initial_value=initial_value, **arguments)

    try:
        with tf.variable_creator_scope(count):
            yield
    except _TooLargeError:
        raise UserError(
            f"{wrong} {sum(array_sizes)} values, but its configuration needs more"
        ) from None


def _called(value):
    return value() if callable(value) else value
