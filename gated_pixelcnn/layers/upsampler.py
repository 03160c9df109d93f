"""From a small image to maps of twice its size: how a multi-scale model sees the smaller image.

Source: "Pixel Recurrent Neural Networks" (van den Oord et al., 2016a), section 3.5: deconvolutions
make maps c×n×n of the small image, which every layer takes in by an unmasked 1×1 convolution. How
many there are is not told. Here a 3×3 convolution lets a pixel know its surroundings, a transposed
4×4 convolution of stride 2 doubles the size, and a 3×3 convolution mixes what overlapped.
"""

from typing import Any

import keras
import tensorflow as tf

from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.layers.ops import relu
from gated_pixelcnn.spec import Shape


class Upsampler(Layer):
    """Scaled images [N, h, w, C] → maps [N, 2h, 2w, features]."""

    def __init__(self, features: int, **kwargs: Any) -> None:
        """Makes the layer.

        Args:
          features: maps of the result and of the layers before it, at least 1.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: no features.
        """
        super().__init__(**kwargs)
        if features < 1:
            raise ValueError(f"embedding_features must be at least 1, got {features}.")
        self.features = features
        own = {"padding": "same", "dtype": self.dtype_policy, "data_format": "channels_last"}
        self.small = keras.layers.Conv2D(features, 3, name="small", **own)
        self.deconvolution = keras.layers.Conv2DTranspose(
            features, 4, strides=2, name="deconvolution", **own
        )
        self.large = keras.layers.Conv2D(features, 3, name="large", **own)

    def build(self, input_shape: Shape) -> None:
        """Makes the weights."""
        num, height, width, _ = input_shape
        self.small.build(input_shape)
        self.deconvolution.build((num, height, width, self.features))
        self.large.build((num, 2 * height, 2 * width, self.features))
        super().build(input_shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Doubles the size."""
        return self.large(relu(self.deconvolution(relu(self.small(x)))))
