"""Diagonal BiLSTM: two LSTMs that go over the image along its diagonals, from both upper corners.

Source: "Pixel Recurrent Neural Networks" (van den Oord et al., 2016a), section 3.2, equation 3,
Figure 3, Figure 4 (right) and table 1.

One direction (`DiagonalLSTM`): the map is skewed, row r moved right by r, so that a diagonal is a
column. All pixels of a column are then computed at once:

    x, 2h maps ─→ input-to-state, 1×1 mask B, 2h → 4h ──────────→ + ─→ o, f, i (σ) and g (tanh)
                                                   + V·c          │      c = f ⊙ c_left + i ⊙ g
    h of the column before ─→ state-to-state, 2×1, h → 4h ────────┘      h = o ⊙ tanh(c)

Of the column before, the kernel of size 2 reads the same row (the pixel at the left) and the row
above it (the pixel above): all that is above and at the left, and no blind spot.

The other direction does the same on the mirrored image. Its pixel sees what is at its right, so its
map is moved down one row before it is added:

    h of the left direction + h of the right direction, one row down ─→ 1×1, h → 2h ─→ + x ─→
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from gated_pixelcnn.layers import colour_groups, initial_weights
from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.layers.ops import concat, dense
from gated_pixelcnn.layers.row_lstm import GATES, lstm
from gated_pixelcnn.layers.shifted_convolutions import HorizontalConv2D, WindowConv2D
from gated_pixelcnn.layers.stack_layer import StackLayer
from gated_pixelcnn.spec import Shape


def skew(x: tf.Tensor) -> tf.Tensor:
    """Moves row r right by r, zeros around it: [N, H, W, F] → [N, H, W + H − 1, F] (Figure 3)."""
    height, width, features = x.shape[1:]
    # Rows of W + H pixels, read on as rows of one less: each begins one pixel later.
    x = tf.pad(x, [[0, 0], [0, 0], [0, height], [0, 0]])
    x = tf.reshape(x, [-1, height * (width + height), features])
    # tf.slice, as the gradient of x[:, :n] takes several times as long.
    x = tf.slice(x, [0, 0, 0], [-1, height * (width + height - 1), -1])
    return tf.reshape(x, [-1, height, width + height - 1, features])


def unskew(x: tf.Tensor) -> tf.Tensor:
    """Moves row r back: [N, H, W + H − 1, F] → [N, H, W, F], the inverse of `skew`."""
    height, length, features = x.shape[1:]
    x = tf.reshape(x, [-1, height * length, features])
    x = tf.reshape(tf.pad(x, [[0, 0], [0, height], [0, 0]]), [-1, height, length + 1, features])
    return tf.slice(x, [0, 0, 0, 0], [-1, -1, length + 1 - height, -1])


def mirror(x: tf.Tensor) -> tf.Tensor:
    """Left and right exchanged: [N, H, W, F] → the same."""
    return tf.reverse(x, [2])


def waiting(height: int, length: int, features: int) -> np.ndarray:
    """Mask that makes the rows of a skewed map wait with their first c until they begin.

    Returns:
      Array [1, H, length, 4h], to be added to the pre-activations: of pixels before a row's first
      one the gates o and i are shut (h = 0, nothing comes into c) and f is open, elsewhere 0.
    """
    rows, columns = np.mgrid[:height, :length]
    shut, open_ = -100.0, 100.0  # the sigmoid is 1 then, or less than any rounding error
    gates = np.repeat([shut, open_, shut, 0.0], features)
    return np.where((columns < rows)[np.newaxis, ..., np.newaxis], gates, 0.0)


class DiagonalLSTM(Layer):
    """The direction that begins at the upper left: x [N, H, W, 2h] → h of the LSTM [N, H, W, h].

    Before the pixels of column 0 is a learned state; above row 0 are zeros.
    """

    def __init__(self, features: int, colours: int = 1, **kwargs: Any) -> None:
        """Makes the layer.

        Args:
          features: h, a multiple of `colours`.
          colours: number of colour groups.
          **kwargs: Keras' own (name, dtype).

        Raises:
          ValueError: features not divisible by colours.
        """
        super().__init__(**kwargs)
        colour_groups.check_divisible("features", features, colours)
        own = {"dtype": self.dtype_policy}
        self.features, self.colours = features, colours
        self.input_to_state = HorizontalConv2D(
            GATES * features, 1, "B", colours, parts=GATES, name="input_to_state", **own
        )
        self.state_to_state = WindowConv2D(
            GATES * features,
            (2, 1),
            use_bias=False,  # input-to-state has one
            name="state_to_state",
            **own,
        )

    def build(self, x_shape: Shape, above_shape: Shape | None = None) -> None:
        """Makes the weights."""
        self.input_to_state.build(x_shape)
        self.state_to_state.build((*x_shape[:-1], self.features))
        shape = {"shape": (self.features,), "initializer": "zeros"}
        self.first_hidden = self.add_weight(name="first_hidden", **shape)
        self.first_cell = self.add_weight(name="first_cell", **shape)
        self.built = True

    def call(self, x: tf.Tensor, above: tf.Tensor | float = 0.0) -> tf.Tensor:
        """Goes over a map, diagonal after diagonal.

        Args:
          x: the input [N, H, W, 2h].
          above: what is added to the pre-activations of the gates, if not 0 [N, H, W, 4h].

        Returns:
          h of the LSTM [N, H, W, h].
        """
        kernel = self.state_to_state.weights_now()[0]
        hidden, cell = self.first_state()
        gates = self.input_to_state(x) + above
        # What column 0 has of the learned h; the learned c waits in the loop, see `waiting`.
        first = tf.reshape(tf.matmul(hidden[tf.newaxis], kernel[1, 0]), [1, 1, 1, -1])
        gates += tf.pad(first, [[0, 0], [0, 0], [0, x.shape[2] - 1], [0, 0]])
        gates = skew(gates)
        height, length = gates.shape[1:3]
        gates += tf.constant(waiting(height, length, self.features), gates.dtype)

        # An array, for the gradient of a slice of a tensor is a whole tensor of zeros every time.
        columns = tf.TensorArray(gates.dtype, length).unstack(tf.transpose(gates, [2, 0, 1, 3]))
        # One matrix product: at this size it takes less time than a convolution.
        kernel = tf.reshape(kernel, [2 * self.features, GATES * self.features])

        def column(index, hidden, cell, done):
            row_above = tf.pad(hidden, [[0, 0], [1, 0], [0, 0]])
            row_above = tf.slice(row_above, [0, 0, 0], [-1, height, -1])
            both = tf.reshape(tf.concat([row_above, hidden], axis=-1), [-1, 2 * self.features])
            from_before = tf.reshape(tf.matmul(both, kernel), [-1, height, kernel.shape[1]])
            hidden, cell = lstm(columns.read(index) + from_before, cell)
            return index + 1, hidden, cell, done.write(index, hidden)

        cell = tf.broadcast_to(cell, tf.stack([tf.shape(x)[0], height, self.features]))
        done = tf.TensorArray(gates.dtype, length, element_shape=(None, height, self.features))
        *_, done = tf.while_loop(
            lambda index, *_: index < length,
            column,
            (tf.constant(0), tf.zeros_like(cell), cell, done),
            maximum_iterations=length,
        )
        hidden = tf.transpose(done.stack(), [1, 2, 0, 3])
        return unskew(tf.ensure_shape(hidden, (None, height, length, self.features)))

    def first_state(self) -> tuple[tf.Tensor, ...]:
        """The learned state: hidden and cell [h]."""
        weights = (self.first_hidden, self.first_cell)
        return tuple(tf.cast(w, self.compute_dtype) for w in weights)

    def from_above(self, hidden: tf.Tensor) -> tf.Tensor:
        """Projects h of the row above a row: [N, 1, W, h] → [N, 1, W, 4h]."""
        kernel, _ = self.state_to_state.weights_now()
        return tf.nn.conv2d(hidden, kernel[:1], strides=1, padding="VALID")

    def step(self, colour: int) -> Callable:
        """One pixel and one colour of equation 3.

        Args:
          colour: index of the colour group.

        Returns:
          A function of the input up to this colour [N, …], the state of the pixel at the left (h of
          all colours and c of this one) and what else is added to the gates, to h and c.
        """
        convolve = self.input_to_state.step(colour)
        kernel, _ = self.state_to_state.weights_now()
        wanted = colour_groups.columns(GATES * self.features, self.colours, colour, GATES)
        from_left = dense(kernel[1, 0], None, wanted)
        return lambda x, hidden, cell, gates: lstm(gates + convolve(x) + from_left(hidden), cell)


class DiagonalBiLSTM(StackLayer):
    """Both directions and the residual connection: [N, H, W, 2h] → the same."""

    condition_parts = 2 * GATES
    link_parts = GATES + 1
    inner_moment = 2 * initial_weights.lstm()  # two directions

    def __init__(self, features: int, **kwargs: Any) -> None:
        """Args: those of `StackLayer`."""
        super().__init__(features, **kwargs)
        self.left = DiagonalLSTM(features, self.colours, name="left", **self.own)
        self.right = DiagonalLSTM(features, self.colours, name="right", **self.own)

    def build(self, x_shape: Shape, condition_shape: Shape | None = None) -> None:
        """Makes the weights; those of a condition only if there is one."""
        self.left.build(x_shape)
        self.right.build(x_shape)
        super().build(x_shape, condition_shape)

    def project(self, condition: tf.Tensor | None) -> tuple[tf.Tensor | float, tf.Tensor | float]:
        """V·c for the left and for the right direction: [N, 1 or H, 1 or W, 4h] each, or 0."""
        if condition is None:
            return 0.0, 0.0
        return tuple(tf.split(super().project(condition), 2, axis=-1))

    def call(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """The layer over whole images."""
        for_left, for_right = self.project(condition)
        right = self.from_right(x, for_right)
        right = tf.slice(right, [0] * 4, [-1, x.shape[1] - 1, -1, -1])
        right = tf.pad(right, [[0, 0], [1, 0], [0, 0], [0, 0]])  # down one row
        return self.finish(self.left(x, above=for_left) + right, x, self.expand.slide)

    def from_right(self, x: tf.Tensor, above: tf.Tensor | float) -> tf.Tensor:
        """The direction that begins at the upper right, on the mirrored map; see `DiagonalLSTM`."""
        above = mirror(above) if tf.is_tensor(above) else above
        return mirror(self.right(mirror(x), above=above))

    def first_state(self, num: int | tf.Tensor, width: int) -> tuple[tf.Tensor, ...]:
        """Above row 0: h of the left and of the right direction, zeros [N, 1, W, h] each."""
        return (self.zeros(num, 1, width, self.features),) * 2

    @property
    def cached_features(self) -> tuple[int, ...]:
        """Features of the input, and of h of the left direction."""
        return 2 * self.features, self.features

    def state(self, row_cache: tuple, state: tuple, projected: Any) -> tuple[tf.Tensor, ...]:
        """See `StackLayer`: only now the right direction can go over the finished row."""
        (x, left), (_, right), (_, for_right) = row_cache, state, projected
        return left, self.from_right(x, self.right.from_above(right) + for_right)

    def link(self, state: tuple, projected: Any) -> tf.Tensor:
        """Gates of the left direction, and h of the right one a row above [N, 1, W, 5h]."""
        (left, right), (for_left, _) = state, projected
        return tf.concat([self.left.from_above(left) + for_left, right], axis=-1)

    def first_pixels(self, num: int | tf.Tensor) -> list[tuple[tf.Tensor, ...]]:
        """The learned state of the left direction, h and c [N, h]."""
        return [tuple(tf.repeat(x[tf.newaxis], num, axis=0) for x in self.left.first_state())]

    def step(self, colour: int) -> Callable:
        """See `StackLayer`."""
        left, expand = self.left.step(colour), self.expand.step(colour)

        def layer(xs, seen, pixels_before, link, before):
            hidden, cell = pixels_before[0]
            cell = tf.split(cell, self.colours, axis=-1)[colour]
            gates, right = tf.split(link, [GATES * link.shape[-1] // (GATES + 1), -1], axis=-1)
            state = hidden, _ = left(concat(xs), hidden, cell, gates)
            both = hidden + right
            y = self.finish(both, xs[-1], expand, before)
            return y, state, (xs[-1], hidden), both

        return layer
