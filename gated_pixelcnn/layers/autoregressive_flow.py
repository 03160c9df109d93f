"""An inverse autoregressive flow: what makes a Gaussian posterior a richer one.

Source: "Improving Variational Inference with Inverse Autoregressive Flow" (Kingma et al., 2016),
section 3 and algorithm 1; sizes as in the authors' code.

    z' = (z − m) / e^s        m, s = 0.1 · (masked convolutions of z, and the context)

m and s at a pixel depend on z at the pixels before it, so ∂z'/∂z is triangular with the diagonal
e^−s, and log q(z') = log q(z) + Σ s. (The authors' code also orders the maps of a pixel, and its
masked convolutions have weight normalisation.)
"""

from typing import Any

import tensorflow as tf

from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.layers.masked_convolution import MaskedConv2D
from gated_pixelcnn.likelihoods.base import real
from gated_pixelcnn.spec import Shape

_RATE = 0.1  # of the outputs: at first z' is nearly z


class AutoregressiveFlow(Layer):
    """z [N, H, W, maps] and its context [N, H, W, features] → z', and s of every number of it."""

    def __init__(self, maps: int, features: int, kernel_size: int = 3, **kwargs: Any) -> None:
        """Makes the layer.

        Args:
          maps: of z.
          features: of the context and of the two inner layers.
          kernel_size: odd and at least 3.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: a kernel_size out of its range.
        """
        super().__init__(autocast=False, **kwargs)  # z stays as it is
        self.maps, self.features, self.kernel_size = maps, features, kernel_size
        own = {"dtype": self.dtype_policy}
        self.first = MaskedConv2D(features, kernel_size, "A", name="first", **own)
        self.second = MaskedConv2D(features, kernel_size, "B", name="second", **own)
        self.last = MaskedConv2D(2 * maps, kernel_size, "B", name="last", **own)

    def build(self, z_shape: Shape, context_shape: Shape | None = None) -> None:
        """Makes the weights."""
        self.first.build(z_shape)
        inner = (*z_shape[:-1], self.features)
        self.second.build(inner)
        self.last.build(inner)
        self.built = True

    def call(self, z: tf.Tensor, context: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Transforms z; z' and s are float32, or float64 if z is."""
        x = tf.nn.elu(self.first(tf.cast(z, self.compute_dtype)) + context)
        x = tf.nn.elu(self.second(x))
        m, s = tf.split(_RATE * real(self.last(x)), 2, axis=-1)
        return (real(z) - m) * tf.exp(-s), s
