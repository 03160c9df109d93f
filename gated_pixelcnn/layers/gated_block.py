"""The gated block of Figure 2: one layer of the vertical and of the horizontal stack.

Source: "Conditional Image Generation with PixelCNN Decoders" (van den Oord et al., 2016b), equation
2 (gated unit), Figure 2 (the block) and equations 4 and 5 (conditions).

    vertical in                                   horizontal in
        │                                            │──────────────┐
      n×n → 2p ───────── 1×1, 2p → 2p ─────┐       1×n → 2p         │
        + V_v·h                            └────────→+              │
        │                                            + V_h·h        │
      tanh ⊙ σ                                     tanh ⊙ σ ──→ skip│
        │                                            │              │
        │                                          1×1, p → p       │
        │                                            +←─────────────┘
    vertical out                                  horizontal out

The link between the stacks is taken BEFORE the vertical gate. The vertical stack has no residual.
"""

import keras
import tensorflow as tf

from gated_pixelcnn.layers import colour_groups
from gated_pixelcnn.layers.shifted_convolutions import (
    HorizontalConv2D,
    PointwiseConv2D,
    VerticalConv2D,
)


def gate(x):
    """The gated unit, equation 2: [..., 2p] → tanh of the first half ⊙ σ of the second [..., p]."""
    features, gates = tf.split(x, 2, axis=-1)
    return tf.tanh(features) * tf.sigmoid(gates)


