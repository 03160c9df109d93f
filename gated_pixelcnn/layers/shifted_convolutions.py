"""The convolutions of the two stacks: shifted and cropped, so that almost nothing is masked.

Section 2.2 of "Conditional Image Generation with PixelCNN Decoders" (van den Oord et al., 2016b):
a masked n×n convolution equals a ⌈n/2⌉×n convolution whose output is shifted by padding and
cropping; a masked 1×n convolution equals one of 1×⌈n/2⌉. Here the shift is the padding of the
window that a VALID convolution slides over, so the same convolution serves a whole image
(training) and a single row or pixel over cached inputs (sampling).

Only between the colours of ONE pixel is a mask needed: the last tap of the horizontal
convolution, and the 1×1 convolutions after it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from gated_pixelcnn.layers import colour_groups
from gated_pixelcnn.layers.initial_weights import FanIn
from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.layers.ops import dense
from gated_pixelcnn.spec import Shape


def taps(kernel_size: int) -> int:
    """⌈n/2⌉, the rows or pixels that remain of a masked kernel of odd size n."""
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"kernel_size must be odd and positive, got {kernel_size}.")
    return (kernel_size + 1) // 2


class WindowConv2D(Layer):
    """A VALID convolution of which the caller pads the window; the base of this file's layers."""

    def __init__(
        self,
        filters: int,
        kernel_shape: tuple[int, int],
        use_bias: bool = True,
        scale: float = 1.0,
        **kwargs: Any,
    ) -> None:
        """Makes the layer.

        Args:
          filters: number of output maps.
          kernel_shape: (rows, columns) of the kernel.
          use_bias: whether a bias is added.
          scale: of the initial kernel: E[y²] of outputs over E[x²] of inputs, see `FanIn`.
          **kwargs: Keras' own (name, dtype).
        """
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_shape = tuple(kernel_shape)
        self.use_bias = use_bias
        self.scale = scale
        self.mask = None

    def make_mask(self, shape: tuple[int, int, int, int]) -> np.ndarray | None:
        """0 and 1 for a kernel of this shape; None where nothing is masked."""
        return None

    def build(self, input_shape: Shape) -> None:
        """Makes the kernel [rows, columns, inputs, filters], its mask and the bias [filters]."""
        shape = (*self.kernel_shape, input_shape[-1], self.filters)
        self.mask = self.make_mask(shape)
        self.kernel = self.add_weight(
            name="kernel", shape=shape, initializer=FanIn(self.scale, self.mask)
        )
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
        super().build(input_shape)

    def weights_now(self) -> tuple[tf.Tensor, tf.Tensor | None]:
        """The kernel with its mask applied, and the bias or None, in the dtype of computation.

        The mask is applied where the kernel is used, never stored into it: a freshly built or
        freshly loaded layer is as causal as a trained one.
        """
        kernel = tf.cast(self.kernel, self.compute_dtype)
        if self.mask is not None:
            kernel *= tf.constant(self.mask, kernel.dtype)
        return kernel, tf.cast(self.bias, self.compute_dtype) if self.use_bias else None

    def slide(self, window: tf.Tensor) -> tf.Tensor:
        """Convolves a window in which everything is in place that the kernel is to see.

        Args:
          window: [N, h + rows − 1, w + columns − 1, inputs].

        Returns:
          The output maps [N, h, w, filters].
        """
        kernel, bias = self.weights_now()
        y = tf.nn.conv2d(window, kernel, strides=1, padding="VALID")
        return y if bias is None else tf.nn.bias_add(y, bias)


