"""From an image to a few numbers: the convolutional encoder of the PixelCNN autoencoder.

Source: "Conditional Image Generation with PixelCNN Decoders" (van den Oord et al., 2016b), section
2.4; the layers are those of "Stacked Convolutional Auto-Encoders for Hierarchical Feature
Extraction" (Masci et al., 2011): convolutions of 5×5, 5×5 and 3×3, each but the last followed by
max-pooling, then a fully connected layer. (Their nets for CIFAR-10 have a third pooling.)
"""

from typing import Any

import keras
import tensorflow as tf

from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.layers.ops import relu
from gated_pixelcnn.likelihoods.base import real
from gated_pixelcnn.spec import Shape


class Encoder(Layer):
    """f(x): scaled images [N, H, W, C] → codes [N, size]."""

    def __init__(
        self, size: int, features: int = 100, normalised: bool = False, **kwargs: Any
    ) -> None:
        """Makes the layer.

        Args:
          size: m, the numbers of a code.
          features: maps of the first convolution; the second has 3/2 as many, the third twice and
            the fully connected layer three times as many (100, 150, 200 and 300 in the paper).
          normalised: whether codes have unit length (embeddings).
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: a size out of its range.
        """
        super().__init__(**kwargs)
        for name, value in (("code_size", size), ("encoder_features", features)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}.")
        self.size, self.features, self.normalised = size, features, normalised
        own = {"dtype": self.dtype_policy}
        self.convolutions = [
            keras.layers.Conv2D(
                maps, kernel, padding="same", name=f"conv_{i}", data_format="channels_last", **own
            )
            for i, (maps, kernel) in enumerate(
                [(features, 5), (features * 3 // 2, 5), (features * 2, 3)]
            )
        ]
        self.pool = keras.layers.MaxPooling2D(
            2, padding="same", name="pool", data_format="channels_last", **own
        )
        self.hidden = keras.layers.Dense(features * 3, name="hidden", **own)
        self.code = keras.layers.Dense(size, name="code", **own)

    def build(self, input_shape: Shape) -> None:
        """Makes the weights."""
        height, width, channels = input_shape[1:]
        for layer in self.convolutions:
            layer.build((None, height, width, channels))
            channels = layer.filters
            if layer is not self.convolutions[-1]:
                height, width = -(-height // 2), -(-width // 2)
        self.hidden.build((None, height * width * channels))
        self.code.build((None, self.hidden.units))
        super().build(input_shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Encodes images."""
        for layer in self.convolutions:
            x = relu(layer(x))
            if layer is not self.convolutions[-1]:
                mean = tf.stop_gradient(tf.nn.avg_pool2d(x, 2, 2, "SAME"))
                # TensorFlow's maximum leaves NaN out.
                x = tf.where(tf.math.is_nan(mean), mean, self.pool(x))
        x = tf.reshape(x, [-1, x.shape[1] * x.shape[2] * x.shape[3]])
        x = self.code(relu(self.hidden(x)))
        # Squares of float16 over- and underflow.
        return tf.cast(tf.math.l2_normalize(real(x), axis=-1), x.dtype) if self.normalised else x
