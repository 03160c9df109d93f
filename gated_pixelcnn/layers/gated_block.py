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

Options are what section 2 of the paper speaks of: a residual in the vertical stack, too ("tried, no
gain"); ReLU units as in PixelCNN, max(n×n → p, 0), in place of gates; one stack, whose masked n×n
convolution sees the rows above through its own features and so has a blind spot (Figure 1):

    in ──→ masked n×n → 2p, + V·h ──→ tanh ⊙ σ ──→ 1×1, p → p ──→ + ──→ out
     └──────────────────────────────────────└─→ skip ─────────────┘

An option that the paper does not have: `dropout` after the gates of both stacks, not in the skips.

Initial weights (see `initial_weights`): n×n, link and 1×n give E[x²] = 0.4 each, the 1×1 after
the gate 1 in the first of L blocks and 1/L in the others, so that the residual stack has 1…2.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from gated_pixelcnn.layers import colour_groups, initial_weights
from gated_pixelcnn.layers.dropout import Dropout
from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.layers.masked_convolution import AboveConv2D
from gated_pixelcnn.layers.ops import concat, relu
from gated_pixelcnn.layers.shifted_convolutions import (
    HorizontalConv2D,
    PointwiseConv2D,
    VerticalConv2D,
)
from gated_pixelcnn.spec import Shape


def gate(x: tf.Tensor) -> tf.Tensor:
    """The gated unit, equation 2: [..., 2p] → tanh of the first half ⊙ σ of the second [..., p]."""
    features, gates = tf.split(x, 2, axis=-1)
    return tf.tanh(features) * tf.sigmoid(gates)


class Unit(NamedTuple):
    """The function that follows a pre-activation.

    Attributes:
      function: [..., parts·p] → [..., p].
      parts: parts of a pre-activation that have the same colour groups.
      moment: function of v: E[y²] where pre-activations are N(0, v).
      mean: E[y] / √v then.
    """

    function: Callable
    parts: int
    moment: Callable
    mean: float

    def moment_of_sum(self, number: int, variance: float) -> float:
        """E[y²] of the sum of so many independent units of pre-activations N(0, variance)."""
        mean = self.mean**2 * variance
        return number * self.moment(variance) + number * (number - 1) * mean


UNITS = {
    "tanh_sigmoid": Unit(gate, 2, initial_weights.gated, 0.0),
    "relu": Unit(relu, 1, initial_weights.relu, (2 * math.pi) ** -0.5),
}


class GatedBlock(Layer):
    """One layer of both stacks (Figure 2).

    The mathematics of either stack is written once, in `vertical` and `horizontal`. They take
    windows: a whole padded image in training, the cached rows or pixels in sampling.
    """

    def __init__(
        self,
        features: int,
        kernel_size: int = 3,
        index: int = 0,
        layers: int = 1,
        colours: int = 1,
        residual: bool = True,
        vertical_residual: bool = False,
        gate: str = "tanh_sigmoid",
        stacks: int = 2,
        horizontal_output: bool = True,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        """Makes the block.

        Args:
          features: p, the feature maps of each stack; a multiple of `colours`.
          kernel_size: n of Figure 2, odd; at least 3 where there is one stack.
          index: its place in the model. The first block, 0, reads the image: its own row (vertical)
            and own colour (horizontal, mask A) are hidden and it has no residuals.
          layers: L, the number of blocks of the model. The last one has no vertical output, as
            nothing would read it.
          colours: number of colour groups.
          residual: whether the horizontal input is added to the output.
          vertical_residual: whether the vertical input is added to the vertical output.
          gate: "tanh_sigmoid" (equation 2) or "relu".
          stacks: 2, or 1: rows above are seen through the horizontal stack's features.
          horizontal_output: False in the last block of a model with skips, where only the gate's
            output is read.
          dropout: share of the gates' outputs that the next convolution of their stack does not
            see in training.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: features not divisible by colours, or a kernel size, gate, number of stacks or
            dropout out of range.
        """
        super().__init__(**kwargs)
        colour_groups.check_divisible("features", features, colours)
        check_options(gate, stacks, vertical_residual, dropout)
        self.features = features
        self.kernel_size = kernel_size
        self.index, self.layers = index, layers
        self.colours = colours
        self.residual = residual
        self.vertical_residual = vertical_residual
        self.gate, self.unit = gate, UNITS[gate]
        self.stacks = stacks
        self.vertical_output = stacks == 2 and index < layers - 1
        self.horizontal_output = horizontal_output
        self.rate = dropout
        self.pre = self.unit.parts * features
        own = {"dtype": self.dtype_policy}
        self.dropout = Dropout(dropout, name="dropout", **own) if dropout else None
        part, above = initial_weights.PART, initial_weights.IMAGE
        seen = 1.0 if index else initial_weights.IMAGE  # E[x²] of the horizontal input
        if index:
            above = self.unit.moment_of_sum(index if vertical_residual else 1, part)
        if stacks == 2:
            self.column_conv = VerticalConv2D(
                self.pre,
                kernel_size,
                strict=not index,
                scale=part / above,
                name="column_conv",
                **own,
            )
            self.link = PointwiseConv2D(self.pre, name="link", **own)
        else:
            self.column_conv = AboveConv2D(
                self.pre, kernel_size, scale=part / seen, name="column_conv", **own
            )
        self.row_conv = HorizontalConv2D(
            self.pre,
            kernel_size,
            mask_type="B" if index else "A",
            colours=colours,
            parts=self.unit.parts,
            use_bias=False,  # what comes from above has one
            scale=part / seen,
            name="row_conv",
            **own,
        )
        if horizontal_output:
            share = layers if residual and index else 1
            scale = 1 / (self.unit.moment(2 * part) * share)
            self.output_conv = PointwiseConv2D(
                features, colours, scale=scale, name="output_conv", **own
            )
        condition = {"use_bias": False, "scale": initial_weights.CONDITION, **own}
        if self.vertical_output:
            self.vertical_condition = PointwiseConv2D(
                self.pre, name="vertical_condition", **condition
            )
        self.horizontal_condition = PointwiseConv2D(
            self.pre, name="horizontal_condition", **condition
        )

    def build(
        self,
        vertical_shape: Shape,
        horizontal_shape: Shape,
        condition_shape: Shape | None = None,
    ) -> None:
        """Makes the weights of all convolutions; those of conditions only if there is one."""
        self.column_conv.build(vertical_shape)
        if self.stacks == 2:
            self.link.build((*vertical_shape[:-1], self.pre))
        self.row_conv.build(horizontal_shape)
        if self.horizontal_output:
            self.output_conv.build((*horizontal_shape[:-1], self.features))
        if condition_shape is not None:
            if self.vertical_output:
                self.vertical_condition.build(condition_shape)
            self.horizontal_condition.build(condition_shape)
        self.built = True

    def project(self, condition: tf.Tensor | None) -> tuple[tf.Tensor | float, tf.Tensor | float]:
        """V·h for both stacks, once per image.

        Args:
          condition: [N, 1, 1, D], [N, H, W, D] or None.

        Returns:
          What is added to the vertical and to the horizontal pre-activations: tensors with 2p
          features (with ReLU units p) instead of D, or 0 where there is nothing to add.
        """
        if condition is None:
            return 0.0, 0.0
        for_vertical = self.vertical_condition(condition) if self.vertical_output else 0.0
        return for_vertical, self.horizontal_condition(condition)

    def dropped(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        """Dropout, where there is one and in training only."""
        return x if self.dropout is None else self.dropout(x, training=training)

    def vertical(
        self,
        window: tf.Tensor,
        projected: Sequence[tf.Tensor | float],
        training: bool = False,
    ) -> tuple[tf.Tensor | None, tf.Tensor]:
        """The vertical stack over a window of whole rows.

        Args:
          window: padded vertical input [N, h + rows before, W + n − 1, inputs].
          projected: the two terms of `project`, for these rows.
          training: whether dropout is on.

        Returns:
          The vertical output [N, h, W, p] (None where there is none), and all that the horizontal
          pre-activations take from finished rows and from the condition [N, h, W, 2p].
        """
        for_vertical, for_horizontal = projected
        x = self.column_conv.slide(window)
        link = (x if self.stacks == 1 else self.link.slide(x)) + for_horizontal
        if not self.vertical_output:
            return None, link
        y = self.dropped(self.unit.function(x + for_vertical), training)
        if self.vertical_residual and self.index:
            side = self.kernel_size // 2
            y += window[:, self.column_conv.rows_before :, side : side + x.shape[2]]
        return y, link

    def horizontal(
        self,
        convolve: Callable,
        project: Callable | None,
        window: tf.Tensor,
        link: tf.Tensor,
        x: tf.Tensor | None,
        gated_before: Sequence[tf.Tensor] = (),
        training: bool = False,
    ) -> tuple[tf.Tensor | None, tf.Tensor]:
        """The horizontal stack over a window of the row.

        Args:
          convolve: the 1×n convolution, over an image or at one pixel and colour.
          project: the 1×1 convolution after the gate, likewise.
          window: what `convolve` sees.
          link: what `vertical` gave [..., 2p].
          x: the horizontal input, for the residual [..., p].
          gated_before: at one pixel, the gate's outputs for the colours before this one.
          training: whether dropout is on.

        Returns:
          The horizontal output (None where nothing reads it), and the gate's output (for the
          skip connections) [..., p].
        """
        gated = self.unit.function(convolve(window) + link)
        if not self.horizontal_output:
            return None, gated
        y = project(self.dropped(concat([*gated_before, gated]), training))
        if self.residual and self.index:
            y += x
        return y, gated

    def call(
        self,
        vertical: tf.Tensor,
        horizontal: tf.Tensor,
        condition: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor | None, tf.Tensor | None, tf.Tensor]:
        """One layer over whole images.

        Args:
          vertical: [N, H, W, inputs]; where there is one stack, the same as `horizontal`.
          horizontal: [N, H, W, inputs].
          condition: [N, 1, 1, D] or [N, H, W, D], or None.
          training: whether dropout is on.

        Returns:
          Vertical output, horizontal output and the gate's output for skips, each [N, H, W, p].
        """
        window, projected = self.column_conv.window(vertical), self.project(condition)
        above, link = self.vertical(window, projected, training)
        y, gated = self.across(horizontal, link, training)
        return above if self.stacks == 2 else y, y, gated

    def across(
        self, x: tf.Tensor, link: tf.Tensor, training: bool = False
    ) -> tuple[tf.Tensor | None, tf.Tensor]:
        """`horizontal` over whole rows at once: [N, h, W, inputs] and the link [N, h, W, 2p]."""
        project = self.output_conv.slide if self.horizontal_output else None
        window = self.row_conv.window(x)
        return self.horizontal(self.row_conv.slide, project, window, link, x, training=training)

    def step(self, colour: int) -> Callable:
        """`horizontal` at one pixel and for one colour, its weights gathered once."""
        convolve = self.row_conv.step(colour)
        project = self.output_conv.step(colour) if self.horizontal_output else None

        def horizontal(*args):
            return self.horizontal(convolve, project, *args)

        return horizontal


def check_options(gate: str, stacks: int, vertical_residual: bool, dropout: float) -> None:
    """Raises ValueError for what is out of its range or does not go together."""
    if gate not in UNITS:
        raise ValueError(f"gate must be one of {', '.join(UNITS)}, got {gate!r}.")
    if stacks not in (1, 2):
        raise ValueError(f"stacks must be 1 or 2, got {stacks!r}.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}.")
    if vertical_residual and stacks == 1:
        raise ValueError(
            "vertical_residual=True needs a vertical stack: set stacks=2, or "
            "vertical_residual=False."
        )
