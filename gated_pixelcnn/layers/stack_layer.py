"""Base of the layers of a single stack: 2h maps in and out, a condition, a residual connection.

Source: "Pixel Recurrent Neural Networks" (van den Oord et al., 2016a), Figure 5 and table 1.

    x, 2h maps ─→ … h maps (+ V·c) … ─→ 1×1, h → 2h ─→ + x ─→

The condition c, which the paper does not have, is added to a pre-activation, as 2016b does it in
its gated layers. The 1×1 convolution is masked type B between colour groups.

Initial weights (see `initial_weights`): the first convolution and every pre-activation give
E[x²] = 1, the 1×1 convolution of each of L layers about 1/L, so that the stack has 1…2 or 1…e.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from gated_pixelcnn.layers import colour_groups, initial_weights
from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.layers.ops import concat
from gated_pixelcnn.layers.shifted_convolutions import PointwiseConv2D
from gated_pixelcnn.spec import Shape


class StackLayer(Layer):
    """Base of `MaskedBlock`, `RowLSTM` and `DiagonalBiLSTM`: [N, H, W, 2h] → the same.

    Over whole images it is called with (input, condition). For sampling, see
    `models.single_stack.SingleStackDecoder`, a layer has

    - `first_state(num, width)`: what is above row 0, a tuple of [N, 1, W, …];
    - `state(row_cache, state, projected)`: the state for the next row, of the cache of a finished
      row and the state above it;
    - `link(state, projected)`: what a row has from above and of the condition, [N, 1, W, features]
      in `link_parts` parts that have the same colour groups;
    - `across(x, link)`: the layer over all pixels of a row, [N, 1, W, 2h] → the same, and what is
      cached of them (a tuple of [N, 1, W, …]), where a row's pixels need each other's inputs only;
    - `first_pixels(num)`: what `step` reads of the pixels left of pixel 0, the oldest first, a list
      of tuples of [N, features];
    - `step(colour)`: the layer at one pixel and for one colour, its weights gathered once. That is
      a function (xs, seen, pixels_before, link, before) → (y, seen, cached, active): `xs` the
      inputs up to this colour, `seen` (a tuple) and `before` what it gave as seen and active for
      the colours before, `pixels_before` what was seen at the pixels at the left, `link` that of
      this colour. `cached` is a tuple of tensors, of as many features as `cached_features` names.
    """

    condition_parts = 1  # h-fold features that a condition is projected to
    link_parts = 1
    inner_moment: float | None = None  # E[x²] of the h maps at the start

    def __init__(
        self, features: int, colours: int = 1, residual: bool = True, layers: int = 1, **kwargs: Any
    ) -> None:
        """Makes what layers share.

        Args:
          features: h; the input has 2h maps. A multiple of `colours`.
          colours: number of colour groups.
          residual: whether the input is added to the output.
          layers: L, the number of layers of the model.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: features not divisible by colours.
        """
        super().__init__(**kwargs)
        colour_groups.check_divisible("features", features, colours)
        self.features, self.colours = features, colours
        self.residual, self.layers = residual, layers
        self.own = {"dtype": self.dtype_policy}  # of sublayers
        self.condition = PointwiseConv2D(
            self.condition_parts * features,
            use_bias=False,
            scale=initial_weights.CONDITION,
            name="condition",
            **self.own,
        )
        scale = 1 / (self.inner_moment * (layers if residual else 1))
        self.expand = PointwiseConv2D(2 * features, colours, scale=scale, name="expand", **self.own)

    def build(self, x_shape: Shape, condition_shape: Shape | None = None) -> None:
        """Makes the weights; those of a condition only if there is one."""
        self.expand.build((*x_shape[:-1], self.features))
        if condition_shape is not None:
            self.condition.build(condition_shape)
        self.built = True

    def project(self, condition: tf.Tensor | None) -> Any:
        """V·c, once per image: [N, 1 or H, 1 or W, features], or 0 where there is no condition."""
        return 0.0 if condition is None else self.condition(condition)

    def finish(
        self,
        inner: tf.Tensor,
        x: tf.Tensor,
        expand: Callable,
        before: Sequence[tf.Tensor] = (),
    ) -> tf.Tensor:
        """The 1×1 convolution and the residual, for images, rows or one colour of a pixel.

        Args:
          inner: the h maps [..., h], at one pixel those of one colour.
          x: the layer's input.
          expand: the 1×1 convolution, over images or at one pixel and colour.
          before: at one pixel, `inner` of the colours before this one.

        Returns:
          The layer's output.
        """
        y = expand(concat([*before, inner]))
        return y + x if self.residual else y

    def zeros(self, *shape: int | tf.Tensor) -> tf.Tensor:
        """Zeros of the type of computation."""
        return tf.zeros(shape, self.compute_dtype)
