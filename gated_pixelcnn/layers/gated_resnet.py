"""The gated residual block of PixelCNN++ and the shifted convolutions of its two streams.

Source: "PixelCNN++" (Salimans et al., 2017), sections 2.3 to 2.5 and Figure 2.

    x ─→ celu ─→ conv, F ─→ + ─→ celu ─→ dropout ─→ conv, 2F ─→ + ─→ a, b
    │                       │                                   │      │
    │    other ─→ celu ─→ 1×1, F                               V·h   a ⊙ σ(b)
    └────────────────────────────────────────────────────────────────→ + ─→

celu(x) = elu([x, −x]). The stream u sees the rows above, the stream ul the rows above and what is
at the left. What is `other`: for ul the output of u; on the way up also the mirrored one of the way
down.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from gated_pixelcnn.layers.dropout import Dropout
from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.layers.ops import dense
from gated_pixelcnn.layers.shifted_convolutions import PointwiseConv2D
from gated_pixelcnn.layers.weight_norm import NormalisedConv2D
from gated_pixelcnn.spec import Shape

# Kernel and its last tap, in rows and columns from the own pixel.
ABOVE = {"kernel_shape": (2, 3), "last": (0, 1)}  # of the stream u
ABOVE_AND_LEFT = {"kernel_shape": (2, 2), "last": (0, 0)}  # of ul
AROUND = {"kernel_shape": (3, 3), "last": (1, 1)}  # of a network that may see all


def concat_elu(x: tf.Tensor) -> tf.Tensor:
    """elu([x, −x]): [..., F] → [..., 2F]."""
    return tf.nn.elu(tf.concat([x, -x], axis=-1))


class ShiftedConv2D(NormalisedConv2D):
    """A convolution whose kernel ends at a given place: [N, H, W, inputs] → [N, H, W, filters].

    With a stride of 2: → [N, ⌈H/2⌉, ⌈W/2⌉, filters], of every second row and column from the first.
    """

    def __init__(
        self,
        filters: int,
        kernel_shape: tuple[int, int],
        last: tuple[int, int] = (0, 0),
        **kwargs: Any,
    ) -> None:
        """Makes the layer.

        Args:
          filters: number of output maps.
          kernel_shape: (rows, columns) of the kernel.
          last: (rows down, columns right) from the own pixel to the kernel's last tap; negative
            where the kernel ends above or at the left.
          **kwargs: those of `NormalisedConv2D`.
        """
        super().__init__(filters, kernel_shape, **kwargs)
        self.last = tuple(last)

    def pad_sides(self, rows: tf.Tensor) -> tf.Tensor:
        """Pads (or crops) the columns of rows, for the kernel to begin and end where it has to."""
        return _pad(rows, 2, self.kernel_shape[1], self.last[1])

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Convolves whole images."""
        return self.slide(self.pad_sides(_pad(x, 1, self.kernel_shape[0], self.last[0])))

    def row(self, rows: list[tf.Tensor]) -> tf.Tensor:
        """One row of the output, of the rows that the kernel sees: a list of [N, 1, W, inputs]."""
        return self.slide(self.pad_sides(tf.concat(rows, axis=1)))

    def from_above(self, row: tf.Tensor) -> tf.Tensor:
        """The upper row of a kernel of two, and the bias: [N, 1, W, filters]."""
        kernel, bias = self.weights_now()
        y = tf.nn.conv2d(self.pad_sides(row), kernel[:1], strides=self.strides, padding="VALID")
        return tf.nn.bias_add(y, bias)

    def own_row(self, row: tf.Tensor) -> tf.Tensor:
        """The lower row of a kernel of two, without the bias: [N, 1, W, filters]."""
        kernel, _ = self.weights_now()
        return tf.nn.conv2d(self.pad_sides(row), kernel[1:], strides=self.strides, padding="VALID")

    def step(self) -> Callable:
        """The lower row of a kernel of two, at one pixel.

        Returns:
          A function of the pixels that it sees, flattened from the left [N, columns·inputs], to
          [N, filters]. Its weights are gathered here, once, not at every pixel.
        """
        kernel, _ = self.weights_now()
        return dense(tf.reshape(kernel[1], [-1, self.filters]), None, range(self.filters))


