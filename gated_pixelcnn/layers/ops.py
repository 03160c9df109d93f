"""Operations that several layers need."""

import tensorflow as tf

from gated_pixelcnn.code_maps import code_factor


def relu(x):
    """max(x, 0) that keeps NaN.

    TensorFlow fuses `tf.nn.relu` into the convolution before it, and the fused kernel of oneDNN
    turns NaN into 0: a broken model would evaluate to plausible figures.
    """
    return tf.maximum(x, tf.zeros((), x.dtype))


def concat(parts):
    """Concatenates features; a single part is left as it is."""
    return parts[0] if len(parts) == 1 else tf.concat(parts, axis=-1)


def dense(matrix, bias, wanted):
    """A function x → x·matrix (+ bias), restricted to the `wanted` output features."""
    if len(wanted) < matrix.shape[-1]:
        matrix = tf.gather(matrix, wanted, axis=-1)
        bias = None if bias is None else tf.gather(bias, wanted)
    if bias is None:
        return lambda x: tf.matmul(x, matrix)
    # Minus the negative: TensorFlow fuses a sum with a vector into the matrix product, and at the
    # size of one pixel the fused kernel takes several times as long.
    minus_bias = -bias
    return lambda x: tf.matmul(x, matrix) - minus_bias


def pack_codes(top, bottom, shape):
    """`code_maps.pack_codes` in a graph: [N, h, w] and [N, f·h, f·w] → [N, *shape]."""
    h, w, f = shape[0], shape[1], code_factor(shape)
    below = tf.transpose(tf.reshape(bottom, [-1, h, f, w, f]), [0, 1, 3, 2, 4])
    return tf.concat([top[..., tf.newaxis], tf.reshape(below, [-1, h, w, f * f])], axis=-1)


def unpack_codes(codes, shape):
    """`code_maps.unpack_codes` in a graph: [N, *shape] → [N, h, w] and [N, f·h, f·w]."""
    h, w, f = shape[0], shape[1], code_factor(shape)
    below = tf.transpose(tf.reshape(codes[..., 1:], [-1, h, w, f, f]), [0, 1, 3, 2, 4])
    return codes[..., 0], tf.reshape(below, [-1, h * f, w * f])
