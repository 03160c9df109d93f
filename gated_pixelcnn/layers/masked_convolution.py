"""The masked convolution of PixelCNN, in two parts of which almost nothing is masked.

Section 3.4 of "Pixel Recurrent Neural Networks" (van den Oord et al., 2016a): an n×n kernel sees
the ⌊n/2⌋ rows above, all of their columns, and of its own row what is at its left. At the pixel
itself type A (first layer) sees earlier colours only, type B its own as well. What is masked out
anyway is not multiplied: the rows above and the own row are a convolution each.

Stacked, such convolutions have a blind spot (2016b, section 2.1, Figure 1): from the row above a
layer reads ⌊n/2⌋ pixels to the right, and no layer reads to the right in the row itself, so what a
pixel sees to its right grows by ⌊n/2⌋ columns for ⌊n/2⌋ rows, however many layers there are.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from gated_pixelcnn.layers import colour_groups
from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.layers.shifted_convolutions import HorizontalConv2D, VerticalConv2D
from gated_pixelcnn.spec import Shape


def check_kernel_size(kernel_size: int, name: str = "kernel_size") -> None:
    """Raises ValueError for the size of a kernel that has no middle or nothing around it."""
    if kernel_size < 3 or kernel_size % 2 == 0:
        raise ValueError(f"{name} must be odd and at least 3, got {kernel_size}.")


class AboveConv2D(VerticalConv2D):
    """⌊n/2⌋×n: rows strictly above, all columns. [N, H, W, inputs] → [N, H, W, filters]."""

    def __init__(self, filters: int, kernel_size: int, **kwargs: Any) -> None:
        """Makes the layer.

        Args:
          filters: number of output maps.
          kernel_size: n, odd and at least 3.
          **kwargs: those of `VerticalConv2D`.

        Raises:
          ValueError: a kernel without rows above.
        """
        super().__init__(filters, kernel_size, **(kwargs | {"strict": True}))
        check_kernel_size(kernel_size)
        self.kernel_shape = (kernel_size // 2, kernel_size)


class LeftConv2D(HorizontalConv2D):
    """1×n of the own row: ⌊n/2⌋ pixels at the left, and of the pixel itself what the mask shows."""

    def __init__(self, filters: int, kernel_size: int, *args: Any, **kwargs: Any) -> None:
        """Args: those of `HorizontalConv2D`; kernel_size is at least 3."""
        super().__init__(filters, kernel_size, *args, **kwargs)
        check_kernel_size(kernel_size)
        self.kernel_shape = (1, self.kernel_size // 2 + self.sees_own_pixel)


class MaskedConv2D(Layer):
    """n×n masked convolution. Input [N, H, W, inputs], output [N, H, W, filters]."""

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        mask_type: str = "B",
        colours: int = 1,
        scale: float = 1.0,
        **kwargs: Any,
    ) -> None:
        """Makes the layer.

        Args:
          filters: number of output maps, a multiple of `colours`.
          kernel_size: n, odd and at least 3.
          mask_type: "A" for the first layer, else "B".
          colours: number of colour groups.
          scale: of the initial kernels, of which each has a half of it; see `FanIn`.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: an argument out of its range.
        """
        super().__init__(**kwargs)
        colour_groups.check_divisible("filters", filters, colours)
        own = {"scale": scale / 2, "dtype": self.dtype_policy}
        self.filters, self.kernel_size = filters, kernel_size
        self.mask_type, self.colours, self.scale = mask_type, colours, scale
        self.above = AboveConv2D(filters, kernel_size, name="above", **own)
        self.row = LeftConv2D(
            filters, kernel_size, mask_type, colours, use_bias=False, name="row", **own
        )

    def build(self, input_shape: Shape) -> None:
        """Makes the weights of both parts."""
        self.above.build(input_shape)
        self.row.build(input_shape)
        super().build(input_shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Convolves a whole image."""
        return self.above(x) + self.row(x)

    def from_above(self, rows: Sequence[tf.Tensor]) -> tf.Tensor:
        """Convolves the ⌊n/2⌋ rows above a row, a list of [N, 1, W, inputs]."""
        return self.above.slide(self.above.pad_sides(tf.concat(rows, axis=1)))
