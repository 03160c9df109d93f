"""From the horizontal stack to the parameters of the likelihood.

ReLU → 1×1 → ReLU → 1×1 (van den Oord et al., 2016a, table 1, in the place of Figure 2's output),
on the last horizontal output or on the sum of 1×1 skips from every gate. All of it is masked type B
between colour groups, and its outputs are ordered by colour.

Initial weights (see `initial_weights`): the sum and the hidden maps start with E[x²] = 1, the
outputs with 0.01, so that at first all values are about as probable.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from gated_pixelcnn.layers import colour_groups, initial_weights
from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.layers.ops import concat, dense, relu
from gated_pixelcnn.layers.shifted_convolutions import PointwiseConv2D
from gated_pixelcnn.spec import Shape

OUTPUT = 0.01  # E[y²] of the outputs at the start


class SkipSum(Layer):
    """The sum of a 1×1 convolution of what every block gives to it, as one matrix product.

    Input: a list of L tensors [N, H, W, p]; output [N, H, W, filters].
    """

    def __init__(self, filters: int, colours: int = 1, scale: float = 1.0, **kwargs: Any) -> None:
        """Makes the layer.

        Args:
          filters: number of output maps, a multiple of `colours`.
          colours: number of colour groups.
          scale: of the initial kernel: E[y²] of the sum over E[x²] of what is summed up.
          **kwargs: Keras' own (name, dtype).
        """
        super().__init__(**kwargs)
        self.filters = filters
        self.colours = colours
        self.scale = scale

    def build(self, input_shape: Sequence[Shape]) -> None:
        """Makes the kernel [L, p, filters] and the bias [filters]."""
        shape = (len(input_shape), input_shape[0][-1], self.filters)
        self.mask = np.broadcast_to(colour_groups.mask(*shape[1:], self.colours, "B"), shape)
        initial = initial_weights.FanIn(self.scale, self.mask)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=initial)
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
        super().build(input_shape)

    def call(self, gated: Sequence[tf.Tensor]) -> tf.Tensor:
        """Sums over the blocks of whole images."""
        kernel = tf.cast(self.kernel, self.compute_dtype)
        if self.colours > 1:
            kernel *= tf.constant(self.mask, kernel.dtype)
        kernel = tf.reshape(kernel, [1, 1, -1, self.filters])
        y = tf.nn.conv2d(concat(gated), kernel, strides=1, padding="VALID")
        return tf.nn.bias_add(y, tf.cast(self.bias, y.dtype))

    def step(self, colour: int) -> Callable:
        """The same at one pixel and for one colour.

        Args:
          colour: index of the colour group.

        Returns:
          A function of the gates' outputs up to this colour, block by block
          [N, L·visible] → [N, filters / colours].
        """
        kernel = tf.cast(self.kernel, self.compute_dtype)
        rows = colour_groups.visible(kernel.shape[1], self.colours, colour, "B")
        wanted = colour_groups.columns(self.filters, self.colours, colour)
        matrix = tf.reshape(kernel[:, :rows], [-1, self.filters])
        return dense(matrix, tf.cast(self.bias, kernel.dtype), wanted)


class Head(Layer):
    """ReLU → 1×1 → ReLU → 1×1. Input [..., features], output [..., outputs]."""

    def __init__(
        self, features: int, outputs: int, colours: int = 1, exact: bool = False, **kwargs: Any
    ) -> None:
        """Makes the layer.

        Args:
          features: maps between the two 1×1 convolutions, a multiple of `colours`.
          outputs: number of output maps over all colours.
          colours: number of colour groups.
          exact: whether the outputs are of the type of the weights, whatever the layer computes in:
            half precision would round means of logistics by a part of a bin.
          **kwargs: Keras' own (name, dtype).
        """
        super().__init__(**kwargs)
        colour_groups.check_divisible("head_features", features, colours)
        self.features = features
        self.outputs = outputs
        self.colours = colours
        active, dtype = initial_weights.relu(), self.dtype_policy
        self.hidden = PointwiseConv2D(
            features, colours, scale=1 / active, name="hidden", dtype=dtype
        )
        dtype, scale = self.variable_dtype if exact else dtype, OUTPUT / active
        self.output_conv = PointwiseConv2D(
            outputs, colours, scale=scale, name="output_conv", dtype=dtype
        )

    def build(self, input_shape: Shape) -> None:
        """Makes the weights."""
        self.hidden.build(input_shape)
        self.output_conv.build((*input_shape[:-1], self.features))
        super().build(input_shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Maps the features of whole images."""
        return self.output_conv(relu(self.hidden(relu(x))))

    def step(self, colour: int) -> Callable:
        """The same at one pixel and for one colour.

        Args:
          colour: index of the colour group.

        Returns:
          A function (x, hidden_before) → (outputs of this colour, hidden): x [N, visible] holds the
          features up to this colour, hidden_before the hidden ones of the colours before it.
        """
        hidden, output = self.hidden.step(colour), self.output_conv.step(colour)

        def head(x, hidden_before=()):
            h = relu(hidden(relu(x)))
            all_hidden = concat([*hidden_before, h])
            return output(tf.cast(all_hidden, self.output_conv.compute_dtype)), h

        return head