def _pad(x, axis, size, last):
    """Zeros before and after an axis, so that a kernel of a size ends `last` after each place."""
    if last < 0:
        x = tf.slice(x, [0] * 4, [x.shape[i] + last if i == axis else -1 for i in range(4)])
    sides = [[0, 0]] * 4
    sides[axis] = [size - 1 - last, max(last, 0)]
    return tf.pad(x, sides)


class GatedResnet(Layer):
    """The block: x [N, H, W, F], others of the same shape → [N, H, W, F].

    Its mathematics is written once, in `of`. Whole images, a row and a pixel differ in what the two
    convolutions are.
    """

    def __init__(
        self,
        features: int,
        kernel_shape: tuple[int, int],
        last: tuple[int, int],
        others: int = 0,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        """Makes the block.

        Args:
          features: F.
          kernel_shape: of both convolutions, see `ShiftedConv2D`.
          last: of both convolutions, see `ShiftedConv2D`.
          others: number of other inputs.
          dropout: share of the features between the convolutions that is dropped in training.
          **kwargs: Keras' own (name, dtype).
        """
        super().__init__(**kwargs)
        own = {"dtype": self.dtype_policy}
        seen = {"kernel_shape": kernel_shape, "last": last}
        self.features, self.others, self.rate, self.seen = features, others, dropout, seen
        self.first = ShiftedConv2D(features, **seen, name="first", **own)
        self.second = ShiftedConv2D(2 * features, **seen, deviation=0.1, name="second", **own)
        self.shortcut = NormalisedConv2D(features, (1, 1), name="shortcut", **own)
        self.condition = PointwiseConv2D(2 * features, use_bias=False, name="condition", **own)
        self.dropout = Dropout(dropout, name="dropout", **own) if dropout else None

    def build(self, x_shape: Shape, condition_shape: Shape | None = None) -> None:
        """Makes the weights; those of a condition only if there is one."""
        doubled = (*x_shape[:-1], 2 * self.features)
        self.first.build(doubled)
        self.second.build(doubled)
        if self.others:
            self.shortcut.build((*x_shape[:-1], 2 * self.features * self.others))
        if condition_shape is not None:
            self.condition.build(condition_shape)
        self.built = True

    def of(
        self, x: tf.Tensor, first: Callable, second: Callable, training: bool = False
    ) -> tf.Tensor:
        """The block, from its two convolutions and all that is added to them."""
        inner = concat_elu(first(concat_elu(x)))
        if self.dropout is not None:
            inner = self.dropout(inner, training=training)
        a, b = tf.split(second(inner), 2, axis=-1)
        return x + a * tf.sigmoid(b)

    def of_others(self, others: Sequence[tf.Tensor]) -> tf.Tensor | float:
        """Summand of the first convolution, for images or rows: of all other inputs, or 0."""
        return self.shortcut.slide(concat_elu(tf.concat(others, axis=-1))) if others else 0.0

    def project(self, condition: tf.Tensor | None) -> tf.Tensor | float:
        """V·h, once per image: [N, 1 or H, 1 or W, 2F], or 0 where there is no condition."""
        return 0.0 if condition is None else self.condition(condition)

    def call(
        self,
        x: tf.Tensor,
        *others: tf.Tensor,
        condition: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """The block over whole images."""
        added, projected = self.of_others(others), self.project(condition)
        return self.of(
            x, lambda z: self.first(z) + added, lambda z: self.second(z) + projected, training
        )

    # One row and one pixel at a time, for sampling.

    def first_rows(self, num: int | tf.Tensor, width: int) -> tuple[tf.Tensor, tf.Tensor]:
        """The inputs of both convolutions above row 0: zeros [N, 1, W, 2F] each."""
        zeros = tf.zeros((num, 1, width, 2 * self.features), self.compute_dtype)
        return zeros, zeros

    def row(
        self,
        x: tf.Tensor,
        others: Sequence[tf.Tensor],
        above: tuple[tf.Tensor, tf.Tensor],
        projected: tf.Tensor | float,
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        """The block over one row.

        Args:
          x: the input [N, 1, W, F].
          others: a list of the others, of the same shape.
          above: of `first_rows` or of the row above.
          projected: of `project`, for this row.

        Returns:
          The output [N, 1, W, F], and what the row below needs of this one.
        """
        seen, added = [None, None], self.of_others(others)

        def first(z):
            seen[0] = z
            return self.first.row([above[0], z]) + added

        def second(z):
            seen[1] = z
            return self.second.row([above[1], z]) + projected

        return self.of(x, first, second), tuple(seen)

    def link(
        self,
        other: tf.Tensor,
        above: tuple[tf.Tensor, tf.Tensor],
        projected: tf.Tensor | float,
    ) -> tf.Tensor:
        """Links of a row of ul, known before its first pixel is drawn.

        Args:
          other: of the stream u, this row [N, 1, W, F].
          above: of `row`, the row above.
          projected: of `project`, for this row.

        Returns:
          What is added to the first and to the second convolution [N, 1, W, 3F].
        """
        kernel, bias = self._of_other(0)
        from_other = tf.nn.conv2d(concat_elu(other), kernel[tf.newaxis, tf.newaxis], 1, "VALID")
        first = self.first.from_above(above[0]) + tf.nn.bias_add(from_other, bias)
        second = self.second.from_above(above[1]) + projected
        return tf.concat([first, second], axis=-1)

    def _of_other(self, number):
        """The part of the shortcut's kernel for one of the others [2F, F], and the bias."""
        kernel, bias = self.shortcut.weights_now()
        kernel = tf.reshape(kernel, [2, self.others, self.features, self.features])
        return tf.reshape(kernel[:, number], [-1, self.features]), bias

    def step(self) -> Callable:
        """The block of ul at one pixel, its weights gathered once.

        Returns:
          A function (x [N, F], the other one that is known at this pixel only or None, `link` of
          this pixel [N, 3F], `seen` of the pixel at the left) → (y [N, F], seen).
        """
        first, second = self.first.step(), self.second.step()
        shortcut = self._of_other(1)[0] if self.others > 1 else None

        def block(x, other, link, left):
            from_other = 0.0 if shortcut is None else tf.matmul(concat_elu(other), shortcut)
            return self._of_own_row(
                x,
                from_other,
                link,
                lambda z: first(tf.concat([left[0], z], axis=-1)),
                lambda z: second(tf.concat([left[1], z], axis=-1)),
            )

        return block

    def across(
        self, x: tf.Tensor, other: tf.Tensor | None, link: tf.Tensor
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        """The block of ul over all pixels of a row; see `step`, tensors are [N, 1, W, …]."""
        from_other = 0.0
        if self.others > 1:
            shortcut = self._of_other(1)[0][tf.newaxis, tf.newaxis]
            from_other = tf.nn.conv2d(concat_elu(other), shortcut, 1, "VALID")
        return self._of_own_row(x, from_other, link, self.first.own_row, self.second.own_row)

    def _of_own_row(self, x, from_other, link, first, second):
        """The block of ul: what the convolutions see in the own row, and all else that is added."""
        link_first, link_second = tf.split(link, [self.features, 2 * self.features], axis=-1)
        seen = [None, None]

        def whole_first(z):
            seen[0] = z
            return first(z) + link_first + from_other

        def whole_second(z):
            seen[1] = z
            return second(z) + link_second

        return self.of(x, whole_first, whole_second), tuple(seen)
