"""Checks that run inside of a graph and end it in an InvalidArgument error."""

import tensorflow as tf


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