class GatedBlock(keras.layers.Layer):
    """One layer of both stacks (Figure 2).

    The mathematics of either stack is written once, in `vertical` and `horizontal`. They take
    windows: a whole padded image in training, the cached rows or pixels in sampling.
    """

    def __init__(
        self,
        features,
        kernel_size=3,
        first=False,
        colours=1,
        residual=True,
        vertical_output=True,
        horizontal_output=True,
        **kwargs,
    ):
        """Makes the block.

        Args:
          features: p, the feature maps of each stack; a multiple of `colours`.
          kernel_size: n of Figure 2, odd.
          first: whether this is the first layer, which reads the image: its own row (vertical) and
            own colour (horizontal, mask A) are hidden and it has no residual.
          colours: number of colour groups.
          residual: whether the horizontal input is added to the output.
          vertical_output: False in the last layer, whose vertical output nothing reads.
          horizontal_output: False in the last layer of a model with skips, where only the gate's
            output is read.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: features not divisible by colours, or an even kernel size.
        """
        super().__init__(**kwargs)
        colour_groups.check_divisible("features", features, colours)
        self.features = features
        self.kernel_size = kernel_size
        self.first = first
        self.colours = colours
        self.residual = residual
        self.vertical_output = vertical_output
        self.horizontal_output = horizontal_output
        pre = 2 * features
        own = {"dtype": self.dtype_policy}
        self.column_conv = VerticalConv2D(pre, kernel_size, strict=first, name="column_conv", **own)
        self.link = PointwiseConv2D(pre, name="link", **own)
        self.row_conv = HorizontalConv2D(
            pre,
            kernel_size,
            mask_type="A" if first else "B",
            colours=colours,
            parts=2,
            use_bias=False,  # the link has one
            name="row_conv",
            **own,
        )
        if horizontal_output:
            self.output_conv = PointwiseConv2D(features, colours, name="output_conv", **own)
        if vertical_output:
            self.vertical_condition = PointwiseConv2D(
                pre, use_bias=False, name="vertical_condition", **own
            )
        self.horizontal_condition = PointwiseConv2D(
            pre, use_bias=False, name="horizontal_condition", **own
        )

    def build(self, vertical_shape, horizontal_shape, condition_shape=None):
        """Makes the weights of all convolutions; those of conditions only if there is one."""
        maps = (*vertical_shape[:-1], 2 * self.features)
        self.column_conv.build(vertical_shape)
        self.link.build(maps)
        self.row_conv.build(horizontal_shape)
        if self.horizontal_output:
            self.output_conv.build((*horizontal_shape[:-1], self.features))
        if condition_shape is not None:
            if self.vertical_output:
                self.vertical_condition.build(condition_shape)
            self.horizontal_condition.build(condition_shape)
        self.built = True

    def project(self, condition):
        """V·h for both stacks, once per image.

        Args:
          condition: [N, 1, 1, D], [N, H, W, D] or None.

        Returns:
          What is added to the vertical and to the horizontal pre-activations: tensors with 2p
          features instead of D, or 0 where there is nothing to add.
        """
        if condition is None:
            return 0.0, 0.0
        for_vertical = self.vertical_condition(condition) if self.vertical_output else 0.0
        return for_vertical, self.horizontal_condition(condition)

    def vertical(self, window, projected):
        """The vertical stack over a window of whole rows.

        Args:
          window: padded vertical input [N, h + ⌈n/2⌉ − 1, W + n − 1, inputs].
          projected: the two terms of `project`, for these rows.

        Returns:
          The vertical output [N, h, W, p] (None in the last layer), and all that the horizontal
          pre-activations take from finished rows and from the condition [N, h, W, 2p].
        """
        for_vertical, for_horizontal = projected
        x = self.column_conv.slide(window)
        link = self.link.slide(x) + for_horizontal
        return gate(x + for_vertical) if self.vertical_output else None, link

    def horizontal(self, convolve, project, window, link, x, gated_before=()):
        """The horizontal stack over a window of the row.

        Args:
          convolve: the 1×n convolution, over an image or at one pixel and colour.
          project: the 1×1 convolution after the gate, likewise.
          window: what `convolve` sees.
          link: what `vertical` gave [..., 2p].
          x: the horizontal input, for the residual [..., p].
          gated_before: at one pixel, the gate's outputs for the colours before this one.

        Returns:
          The horizontal output (None where nothing reads it), and the gate's output (for the
          skip connections) [..., p].
        """
        gated = gate(convolve(window) + link)
        if not self.horizontal_output:
            return None, gated
        y = project(concat([*gated_before, gated]))
        if self.residual and not self.first:
            y += x
        return y, gated

    def call(self, vertical, horizontal, condition=None):
        """One layer over whole images.

        Args:
          vertical: [N, H, W, inputs].
          horizontal: [N, H, W, inputs].
          condition: [N, 1, 1, D] or [N, H, W, D], or None.

        Returns:
          Vertical output, horizontal output and the gate's output for skips, each [N, H, W, p].
        """
        vertical, link = self.vertical(self.column_conv.window(vertical), self.project(condition))
        window = self.row_conv.window(horizontal)
        project = self.output_conv.slide if self.horizontal_output else None
        return vertical, *self.horizontal(self.row_conv.slide, project, window, link, horizontal)

    def step(self, colour):
        """`horizontal` at one pixel and for one colour, its weights gathered once."""
        convolve = self.row_conv.step(colour)
        project = self.output_conv.step(colour) if self.horizontal_output else None

        def horizontal(*args):
            return self.horizontal(convolve, project, *args)

        return horizontal

    def get_config(self):
        """See `keras.layers.Layer.get_config`."""
        return {
            **super().get_config(),
            "features": self.features,
            "kernel_size": self.kernel_size,
            "first": self.first,
            "colours": self.colours,
            "residual": self.residual,
            "vertical_output": self.vertical_output,
            "horizontal_output": self.horizontal_output,
        }


def relu(x):
    """max(x, 0) that keeps NaN.

    TensorFlow fuses `tf.nn.relu` into the convolution before it, and the fused kernel of oneDNN
    turns NaN into 0: a broken model would evaluate to plausible figures.
    """
    return tf.maximum(x, tf.zeros((), x.dtype))


def concat(parts):
    """Concatenates features; a single part is left as it is."""
    return parts[0] if len(parts) == 1 else tf.concat(parts, axis=-1)
