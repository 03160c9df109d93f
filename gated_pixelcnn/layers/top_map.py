"""The top map of two maps of codes, and what the bottom map and the decoder see of it.

Source: "Generating Diverse High-Fidelity Images with VQ-VAE-2" (Razavi et al., 2019), section 3.1
and figure 2a. The first row is there with one map, too; `[ | ]` puts maps beside each other:

    image ─→ maps ─┬──────────────────────────────────→ [ | ] ─→ 1×1 ─→ quantizer ─→ [ | ] ─→ image
                   │                                      ↑                            ↑
                   └─→ encoder ─→ quantizer ─┬─→ decoder ─┘                            │
                                             └─→ enlarge ──────────────────────────────┘
"""

from typing import Any

import keras
import tensorflow as tf

from gated_pixelcnn.layers.code_networks import CodeDecoder, CodeEncoder
from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.layers.vector_quantizer import VectorQuantizer
from gated_pixelcnn.spec import Shape


class TopMap(Layer):
    """Maps [N, 2h, 2w, F] → vectors [N, h, w, D] and their codes.

    Attributes:
      encoder: halves the maps once more.
      quantizer: has a codebook of its own.
      decoder: vectors → maps [N, 2h, 2w, D], of which the vectors of the bottom map are made, too.
      enlarge: vectors → maps [N, 2h, 2w, D], beside the vectors of the bottom map.
    """

    def __init__(
        self,
        codes: int,
        code_features: int,
        features: int,
        blocks: int,
        block_features: int,
        decay: float = 0.99,
        restart_below: float = 0.03,
        **kwargs: Any,
    ) -> None:
        """Makes the layer.

        Args:
          codes: K, see `VectorQuantizer`.
          code_features: D.
          features: see `CodeEncoder`.
          blocks: see `CodeEncoder`.
          block_features: see `CodeEncoder`.
          decay: see `VectorQuantizer`.
          restart_below: see `VectorQuantizer`.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(**kwargs)
        exact = {"dtype": self.variable_dtype}  # half precision would move vectors to other codes
        own = {"halvings": 1, "dtype": self.dtype_policy}
        networks = (features, blocks, block_features)
        self.encoder = CodeEncoder(code_features, *networks, name="encoder", **own)
        self.quantizer = VectorQuantizer(
            codes, code_features, decay, restart_below, name="quantizer", **exact
        )
        self.decoder = CodeDecoder(code_features, *networks, name="decoder", **own)
        self.enlarge = keras.layers.Conv2DTranspose(
            code_features,
            4,
            strides=2,
            padding="same",
            data_format="channels_last",
            name="enlarge",
            **exact,
        )

    def build(self, input_shape: Shape) -> None:
        """Makes the weights."""
        num, height, width, _ = input_shape
        self.encoder.build(input_shape)
        vectors = (num, height // 2, width // 2, self.quantizer.features)
        for layer in (self.quantizer, self.decoder, self.enlarge):
            layer.build(vectors)
        super().build(input_shape)

    def call(self, maps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Encodes maps.

        Args:
          maps: of `CodeEncoder.maps`, [N, 2h, 2w, F].

        Returns:
          The encoder's vectors z [N, h, w, D]; what becomes of them, and their codes, see
          `VectorQuantizer.call`.
        """
        z = self.encoder(maps)
        return z, *self.quantizer(z)
