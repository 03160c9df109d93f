"""Weight normalisation with data-dependent initial values, and the convolutions that have it.

Source: "Weight Normalization" (Salimans and Kingma, 2016), equations 2, 5 and 6; used by
"PixelCNN++" (Salimans et al., 2017).

    W = g · V / ‖V‖, one length g for every output map

A first batch sets g and the bias so that the map has mean 0 and a given deviation over that batch.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from gated_pixelcnn.layers.ops import dense
from gated_pixelcnn.layers.shifted_convolutions import WindowConv2D
from gated_pixelcnn.spec import Shape

# A map whose deviation over the first batch is less stays as long as it is wanted: it is (nearly)
# constant there, and its deviation says nothing about other batches.
LEAST_DEVIATION = 0.01

_initialising = contextvars.ContextVar("initialising", default=lambda layer: False)
_gathered = contextvars.ContextVar("gathered", default=None)


@contextlib.contextmanager
def data_dependent_initialisation(but: Sequence = ()) -> Iterator[None]:
    """Inside of it every normalised layer that is called sets g and its bias by what it sees.

    A network has to be called once, with the first batch; layers are then set in their order.

    Args:
      but: layers that stay as they are.
    """
    excepted = {id(layer) for layer in but}
    token = _initialising.set(lambda layer: id(layer) not in excepted)
    try:
        yield
    finally:
        _initialising.reset(token)


def gather(layers: Iterable["NormalisedConv2D"]) -> dict[int, tuple]:
    """Computes the weights of normalised layers, for `gathered`: once, not at every call."""
    return {id(layer): layer.weights_now() for layer in layers}


@contextlib.contextmanager
def gathered(weights: dict[int, tuple]) -> Iterator[None]:
    """Inside of it layers have the weights that `gather` has computed."""
    token = _gathered.set(weights)
    try:
        yield
    finally:
        _gathered.reset(token)


class NormalisedConv2D(WindowConv2D):
    """A VALID convolution with weight normalisation; the caller pads the window."""

    def __init__(
        self,
        filters: int,
        kernel_shape: tuple[int, int],
        strides: int = 1,
        deviation: float = 1.0,
        **kwargs: Any,
    ) -> None:
        """Makes the layer.

        Args:
          filters: number of output maps.
          kernel_shape: (rows, columns) of the kernel.
          strides: of the convolution, in both directions.
          deviation: of every output map over the first batch.
          **kwargs: those of `WindowConv2D`.

        Raises:
          ValueError: no bias is wanted, which the first batch sets.
        """
        super().__init__(filters, kernel_shape, **kwargs)
        if not self.use_bias:
            raise ValueError("a convolution with weight normalisation has a bias: use_bias=True.")
        self.strides, self.deviation = strides, deviation

    def build(self, input_shape: Shape) -> None:
        """Makes V [rows, columns, inputs, filters], g [filters] and the bias [filters]."""
        self.direction = self.add_weight(
            name="direction",
            shape=(*self.kernel_shape, input_shape[-1], self.filters),
            initializer=keras.initializers.RandomNormal(stddev=0.05),
        )
        self.length = self.add_weight(name="length", shape=(self.filters,), initializer="ones")
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
        self.built = True

    def weights_now(self) -> tuple[tf.Tensor, tf.Tensor]:
        """W and the bias, in the dtype of computation."""
        known = _gathered.get() or {}
        if id(self) in known:
            return known[id(self)]
        direction = tf.convert_to_tensor(self.direction.value)
        norm = tf.sqrt(tf.reduce_sum(tf.square(direction), axis=[0, 1, 2]))
        kernel = direction * (self.length.value / norm)
        return tf.cast(kernel, self.compute_dtype), tf.cast(self.bias.value, self.compute_dtype)

    def call(self, window: tf.Tensor) -> tf.Tensor:
        """See `slide`."""
        return self.slide(window)

    def slide(self, window: tf.Tensor) -> tf.Tensor:
        """See `WindowConv2D`; sets g and the bias before, if this is the first batch."""
        if _initialising.get()(self):
            self._initialise(window)
        return self._convolved(window)

    def _convolved(self, window):
        kernel, bias = self.weights_now()
        y = tf.nn.conv2d(window, kernel, strides=self.strides, padding="VALID")
        return tf.nn.bias_add(y, bias)

    def _initialise(self, window):
        self.length.assign(tf.ones_like(self.length.value))
        self.bias.assign(tf.zeros_like(self.bias.value))
        y = tf.cast(self._convolved(window), self.variable_dtype)
        mean, variance = tf.nn.moments(y, axes=[0, 1, 2])
        found = tf.sqrt(variance)
        length = self.deviation / tf.where(found < LEAST_DEVIATION, 1.0, found)
        self.length.assign(length)
        self.bias.assign(-mean * length)

    def step(self) -> Callable:
        """A 1×1 convolution at one pixel: a function [N, inputs] → [N, filters]."""
        kernel, bias = self.weights_now()
        return dense(kernel[0, 0], bias, range(self.filters))


class NormalisedDeconv2D(NormalisedConv2D):
    """Twice the size, by a transposed convolution of stride 2 with weight normalisation.

    Input (i, j) goes into m rows and n columns: two are (2i, 2i + 1), three begin one earlier, five
    two.
    Input [N, h, w, inputs], output [N, 2h, 2w, filters].
    """

    def __init__(self, filters: int, kernel_shape: tuple[int, int], **kwargs: Any) -> None:
        """Args: those of `NormalisedConv2D`, but for the strides."""
        kwargs.pop("strides", None)
        super().__init__(filters, kernel_shape, strides=2, **kwargs)

    def _convolved(self, x):
        kernel, bias = self.weights_now()
        height, width = x.shape[1:3]
        top, left = ((size - 1) // 2 for size in self.kernel_shape)
        whole = [2 * (n - 1) + k for n, k in zip((height, width), self.kernel_shape, strict=True)]
        shape = tf.stack([tf.shape(x)[0], *whole, self.filters])
        # TensorFlow wants the outputs before the inputs, as it is a convolution's gradient.
        kernel = tf.transpose(kernel, [0, 1, 3, 2])
        y = tf.nn.conv2d_transpose(x, kernel, shape, strides=2, padding="VALID")
        y += bias  # the gradient of tf.nn.bias_add is a sum in bfloat16 on a CPU
        return y[:, top : top + 2 * height, left : left + 2 * width]

    def step(self) -> Callable:
        """The upper two of a pixel's four, by a 2×2 kernel: [N, inputs] → [N, 2, filters]."""
        kernel, bias = self.weights_now()
        matrix = tf.concat(tf.unstack(kernel[0]), axis=-1)
        product = dense(matrix, tf.tile(bias, [2]), range(2 * self.filters))
        return lambda x: tf.reshape(product(x), [-1, 2, self.filters])
