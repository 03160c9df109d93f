"""Row LSTM: a convolutional LSTM that goes down the rows, all columns of a row at once.

Source: "Pixel Recurrent Neural Networks" (van den Oord et al., 2016a), section 3.1, equation 3,
Figure 4 (left) and table 1.

    x, 2h maps ─→ input-to-state, 1×3 mask B, 2h → 4h ─→ + ─→ o, f, i (σ) and g (tanh)
                                          + V·c          │      c = f ⊙ c_above + i ⊙ g
    h of the row above ─→ state-to-state, 1×3, h → 4h ───┘      h = o ⊙ tanh(c)

    h ─→ 1×1, h → 2h ─→ + x ─→

Of the row above all columns and colours are known, so state-to-state is not masked. It sees one
column more to either side with every row up: a triangle.

Initial weights (see `initial_weights`): input-to-state gives pre-activations E[x²] = 1, to which
state-to-state adds what the state before has, 0.04.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from gated_pixelcnn.layers import initial_weights
from gated_pixelcnn.layers.masked_convolution import LeftConv2D
from gated_pixelcnn.layers.ops import concat
from gated_pixelcnn.layers.shifted_convolutions import WindowConv2D
from gated_pixelcnn.layers.stack_layer import StackLayer
from gated_pixelcnn.spec import Shape

GATES = 4  # o, f, i and g, each with the same colour groups


def lstm(gates: tf.Tensor, cell: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Equation 3: pre-activations [..., 4h], the cell before [..., h] → state and cell [..., h]."""
    o, f, i, g = tf.split(gates, GATES, axis=-1)
    cell = tf.sigmoid(f) * cell + tf.sigmoid(i) * tf.tanh(g)
    return tf.sigmoid(o) * tf.tanh(cell), cell


class StateToState(WindowConv2D):
    """1×n over a row of states, not masked: [N, 1, W, h] → [N, 1, W, 4h]."""

    def __init__(self, filters: int, kernel_size: int, **kwargs: Any) -> None:
        """Makes the layer.

        Args:
          filters: number of output maps.
          kernel_size: n, odd.
          **kwargs: those of `WindowConv2D`.
        """
        super().__init__(filters, (1, kernel_size), **kwargs)
        self.kernel_size = kernel_size

    def call(self, row: tf.Tensor) -> tf.Tensor:
        """Convolves a row, with zeros at its sides."""
        side = self.kernel_size // 2
        return self.slide(tf.pad(row, [[0, 0], [0, 0], [side, side], [0, 0]]))


class RowLSTM(StackLayer):
    """A Row LSTM layer with its residual connection: [N, H, W, 2h] → the same."""

    condition_parts = GATES
    link_parts = GATES + 1
    inner_moment = initial_weights.lstm()

    def __init__(self, features: int, kernel_size: int = 3, **kwargs: Any) -> None:
        """Makes the layer.

        Args:
          features: h; the input has 2h maps. A multiple of `colours`.
          kernel_size: n of both convolutions, odd and at least 3.
          **kwargs: those of `StackLayer`.

        Raises:
          ValueError: features not divisible by colours, or a kernel size that is not odd and at
            least 3.
        """
        super().__init__(features, **kwargs)
        self.kernel_size = kernel_size
        self.input_to_state = LeftConv2D(
            GATES * features,
            kernel_size,
            "B",
            self.colours,
            parts=GATES,
            use_bias=False,  # state-to-state has one
            name="input_to_state",
            **self.own,
        )
        self.state_to_state = StateToState(
            GATES * features, kernel_size, name="state_to_state", **self.own
        )

    def build(self, x_shape: Shape, condition_shape: Shape | None = None) -> None:
        """Makes the weights; those of a condition only if there is one."""
        self.input_to_state.build(x_shape)
        self.state_to_state.build((*x_shape[:-1], self.features))
        shape = {"shape": (self.features,), "initializer": "zeros"}
        self.first_hidden = self.add_weight(name="first_hidden", **shape)
        self.first_cell = self.add_weight(name="first_cell", **shape)
        super().build(x_shape, condition_shape)

    def call(self, x: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """The layer over whole images: input-to-state at once, then a loop over rows."""
        height, width = x.shape[1:3]
        gates = self.input_to_state(x) + self.project(condition)
        # An array, for the gradient of a slice of a tensor is a whole tensor of zeros, every row.
        rows = tf.TensorArray(gates.dtype, height).unstack(tf.transpose(gates, [1, 0, 2, 3]))

        def row(index, state, done):
            state = self.next_state(tf.expand_dims(rows.read(index), 1), state)
            return index + 1, state, done.write(index, tf.squeeze(state[0], 1))

        done = tf.TensorArray(gates.dtype, height, element_shape=(None, width, self.features))
        loop = (tf.constant(0), self.first_state(tf.shape(x)[0], width), done)
        *_, done = tf.while_loop(
            lambda index, *_: index < height, row, loop, maximum_iterations=height
        )
        hidden = tf.transpose(done.stack(), [1, 0, 2, 3])
        hidden = tf.ensure_shape(hidden, (None, height, width, self.features))
        return self.finish(hidden, x, self.expand.slide)

    def next_state(self, gates: tf.Tensor, state: tuple) -> tuple[tf.Tensor, ...]:
        """One row of equation 3: input-to-state [N, 1, W, 4h], and the state before it."""
        hidden, cell = state
        return lstm(gates + self.state_to_state(hidden), cell)

    def first_state(self, num: int | tf.Tensor, width: int) -> tuple[tf.Tensor, ...]:
        """The learned state above row 0: hidden and cell, [N, 1, W, h] each."""
        shape = [num, 1, width, self.features]
        weights = (self.first_hidden, self.first_cell)
        return tuple(tf.broadcast_to(tf.cast(w, self.compute_dtype), shape) for w in weights)

    @property
    def cached_features(self) -> tuple[int, ...]:
        """Features of hidden and cell."""
        return self.features, self.features

    def state(self, row_cache: tuple, state: tuple, projected: Any) -> tuple[tf.Tensor, ...]:
        """See `StackLayer`: the row's own."""
        return row_cache

    def link(self, state: tuple, projected: Any) -> tf.Tensor:
        """Gates and cell [N, 1, W, 5h]."""
        hidden, cell = state
        return tf.concat([self.state_to_state(hidden) + projected, cell], axis=-1)

    def across(self, x: tf.Tensor, link: tf.Tensor) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
        """See `StackLayer`."""
        gates, cell = tf.split(link, [GATES * self.features, self.features], axis=-1)
        state = hidden, _ = lstm(gates + self.input_to_state(x), cell)
        return self.finish(hidden, x, self.expand.slide), state

    def first_pixels(self, num: int | tf.Tensor) -> list[tuple[tf.Tensor, ...]]:
        """Zeros: the layer's input [N, 2h]."""
        return [(self.zeros(num, 2 * self.features),)] * self.input_to_state.pixels_before

    def step(self, colour: int) -> Callable:
        """See `StackLayer`."""
        convolve, expand = self.input_to_state.step(colour), self.expand.step(colour)

        def layer(xs, seen, pixels_before, link, before):
            gates, cell = tf.split(link, [GATES * link.shape[-1] // (GATES + 1), -1], axis=-1)
            gates += convolve(concat([*(x for (x,) in pixels_before), *xs]))
            state = hidden, _ = lstm(gates, cell)
            return self.finish(hidden, xs[-1], expand, before), (xs[-1],), state, hidden

        return layer
