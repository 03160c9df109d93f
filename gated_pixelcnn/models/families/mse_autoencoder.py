"""The baseline of the PixelCNN autoencoder: the same encoder, a decoder trained for the error.

Source: "Conditional Image Generation with PixelCNN Decoders" (van den Oord et al., 2016b), section
3.4: an autoencoder with a deconvolutional decoder that is trained for the mean squared error (MSE).
The paper does not give its layers. Here they are `Deconvolution`, the m(h) of its equation 5, and a
3×3 convolution to the colours.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gated_pixelcnn.layers import Encoder
from gated_pixelcnn.layers.condition import Deconvolution
from gated_pixelcnn.layers.ops import relu
from gated_pixelcnn.models.registry import register
from gated_pixelcnn.models.trainable import Trainable
from gated_pixelcnn.spec import Array, ConditionSpec, ImageSpec


@register("mse_autoencoder")
class MSEAutoencoder(Trainable):
    """Images [N, H, W, C] → codes [N, code_size] → one reconstruction of each.

    Attributes:
      code_size: m, the numbers of a code.
      encoder: what makes the code.
    """

    loss_name, loss_unit = "mse", "MSE"
    encoder: Encoder

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int = 256,
        code_size: int = 10,
        encoder_features: int = 100,
        decoder_features: int = 64,
        condition_size: int = 0,
        **kwargs: Any,
    ) -> None:
        """Makes the model.

        Args:
          image_shape: (H, W, C) of the images.
          levels: number of values per colour, 2…65,536.
          code_size: m, the numbers of a code.
          encoder_features: see `Encoder`.
          decoder_features: maps of every layer of the decoder but the last.
          condition_size: must be 0: there is no condition.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: an argument out of its range; the message names it and what is allowed.
        """
        super().__init__(**kwargs)
        if condition_size:
            raise ValueError("an autoencoder trained for the squared error has no condition.")
        if decoder_features < 1:
            raise ValueError(f"decoder_features must be at least 1, got {decoder_features}.")
        self.image_spec = ImageSpec(image_shape, levels)
        self.condition_spec = ConditionSpec(0, self.image_spec)
        self.code_size = code_size
        height, width, channels = self.image_shape
        own = {"dtype": self.dtype_policy}
        self.encoder = Encoder(code_size, encoder_features, name="encoder", **own)
        self.deconvolution = Deconvolution(
            decoder_features, height, width, name="deconvolution", **own
        )
        self.colours = keras.layers.Conv2D(
            channels, 3, padding="same", name="colours", data_format="channels_last", **own
        )

    def build(self, input_shape: Any = None) -> None:
        """Makes all weights; `input_shape` is ignored, Keras passes it."""
        self.encoder.build((None, *self.image_shape))
        self.deconvolution.build((None, 1, 1, self.code_size))
        self.colours.build((None, *self.image_shape[:2], self.deconvolution.features))
        self.built = True

    def call(self, images: Array) -> tf.Tensor:
        """Reconstructions of images: integers 0…levels−1 [N, H, W, C] → float32 0…1, that shape."""
        return tf.clip_by_value(self.decode(self.encode(images)), 0.0, 1.0)

    def encode(self, images: Array) -> tf.Tensor:
        """The codes of images [N, H, W, C], float [N, code_size]; checked, see `ImageSpec`."""
        return self.encoder(self.scale(self.checked_images(images)))

    def decode(self, codes: Array) -> tf.Tensor:
        """Codes [N, code_size] → images of black 0 and white 1, float32 [N, H, W, C].

        They may be a little out of that range. A sigmoid, which keeps to it, did a little worse:
        its gradient vanishes where an image is black.
        """
        s = self.deconvolution(tf.cast(codes, self.compute_dtype)[:, tf.newaxis, tf.newaxis])
        return tf.cast(self.colours(relu(s)), tf.float32)

    def reconstruct(self, images: Array) -> np.ndarray:
        """Reconstructs images from their codes.

        Args:
          images: integers 0…levels−1 [N, H, W, C].

        Returns:
          The nearest levels, uint8 [N, H, W, C]; above 256 levels uint16.

        Raises:
          ValueError: images that do not fit the model.
        """
        found = self.reconstruct_graph(self.checked_images(images))
        return np.rint(np.asarray(found) * (self.levels - 1)).astype(
            self.image_spec.dtype.as_numpy_dtype
        )

    @functools.cached_property
    def reconstruct_graph(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """`call` as a graph, traced once for any number of images."""
        return tf.function(self.call, reduce_retracing=True, autograph=False)

    def training_loss_of(self, images: Array, labels: Array | None, training: bool) -> tf.Tensor:
        """The squared error of every image [N], the mean over its colours from 0 to 1."""
        wanted = tf.cast(images, tf.float32) / (self.levels - 1)
        found = self.decode(
            self.encoder(self.scale(images))
        )  # not clipped: that would have no gradient
        return tf.reduce_mean(tf.square(found - wanted), axis=[1, 2, 3])
