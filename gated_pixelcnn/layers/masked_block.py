"""The residual block of PixelCNN.

Source: "Pixel Recurrent Neural Networks" (van den Oord et al., 2016a), Figure 5 (left), table 1 and
section 3.4.

    x, 2h maps ──→ ReLU → 1×1, 2h → h → ReLU → 3×3 mask B, h → h → ReLU → 1×1, h → 2h ──→ + ──→
       │                                       + V·c                                      ↑
       └──────────────────────────────────────────────────────────────────────────────────┘

The 1×1 convolutions are masked type B between colour groups. The condition c, which the paper does
not have, is added to what the masked convolution gives, as 2016b does it in its gated layers.
"""

import keras
import tensorflow as tf

from gated_pixelcnn.layers import colour_groups
from gated_pixelcnn.layers.gated_block import concat, relu
from gated_pixelcnn.layers.masked_convolution import MaskedConv2D
from gated_pixelcnn.layers.shifted_convolutions import PointwiseConv2D


class MaskedBlock(keras.layers.Layer):
    """ReLU → 1×1 → ReLU → n×n mask B → ReLU → 1×1, and the input: [N, H, W, 2h] → the same."""

    def __init__(self, features, kernel_size=3, colours=1, residual=True, **kwargs):
        """Makes the block.

        Args:
          features: h; the input has 2h maps. A multiple of `colours`.
          kernel_size: n, odd and at least 3.
          colours: number of colour groups.
          residual: whether the input is added to the output.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: features not divisible by colours, or a kernel size that is not odd.
        """
        super().__init__(**kwargs)
        colour_groups.check_divisible("features", features, colours)
        own = {"dtype": self.dtype_policy}
        self.features, self.kernel_size = features, kernel_size
        self.colours, self.residual = colours, residual
        self.reduce = PointwiseConv2D(features, colours, name="reduce", **own)
        self.conv = MaskedConv2D(features, kernel_size, "B", colours, name="conv", **own)
        self.condition = PointwiseConv2D(features, use_bias=False, name="condition", **own)
        self.expand = PointwiseConv2D(2 * features, colours, name="expand", **own)

    def build(self, input_shape, condition_shape=None):
        """Makes the weights; those of a condition only if there is one."""
        inner = (*input_shape[:-1], self.features)
        self.reduce.build(input_shape)
        self.conv.build(inner)
        self.expand.build(inner)
        if condition_shape is not None:
            self.condition.build(condition_shape)
        self.built = True

    def project(self, condition):
        """V·c, once per image: [N, 1 or H, 1 or W, h], or 0 where there is no condition."""
        return 0.0 if condition is None else self.condition(condition)

    def finish(self, convolved, x, expand, before=()):
        """What comes after the masked convolution, for images, rows or one colour of a pixel.

        Args:
          convolved: its output, with the condition [..., h].
          x: the block's input, for the residual.
          expand: the 1×1 convolution, over images or at one pixel and colour.
          before: at one pixel, what came of this for the colours before this one.

        Returns:
          The block's output, and what `before` is to have for the colours after this one.
        """
        active = relu(convolved)
        y = expand(concat([*before, active]))
        return y + x if self.residual else y, active

    def call(self, x, condition=None):
        """The block over whole images."""
        z = relu(self.reduce(relu(x)))
        return self.finish(self.conv(z) + self.project(condition), x, self.expand.slide)[0]

    # One row and one pixel at a time, see `models.single_stack`.

    link_halves = 1

    def first_state(self, num, width):
        """What is above row 0: the masked convolution's ⌊n/2⌋ input rows, zeros [N, 1, W, h]."""
        zeros = tf.zeros((num, 1, width, self.features), self.compute_dtype)
        return (zeros,) * self.conv.above.kernel_shape[0]

    def row(self, x, state, projected):
        """The block over a finished row.

        Args:
          x: its input in this row [N, 1, W, 2h].
          state: of `first_state` or of the row above.
          projected: of `project`, for this row.

        Returns:
          The output of this row [N, 1, W, 2h], and the state for the row below.
        """
        z = relu(self.reduce.slide(relu(x)))
        convolved = self.link(state, projected) + self.conv.row(z)
        return self.finish(convolved, x, self.expand.slide)[0], (*state[1:], z)

    def link(self, state, projected):
        """What a row has from above and of the condition [N, 1, W, h]."""
        return self.conv.from_above(state) + projected

    @property
    def looks_back(self):
        """Pixels at the left that `step` reads, and how many features of each."""
        return self.conv.row.pixels_before, self.features

    def step(self, colour):
        """The block at one pixel and for one colour, its weights gathered once.

        Args:
          colour: index of the colour group.

        Returns:
          A function (xs, seen, pixels_before, link, before) → (y, z, active): `xs` the block's
          inputs up to this colour, `seen` and `before` what it gave as z and active for the colours
          before, `pixels_before` z of the pixels at the left, `link` of `link`, this colour's.
        """
        reduce, row = self.reduce.step(colour), self.conv.row.step(colour)
        expand = self.expand.step(colour)

        def block(xs, seen, pixels_before, link, before):
            z = relu(reduce(relu(concat(xs))))
            convolved = row(concat([*pixels_before, *seen, z])) + link
            y, active = self.finish(convolved, xs[-1], expand, before)
            return y, z, active

        return block

    def get_config(self):
        """See `keras.layers.Layer.get_config`."""
        return {
            **super().get_config(),
            "features": self.features,
            "kernel_size": self.kernel_size,
            "colours": self.colours,
            "residual": self.residual,
        }
