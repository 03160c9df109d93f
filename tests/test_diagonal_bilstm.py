"""Diagonal BiLSTM: skewed maps, its equations as loops, and what it sees."""

import keras
import numpy as np
import pytest
from conformance import dependencies, earlier, randomise
from test_row_lstm import sigmoid

from gated_pixelcnn.layers import DiagonalBiLSTM
from gated_pixelcnn.layers.diagonal_lstm import skew, unskew
from gated_pixelcnn.models.families.diagonal_bilstm import DiagonalBiLSTMModel


@pytest.mark.parametrize(("height", "width"), [(3, 5), (5, 3), (1, 4), (4, 1)])
def test_skewing_moves_every_row_by_its_number_and_unskewing_back(height, width):
    x = np.random.default_rng(0).normal(size=(2, height, width, 3))
    skewed = skew(x).numpy()
    expected = np.zeros((2, height, width + height - 1, 3))
    for row in range(height):
        expected[:, row, row : row + width] = x[:, row]
    np.testing.assert_array_equal(skewed, expected)
    np.testing.assert_array_equal(unskew(skewed), x)
    expected[expected == 0] = np.nan  # what is around the rows is left behind
    np.testing.assert_array_equal(unskew(expected), x)


def of_loops(layer, x, condition):
    """Equation 3 from both corners, pixel by pixel of the image as it is, without skewing."""
    num, height, width, _ = x.shape
    features = layer.features

    def direction(lstm, columns, given):
        """`columns` in the order in which the direction takes them."""
        into, bias = (w.numpy() for w in lstm.input_to_state.weights_now())
        state = lstm.state_to_state.weights_now()[0].numpy()  # row above, own row
        hidden = np.zeros((num, height, width, features))
        for row in range(height):
            before = np.tile(lstm.first_hidden.numpy(), (num, 1))
            cell = np.tile(lstm.first_cell.numpy(), (num, 1))
            for column in columns:
                above = hidden[:, row - 1, column] if row else np.zeros((num, features))
                gates = x[:, row, column] @ into[0, 0] + bias + condition[:, row, column] @ given
                gates = gates + above @ state[0, 0] + before @ state[1, 0]
                o, f, i, g = np.split(gates, 4, axis=-1)
                cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
                before = hidden[:, row, column] = sigmoid(o) * np.tanh(cell)
        return hidden

    for_left, for_right = np.split(layer.condition.weights_now()[0].numpy()[0, 0], 2, axis=-1)
    both = direction(layer.left, range(width), for_left)
    both[:, 1:] += direction(layer.right, range(width)[::-1], for_right)[:, :-1]
    onto, bias = (w.numpy() for w in layer.expand.weights_now())
    y = both @ onto[0, 0] + bias
    return y + x if layer.residual else y


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("colours", [1, 3])
def test_the_layer_is_that_of_the_equations(residual, colours):
    layer = DiagonalBiLSTM(3, colours=colours, residual=residual, dtype="float64")
    layer.build((None, None, None, 6), (None, None, None, 2))
    random = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(random.normal(size=weight.shape))
    x, condition = random.normal(size=(2, 4, 5, 6)), random.normal(size=(2, 4, 5, 2))
    found = layer(x, condition)
    np.testing.assert_allclose(found, of_loops(layer, x, condition), rtol=1e-5, atol=1e-10)


@pytest.mark.parametrize(("channels", "layers"), [(1, 1), (1, 3), (3, 1)])
@pytest.mark.parametrize("first_kernel_size", [3, 7])
def test_a_pixel_sees_all_earlier_ones_but_the_end_of_the_row_above(
    first_kernel_size, channels, layers
):
    height, width = 4, 9
    keras.utils.set_random_seed(0)
    model = DiagonalBiLSTMModel(
        (height, width, channels),
        3,
        features=9,
        layers=layers,
        first_kernel_size=first_kernel_size,
        dtype="float64",
    )
    model.build()
    randomise(model, 0, 0.7)
    seen = dependencies(model)
    expected = earlier(model)
    of_pixels = expected.reshape(height * width, channels, height * width, channels)
    # The last value of a row comes through the first convolution. In its own row no map is at its
    # right; in the next row the right direction, moved down, is too late; so only the columns that
    # this convolution reaches from have it. All later rows do.
    for row in range(1, height):
        last = row * width - 1
        first = row * width
        of_pixels[first : first + width - 1 - first_kernel_size // 2, :, last, -1] = False
    np.testing.assert_array_equal(seen, expected)


@pytest.mark.parametrize("direction", ["left", "right"])
def test_the_first_states_are_learned(direction):
    model = DiagonalBiLSTMModel((3, 4, 1), 3, features=4, layers=2, first_kernel_size=3)
    model.build()
    images = np.zeros((1, 3, 4, 1), np.uint8)
    before = model.value_log_prob(images).numpy()
    getattr(model.blocks[0], direction).first_cell.assign([3.0] * 4)
    changed = (model.value_log_prob(images).numpy() != before)[0, :, :, 0].any(axis=1)
    assert changed.tolist() == [direction == "left", True, True]