class VerticalConv2D(WindowConv2D):
    """⌈n/2⌉×n convolution of the vertical stack: rows above, all columns, no mask.

    With `strict` (first layer) output row r sees input rows r−⌈n/2⌉ … r−1. Later layers see rows
    r−⌈n/2⌉+1 … r, because their input is shifted already: shifting in EVERY layer would bring a
    cone-shaped blind spot back.

    Input [N, H, W, inputs], output [N, H, W, filters].
    """

    def __init__(self, filters: int, kernel_size: int, strict: bool = False, **kwargs: Any) -> None:
        """Makes the layer.

        Args:
          filters: number of output maps.
          kernel_size: n, odd.
          strict: whether the output's own row is hidden (first layer).
          **kwargs: those of `WindowConv2D`.
        """
        super().__init__(filters, (taps(kernel_size), kernel_size), **kwargs)
        self.kernel_size = kernel_size
        self.strict = strict

    @property
    def rows_before(self) -> int:
        """Number of rows before its newest one in a window: those that sampling caches."""
        return self.kernel_shape[0] - 1

    def pad_sides(self, window: tf.Tensor) -> tf.Tensor:
        """Pads the columns [N, h, W, inputs] → [N, h, W + n − 1, inputs], as SAME would."""
        side = self.kernel_size // 2
        return tf.pad(window, [[0, 0], [0, 0], [side, side], [0, 0]])

    def window(self, x: tf.Tensor) -> tf.Tensor:
        """The window over a whole image: padded above, and cropped below where `strict`."""
        x = tf.pad(x, [[0, 0], [self.rows_before + self.strict, 0], [0, 0], [0, 0]])
        return self.pad_sides(x[:, :-1] if self.strict else x)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Convolves a whole image."""
        return self.slide(self.window(x))


class HorizontalConv2D(WindowConv2D):
    """1×⌈n/2⌉ convolution of the horizontal stack: the row so far, the pixel itself as masked.

    Mask type B (later layers): pixels c−⌈n/2⌉+1 … c, in pixel c own and earlier colours only.
    Mask type A (first layer): the same with the own colour hidden. With one colour group nothing of
    pixel c remains to be seen, so the window is shifted by one: c−⌈n/2⌉ … c−1.

    Input [N, H, W, inputs], output [N, H, W, filters].
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        mask_type: str = "B",
        colours: int = 1,
        parts: int = 1,
        **kwargs: Any,
    ) -> None:
        """Makes the layer.

        Args:
          filters: number of output maps.
          kernel_size: n, odd.
          mask_type: "A" for the first layer, else "B".
          colours: number of colour groups; 1 where colours do not depend on each other here.
          parts: see `colour_groups.columns`.
          **kwargs: those of `WindowConv2D`.
        """
        super().__init__(filters, (1, taps(kernel_size)), **kwargs)
        if mask_type not in ("A", "B"):
            raise ValueError(f"mask_type must be 'A' or 'B', got {mask_type!r}.")
        self.kernel_size = kernel_size
        self.mask_type = mask_type
        self.colours = colours
        self.parts = parts

    @property
    def sees_own_pixel(self) -> bool:
        """Whether the last tap is the pixel itself (and not the one before it)."""
        return self.mask_type == "B" or self.colours > 1

    @property
    def pixels_before(self) -> int:
        """Number of pixels before the current one in a window: those that sampling caches."""
        return self.kernel_shape[1] - self.sees_own_pixel

    def make_mask(self, shape: tuple[int, int, int, int]) -> np.ndarray | None:
        """That of the last tap, where there are colour groups."""
        if self.colours == 1:
            return None
        mask = np.ones(shape, np.float32)
        mask[0, -1] = colour_groups.mask(*shape[2:], self.colours, self.mask_type, self.parts)
        return mask

    def window(self, x: tf.Tensor) -> tf.Tensor:
        """The window over a whole image: padded at the left, cropped at the right if shifted."""
        x = tf.pad(x, [[0, 0], [0, 0], [self.pixels_before, 0], [0, 0]])
        return x if self.sees_own_pixel else x[:, :, :-1]

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Convolves a whole image."""
        return self.slide(self.window(x))

    def step(self, colour: int) -> Callable:
        """The same convolution at one pixel and for one colour, as one matrix product.

        Args:
          colour: index of the colour group.

        Returns:
          A function of the visible part of a window, flattened with the oldest pixel first
          [N, pixels_before·inputs + visible], to this colour's outputs [N, filters / colours].
          Its weights are gathered here, once, not at every pixel.
        """
        kernel, bias = self.weights_now()
        inputs = kernel.shape[2]
        rows = self.pixels_before * inputs
        if self.sees_own_pixel:
            rows += colour_groups.visible(inputs, self.colours, colour, self.mask_type)
        wanted = colour_groups.columns(self.filters, self.colours, colour, self.parts)
        return dense(tf.reshape(kernel, [-1, self.filters])[:rows], bias, wanted)


class PointwiseConv2D(WindowConv2D):
    """1×1 convolution, masked type B between colour groups (an ordinary one for one group).

    Input [N, H, W, inputs], output [N, H, W, filters].
    """

    def __init__(
        self, filters: int, colours: int = 1, use_bias: bool = True, **kwargs: Any
    ) -> None:
        """Makes the layer.

        Args:
          filters: number of output maps.
          colours: number of colour groups.
          use_bias: whether a bias is added.
          **kwargs: those of `WindowConv2D`.
        """
        super().__init__(filters, (1, 1), use_bias=use_bias, **kwargs)
        self.colours = colours

    def make_mask(self, shape: tuple[int, int, int, int]) -> np.ndarray | None:
        """That between the colour groups, if there are some."""
        if self.colours == 1:
            return None
        return colour_groups.mask(*shape[2:], self.colours, "B")[np.newaxis, np.newaxis]

    def slide(self, x: tf.Tensor) -> tf.Tensor:
        """Mixes the features of every pixel: [N, h, w, inputs] → [N, h, w, filters]."""
        if x.shape[1] != 1:
            return super().slide(x)
        # One row, as in sampling: a matrix product takes half the time of a convolution.
        kernel, bias = self.weights_now()
        y = tf.matmul(tf.reshape(x, [-1, x.shape[-1]]), kernel[0, 0])
        y = y if bias is None else tf.nn.bias_add(y, bias)
        return tf.reshape(y, [-1, 1, x.shape[2], self.filters])

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Mixes the features of every pixel."""
        return self.slide(x)

    def step(self, colour: int) -> Callable:
        """The same at one pixel and for one colour; see `HorizontalConv2D.step`."""
        kernel, bias = self.weights_now()
        rows = colour_groups.visible(kernel.shape[2], self.colours, colour, "B")
        wanted = colour_groups.columns(self.filters, self.colours, colour)
        return dense(kernel[0, 0, :rows], bias, wanted)
