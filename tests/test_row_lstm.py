"""Row LSTM: its equations as loops, and the triangle that it sees."""

import keras
import numpy as np
import pytest
from conformance import dependencies, randomise

from gated_pixelcnn.layers import RowLSTM
from gated_pixelcnn.models.families.row_lstm import RowLSTMModel


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def of_loops(layer, x, condition):
    """Equation 3, row by row and pixel by pixel."""
    features = layer.features
    into = layer.input_to_state.weights_now()[0].numpy()[0]  # [n, 2h, 4h]
    state, bias = (w.numpy() for w in layer.state_to_state.weights_now())
    onto, onto_bias = (w.numpy() for w in layer.expand.weights_now())
    given = layer.condition.weights_now()[0].numpy()[0, 0]
    num, height, width, _ = x.shape
    hidden = np.tile(layer.first_hidden.numpy(), (num, width, 1))
    cell = np.tile(layer.first_cell.numpy(), (num, width, 1))
    y = np.zeros_like(x)
    for row in range(height):
        above = np.pad(hidden, [(0, 0), (1, 1), (0, 0)])
        left = np.pad(x[:, row], [(0, 0), (1, 0), (0, 0)])
        hidden, cell = hidden.copy(), cell.copy()
        for column in range(width):
            gates = bias + condition[:, row, column] @ given
            for tap in range(2):  # the pixel at the left and the pixel itself
                gates = gates + left[:, column + tap] @ into[tap]
            for tap in range(3):
                gates = gates + above[:, column + tap] @ state[0, tap]
            o, f, i, g = np.split(gates, 4, axis=-1)
            assert o.shape[-1] == features
            cell[:, column] = sigmoid(f) * cell[:, column] + sigmoid(i) * np.tanh(g)
            hidden[:, column] = sigmoid(o) * np.tanh(cell[:, column])
            y[:, row, column] = hidden[:, column] @ onto[0, 0] + onto_bias
    return y + x if layer.residual else y


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("colours", [1, 3])
def test_the_layer_is_that_of_the_equations(residual, colours):
    layer = RowLSTM(3, colours=colours, residual=residual, dtype="float64")
    layer.build((None, None, None, 6), (None, None, None, 2))
    random = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(random.normal(size=weight.shape))
    x, condition = random.normal(size=(2, 4, 5, 6)), random.normal(size=(2, 4, 5, 2))
    found = layer(x, condition)
    np.testing.assert_allclose(found, of_loops(layer, x, condition), rtol=1e-5, atol=1e-10)


def test_a_pixel_sees_a_triangle_above_it():
    height, width, layers = 6, 11, 3
    keras.utils.set_random_seed(0)
    model = RowLSTMModel(
        (height, width, 1), 3, features=8, layers=layers, first_kernel_size=3, dtype="float64"
    )
    model.build()
    randomise(model, 0)
    seen = dependencies(model).reshape(height, width, height, width)
    # A layer: the row's own input at the left, and from there one column more with every row up.
    triangle = {(-r, c) for r in range(height) for c in range(-r, r + 1)}
    layer = {(r, c + own) for r, c in triangle for own in (0, -1)}
    offsets = {(-1, -1), (-1, 0), (-1, 1), (0, -1)}  # the first convolution, 3×3 of type A
    for _ in range(layers):
        offsets = {(a + r, b + c) for a, b in offsets for r, c in layer if a + r > -height}
    expected = np.zeros_like(seen)
    for row, column in np.ndindex(height, width):
        for r, c in np.ndindex(height, width):
            expected[row, column, r, c] = (r - row, c - column) in offsets
    np.testing.assert_array_equal(seen, expected)
    # At the right the triangle has its edge: k columns are seen k rows above, however many layers.
    for k in range(1, height):
        assert seen[height - 1, 2, height - 1 - k].nonzero()[0].max() == min(2 + k, width - 1)


def test_the_first_state_is_learned():
    model = RowLSTMModel((3, 4, 1), 3, features=4, layers=2, first_kernel_size=3)
    model.build()
    images = np.zeros((1, 3, 4, 1), np.uint8)
    before = model.value_log_prob(images).numpy()
    model.blocks[0].first_cell.assign([3.0] * 4)
    assert (model.value_log_prob(images).numpy()[0, 0] != before[0, 0]).any()
