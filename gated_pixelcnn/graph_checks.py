"""Checks that run inside of a graph and end it in an InvalidArgument error.

XLA leaves assertions out: what it compiles must have been checked before, or becomes NaN.
"""

import re

import numpy as np
import tensorflow as tf

_TOLD = re.compile(r"assertion failed: \[(.*?)\]((?: \[[^\]]*\])*)")


def of_shape(name, x, shape):
    """A tensor that has the shape, checked when the graph runs.

    A server does not check what it feeds, and TensorFlow, which believes that an input has the
    shape of its signature, would optimise the check away: PlaceholderWithDefault makes it forget.
    The message names the tensor, hence its name.
    """
    forgetful = {"shape": tf.TensorShape(None), "name": f"input_{name}"}
    x = tf.raw_ops.PlaceholderWithDefault(input=x, **forgetful)
    return tf.ensure_shape(x, shape)


def required(conditions, message, *found):
    """An operation that ends the graph with the message, unless all conditions hold."""
    return tf.debugging.Assert(tf.reduce_all(conditions), [message, *found], summarize=9)


def after(checks, x):
    """The tensor, once the checks have passed: what is computed from it waits for them."""
    with tf.control_dependencies(checks):
        return tf.identity(x)


def told(error):
    """The message of `required` in an InvalidArgument error, with what was found; else ""."""
    found = _TOLD.search(str(error))
    return found[1] + found[2].replace("[", "").replace("]", "") if found else ""


def below(size, message, values):
    """Integers that are all 0…size−1: every check of levels and of labels.

    Args:
      size: number of values that are allowed.
      message: begins the error's message: what is allowed.
      values: integers or booleans of any type and shape, an array or a tensor. Look at them here
        before they are cast to a smaller type.

    Returns:
      The values; in a graph, a tensor that waits for the assertion.

    Raises:
      ValueError: where the values are known, and out of range.
    """
    dtype = tf.as_dtype(values.dtype)
    if dtype == tf.bool or (dtype in (tf.uint8, tf.uint16) and size > dtype.max):
        return values  # no value that is out of range
    if not tf.is_symbolic_tensor(values):
        if np.size(values) and not 0 <= np.min(values) <= np.max(values) < size:
            raise ValueError(f"{message}, got {np.min(values)}…{np.max(values)}.")
        return values
    wide = tf.cast(values, tf.int64)  # beyond 2^63: negative, and out of range as before
    low, high = tf.reduce_min(wide), tf.reduce_max(wide)
    return after([required([low >= 0, high < size], f"{message}, got", low, "to", high)], values)


def nan_unless_below(x, *checked):
    """A float tensor, NaN where integers are out of range and the assertions of `below` left out.

    Args:
      x: what was computed from the integers.
      *checked: pairs of a size and integers, as they are given to `below`.
    """
    for size, values in checked:
        if tf.is_symbolic_tensor(values) and values.dtype != tf.bool:
            wide = tf.cast(values, tf.int64)
            fits = tf.reduce_all((wide >= 0) & (wide < size))
            x = tf.where(fits, x, tf.constant(np.nan, x.dtype))
    return x
