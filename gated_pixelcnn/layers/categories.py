"""Categories into a network and out of it: an embedding, and a softmax of inner products.

Codes, tiles or classes have numbers that say nothing. Into the network goes a learned vector of
each ("A Neural Probabilistic Language Model", Bengio et al., 2003), and a category k is predicted
by the inner product of the network's output y at a position with another vector of k,

    log p(k | …) = yᵀw_k + b_k − log Σ_j exp(yᵀw_j + b_j),

so that K categories cost K·E weights and not K·features; the vectors w may be those of the
embedding ("Using the Output Embedding to Improve Language Models", Press and Wolf, 2017). Every
channel has vectors of its own. No weight knows an order: with renumbered categories the rows of the
tables are renumbered, and the model is the same.

The K logits of all positions may need more memory than the whole network: log-probabilities of
large K, and their gradients, are computed for a part of the positions at a time.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gated_pixelcnn.layers import initial_weights
from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.layers.ops import concat
from gated_pixelcnn.spec import Array, Shape, check_integer

IN_PARTS = 1024  # categories; of more, logits are computed in parts
_PART = 2**22  # logits at a time, 16 MiB


class Categories(Layer):
    """Tables of the vectors of all categories of all channels.

    Attributes:
      size: E, entries of a vector.
    """

    def __init__(
        self, levels: int, channels: int = 1, size: int = 64, tied: bool = False, **kwargs: Any
    ) -> None:
        """Makes the layer.

        Args:
          levels: K, the number of categories.
          channels: C, each with tables of its own.
          size: E, entries of a vector.
          tied: whether the vectors of the softmax are those of the embedding.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: a size out of its range.
        """
        super().__init__(**kwargs)
        self.levels, self.channels, self.tied = levels, channels, tied
        self.size = check_integer("embedding_size", size, 1)

    def build(self, input_shape: Shape = ()) -> None:
        """Makes the tables [C, K, E] and the bias [C, K]."""
        shape = (self.channels, self.levels, self.size)
        # As an image's values have it; of the outputs, which begin small, so that logits do too.
        start = keras.initializers.RandomNormal(stddev=np.sqrt(initial_weights.IMAGE))
        self.table = self.add_weight(name="table", shape=shape, initializer=start)
        if self.tied:
            self.output_table = self.table
        else:
            start = keras.initializers.RandomNormal(stddev=1 / np.sqrt(self.size))
            self.output_table = self.add_weight(name="output_table", shape=shape, initializer=start)
        self.bias = self.add_weight(name="bias", shape=shape[:2], initializer="zeros")
        super().build(input_shape)

    def call(self, values: Array, channel: int = 0) -> tf.Tensor:
        """The vectors of categories.

        Args:
          values: integers 0…K−1 [..., n] of n channels.
          channel: the first of them.

        Returns:
          [..., n·E], channel by channel.
        """
        values = tf.cast(values, tf.int32)
        num = values.shape[-1]
        rows = tf.reshape(self.table.value, [-1, self.size])
        rows = tf.cast(rows, self.compute_dtype)
        found = tf.gather(rows, values + self.levels * np.arange(channel, channel + num))
        return tf.reshape(found, tf.concat([tf.shape(values)[:-1], [num * self.size]], axis=0))

    def logits(self, y: tf.Tensor, channel: int = 0) -> tf.Tensor:
        """Logits of the categories.

        Args:
          y: outputs of the network [..., n·E] for n channels.
          channel: the first of them.

        Returns:
          [..., n·K], channel by channel.
        """
        num = y.shape[-1] // self.size
        parts = tf.split(y, num, axis=-1)
        return concat(
            [_logits(part, *self._of(channel + i, y.dtype)) for i, part in enumerate(parts)]
        )

    def log_prob(self, y: tf.Tensor, values: Array) -> tf.Tensor:
        """Log-probabilities without all logits at once.

        Args:
          y: outputs of the network [..., C·E].
          values: integers 0…K−1 [..., C].

        Returns:
          Nats [..., C], float32, or float64 if `y` is.
        """
        found = []
        for channel, part in enumerate(tf.split(y, self.channels, axis=-1)):
            of_channel = values[..., channel]
            nats = log_softmax_at(
                tf.reshape(part, [-1, self.size]),
                *self._of(channel, y.dtype),
                tf.reshape(tf.cast(of_channel, tf.int32), [-1]),
            )
            found.append(tf.reshape(nats, tf.shape(of_channel)))
        return tf.stack(found, axis=-1)

    def _of(self, channel, dtype):
        """The softmax of a channel: vectors [K, E] and biases [K]."""
        return tf.cast(self.output_table[channel], dtype), tf.cast(self.bias[channel], dtype)


def _logits(y, table, bias):
    """[..., E], [K, E], [K] → [..., K]."""
    return tf.matmul(y, table, transpose_b=True) + bias


@tf.custom_gradient
def log_softmax_at(y, table, bias, values):
    """Log softmax(y·tableᵀ + bias) at the values, a part of the rows at a time.

    The backward pass computes the logits again (as gradient checkpointing would), so that no more
    than those of a part ever exist.

    Args:
      y: [M, E].
      table: [K, E].
      bias: [K].
      values: int32 [M], 0…K−1.

    Returns:
      Nats [M], float32 or float64.
    """
    wide = tf.float64 if y.dtype == tf.float64 else tf.float32
    size, levels = y.shape[-1], table.shape[0]
    count = tf.shape(y)[0] if y.shape[0] is None else y.shape[0]
    parts = count // max(1, _PART // levels) + 1
    rows = -(-count // parts)  # equal parts: a small batch is not padded to a large part

    def in_parts(x):
        x = tf.pad(x, [[0, parts * rows - count], *[[0, 0]] * (x.shape.rank - 1)])
        return tf.reshape(x, [parts, rows, *x.shape[1:]])

    def back(x):
        return tf.reshape(x, tf.concat([[parts * rows], tf.shape(x)[2:]], 0))[:count]

    def each(function, *inputs):
        signature = tf.TensorSpec([rows if isinstance(rows, int) else None], wide)
        return tf.map_fn(function, inputs, fn_output_signature=signature, parallel_iterations=1)

    def nats(inputs):
        part, at = inputs
        logits = tf.cast(_logits(part, table, bias), wide)
        return -tf.nn.sparse_softmax_cross_entropy_with_logits(at, logits)

    ys, ats = in_parts(y), in_parts(values)

    def grad(upstream):
        def of_part(index, dys, dtable, dbias):
            logits = tf.cast(_logits(ys[index], table, bias), wide)
            wanted = tf.one_hot(ats[index], levels, dtype=wide)
            d = (wanted - tf.nn.softmax(logits)) * upstreams[index][:, tf.newaxis]
            d = tf.cast(d, y.dtype)
            dys = dys.write(index, tf.matmul(d, table))
            dtable += tf.cast(tf.matmul(d, ys[index], transpose_a=True), wide)
            return index + 1, dys, dtable, dbias + tf.reduce_sum(tf.cast(d, wide), axis=0)

        upstreams = in_parts(tf.cast(upstream, wide))
        dys = tf.TensorArray(y.dtype, parts, element_shape=(None, size))
        start = (tf.constant(0), dys, tf.zeros(table.shape, wide), tf.zeros(bias.shape, wide))
        _, dys, dtable, dbias = tf.while_loop(
            lambda index, *_: index < parts, of_part, start, parallel_iterations=1
        )
        return back(dys.stack()), tf.cast(dtable, table.dtype), tf.cast(dbias, bias.dtype), None

    return back(each(nats, ys, ats)), grad
