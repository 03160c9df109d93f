"""The residual block of PixelCNN.

Source: "Pixel Recurrent Neural Networks" (van den Oord et al., 2016a), Figure 5 (left), table 1 and
section 3.4.

    x, 2h maps ──→ ReLU → 1×1, 2h → h → ReLU → 3×3 mask B, h → h → ReLU → 1×1, h → 2h ──→ + ──→
       │                                       + V·c                                      ↑
       └──────────────────────────────────────────────────────────────────────────────────┘

The 1×1 convolutions are masked type B between colour groups. The condition c, which the paper does
not have, is added to what the masked convolution gives, as 2016b does it in its gated layers.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from gated_pixelcnn.layers import initial_weights
from gated_pixelcnn.layers.masked_convolution import MaskedConv2D
from gated_pixelcnn.layers.ops import concat, relu
from gated_pixelcnn.layers.shifted_convolutions import PointwiseConv2D
from gated_pixelcnn.layers.stack_layer import StackLayer
from gated_pixelcnn.spec import Shape


class MaskedBlock(StackLayer):
    """ReLU → 1×1 → ReLU → n×n mask B → ReLU → 1×1, and the input: [N, H, W, 2h] → the same."""

    inner_moment = initial_weights.relu()

    def __init__(self, features: int, kernel_size: int = 3, **kwargs: Any) -> None:
        """Makes the block.

        Args:
          features: h; the input has 2h maps. A multiple of `colours`.
          kernel_size: n, odd and at least 3.
          **kwargs: those of `StackLayer`.

        Raises:
          ValueError: features not divisible by colours, or a kernel size that is not odd and at
            least 3.
        """
        super().__init__(features, **kwargs)
        self.kernel_size = kernel_size
        own = {"colours": self.colours, "scale": 1 / initial_weights.relu(), **self.own}
        self.reduce = PointwiseConv2D(features, name="reduce", **own)
        self.conv = MaskedConv2D(features, kernel_size, "B", name="conv", **own)

    def build(self, x_shape: Shape, condition_shape: Shape | None = None) -> None:
        """Makes the weights; those of a condition only if there is one."""
        self.reduce.build(x_shape)
        self.conv.build((*x_shape[:-1], self.features))
        super().build(x_shape, condition_shape)

    def call(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """The block over whole images."""
        convolved = self.conv(relu(self.reduce(relu(x))))
        return self.finish(relu(convolved + self.project(condition)), x, self.expand.slide)

    def across(self, x: tf.Tensor, link: tf.Tensor) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
        """See `StackLayer`."""
        z = relu(self.reduce(relu(x)))
        return self.finish(relu(self.conv.row(z) + link), x, self.expand.slide), (z,)

    def first_state(self, num: int | tf.Tensor, width: int) -> tuple[tf.Tensor, ...]:
        """Above row 0: the masked convolution's ⌊n/2⌋ input rows, zeros [N, 1, W, h]."""
        rows = self.conv.above.kernel_shape[0]
        return (self.zeros(num, 1, width, self.features),) * rows

    @property
    def cached_features(self) -> tuple[int, ...]:
        """Features of the input of the masked convolution."""
        return (self.features,)

    def state(self, row_cache: tuple, state: tuple, projected: Any) -> tuple[tf.Tensor, ...]:
        """See `StackLayer`: the next row sees one row more and the first of them no more."""
        return (*state[1:], *row_cache)

    def link(self, state: tuple, projected: Any) -> tf.Tensor:
        """The rows above convolved, and the condition [N, 1, W, h]."""
        return self.conv.from_above(state) + projected

    def first_pixels(self, num: int | tf.Tensor) -> list[tuple[tf.Tensor, ...]]:
        """Zeros: the input of the masked convolution [N, h]."""
        return [(self.zeros(num, self.features),)] * self.conv.row.pixels_before

    def step(self, colour: int) -> Callable:
        """See `StackLayer`."""
        reduce, row = self.reduce.step(colour), self.conv.row.step(colour)
        expand = self.expand.step(colour)

        def block(xs, seen, pixels_before, link, before):
            z = relu(reduce(relu(concat(xs))))
            window = [x for (x,) in (*pixels_before, *seen)]
            active = relu(row(concat([*window, z])) + link)
            return self.finish(active, xs[-1], expand, before), (z,), (z,), active

        return block
