"""From a top map of codes to maps of the size of the bottom map, which is conditioned on them.

Source: "Generating Diverse High-Fidelity Images with VQ-VAE-2" (Razavi et al., 2019), section 3.2
and appendix A: a residual network of the top codes, then maps of the bottom map's size. A learned
vector of each code, residual blocks that see all around, and a transposed convolution:

    codes [h, w] ─→ vectors ─→ blocks ─→ transposed 2f×2f, stride f ─→ ReLU ─→ 3×3 ─→ [f·h, f·w]
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gated_pixelcnn.layers import initial_weights
from gated_pixelcnn.layers.code_networks import ResidualStack
from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.layers.ops import relu
from gated_pixelcnn.spec import Shape, check_integer


class CodeEmbedding(Layer):
    """Codes [N, h, w, 1] → maps [N, f·h, f·w, features]."""

    def __init__(
        self, codes: int, features: int, blocks: int = 3, factor: int = 2, **kwargs: Any
    ) -> None:
        """Makes the layer.

        Args:
          codes: K, how many there are.
          features: of the vector of a code, of the blocks and of the result, at least 1.
          blocks: number of residual blocks, at least 0.
          factor: f, at least 2.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(**kwargs)
        self.codes = codes
        self.features = check_integer("embedding_features", features, 1)
        check_integer("embedding_blocks", blocks, 0)
        self.factor = check_integer("factor", factor, 2)
        own = {"dtype": self.dtype_policy, "data_format": "channels_last", "padding": "same"}
        self.blocks = ResidualStack(
            features, blocks, features, name="blocks", dtype=self.dtype_policy
        )
        self.enlarge = keras.layers.Conv2DTranspose(
            features, 2 * factor, strides=factor, name="enlarge", **own
        )
        self.large = keras.layers.Conv2D(features, 3, name="large", **own)

    def build(self, input_shape: Shape) -> None:
        """Makes the weights."""
        num, height, width, _ = input_shape
        start = keras.initializers.RandomNormal(stddev=np.sqrt(initial_weights.IMAGE))
        self.table = self.add_weight(
            name="table", shape=(self.codes, self.features), initializer=start
        )
        self.blocks.build((num, height, width, self.features))
        self.enlarge.build((num, height, width, self.features))
        height, width = self.factor * height, self.factor * width
        self.large.build((num, height, width, self.features))
        super().build(input_shape)

    def call(self, codes: tf.Tensor) -> tf.Tensor:
        """Makes the maps."""
        table = tf.reshape(self.table.value, self.table.shape)  # whose gradient is no sparse one
        x = tf.gather(table, tf.cast(codes[..., 0], tf.int32))
        x = self.blocks(tf.cast(x, self.compute_dtype))
        return self.large(relu(self.enlarge(x)))
