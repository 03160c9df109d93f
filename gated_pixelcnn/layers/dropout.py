"""Dropout whose random numbers are drawn in float32."""

import keras
import tensorflow as tf

from gated_pixelcnn.likelihoods.base import real


class Dropout(keras.layers.Dropout):
    """`keras.layers.Dropout`, of the same share in half precision.

    That draws in the type of its input: bfloat16 has 128 numbers from 1/2 to 1, so of a rate of
    0.01 twice as much was dropped.
    """

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Drops features, in training only."""
        return tf.cast(super().call(real(inputs), training=training), inputs.dtype)
