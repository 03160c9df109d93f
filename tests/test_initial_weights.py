"""Initial weights keep the signal, and its gradient, through every layer of deep models."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gated_pixelcnn.layers import Deconvolution, initial_weights
from gated_pixelcnn.layers.colour_groups import columns
from gated_pixelcnn.layers.gated_block import UNITS
from gated_pixelcnn.models.families.diagonal_bilstm import DiagonalBiLSTMModel
from gated_pixelcnn.models.families.gated_pixelcnn import GatedPixelCNN
from gated_pixelcnn.models.families.pixelcnn import PixelCNN
from gated_pixelcnn.models.families.row_lstm import RowLSTMModel

GATED, ABOVE = initial_weights.gated(0.8) ** 0.5, initial_weights.gated(0.4) ** 0.5
SHAPES = {"gray": (28, 28, 1), "colour": (32, 32, 3)}
CONDITIONS = {
    "none": {},
    "label": {"condition": "label", "condition_size": 10},
    "label-map": {"condition": "label", "condition_size": 10, "spatial_features": 8},
    "vector": {"condition": "vector", "condition_size": 6},
}


def make(family, shape, **arguments):
    keras.utils.set_random_seed(0)
    model = family(shape, 256, **arguments)
    model.build()
    return model


def images_of(model):
    random = np.random.default_rng(0)
    return random.integers(0, model.levels, (2, *model.image_shape)).astype(np.uint8)


def condition_of(model):
    """What blocks project of a condition, or None."""
    if model.condition_map is None:
        return None
    random = np.random.default_rng(1)
    label = model.condition_kind == "label"
    size = model.condition_size
    return model.map_condition(
        random.integers(0, size, 2) if label else random.normal(size=(2, size)).astype("float32")
    )


def deviation(x):
    """√E[x²] over all that is in x."""
    return float(np.sqrt(np.mean(np.square(x))))


def of_colours(x, colours, parts=1):
    """The same of every colour group by itself."""
    x = np.asarray(x)
    return [
        deviation(x[..., columns(x.shape[-1], colours, colour, parts)]) for colour in range(colours)
    ]


def within(found, target):
    return all(target / 2 <= value <= target * 2 for value in found)


def signals(model, condition=None):
    """Of every block of a Gated PixelCNN: what the test is about, by name [blocks, colours]."""
    vertical = horizontal = model.scale(images_of(model))
    c, found, gates = model.colours, [], []
    for block in model.blocks:
        window = block.column_conv.window(vertical)
        _, link = block.vertical(window, (0.0, 0.0))
        vertical, horizontal, gated = block(vertical, horizontal, condition)
        gates.append(gated)
        found.append({"link": of_colours(link, c, 2), "gate": of_colours(gated, c)})
        if vertical is not None:
            found[-1]["vertical"] = [deviation(vertical)]
            found[-1]["horizontal"] = of_colours(horizontal, c)
    return found, gates


@pytest.mark.parametrize("layers", [4, 20, 40])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("condition", "kernel_size"),
    [
        ("none", 5),
        ("label", 3),
        *(
            pytest.param(condition, size, marks=pytest.mark.slow)
            for condition in CONDITIONS
            for size in (3, 5)
            if (condition, size) not in (("none", 5), ("label", 3))
        ),
    ],
)
def test_the_signal_stays_the_same_through_both_stacks(layers, shape, kernel_size, condition):
    model = make(
        GatedPixelCNN,
        SHAPES[shape],
        features=24,
        layers=layers,
        kernel_size=kernel_size,
        **CONDITIONS[condition],
    )
    targets = {"link": 0.4**0.5, "gate": GATED, "vertical": ABOVE, "horizontal": 1.0}
    found, gates = signals(model, condition_of(model))
    assert len(found) == layers
    for number, block in enumerate(found):
        for name, values in block.items():
            assert within(values, targets[name]), (number, name, values)
    assert within(of_colours(model.skips(gates), model.colours), 1.0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("family", "layers"),
    [
        *((family, layers) for family in (GatedPixelCNN, PixelCNN) for layers in (4, 20, 40)),
        *((family, 4) for family in (RowLSTMModel, DiagonalBiLSTMModel)),
        *(
            pytest.param(family, layers, marks=pytest.mark.slow)
            for family in (RowLSTMModel, DiagonalBiLSTMModel)
            for layers in (20, 40)
        ),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_gradients_of_all_layers_are_within_two_orders_of_size(family, shape, layers):
    small = {"features": 24 if family is GatedPixelCNN else 6, "layers": layers}
    model = make(family, SHAPES[shape], **small)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.training_loss(images_of(model), None, training=True))
    kernels = [w for w in model.trainable_variables if len(w.shape) > 1]
    gradients = tape.gradient(loss, kernels)
    sizes = {w.path: deviation(g) for w, g in zip(kernels, gradients, strict=True)}
    by_kind = {}
    for path, size in sizes.items():
        by_kind.setdefault(path.split("/", 2)[-1], []).append(size)
    for kind, of_layers in by_kind.items():
        assert max(of_layers) < 100 * min(of_layers), kind


@pytest.mark.parametrize("layers", [4, 20])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "family", [PixelCNN, RowLSTMModel, DiagonalBiLSTMModel], ids=lambda f: f.__name__
)
def test_the_signal_stays_the_same_through_a_single_stack(family, shape, layers):
    model = make(family, SHAPES[shape], features=48 if family is PixelCNN else 24, layers=layers)
    x = model.first(model.scale(images_of(model)))
    assert within(of_colours(x, model.colours), 1.0)
    branches = []
    for block in model.blocks:
        branches.append(block(x) - x)
        x += branches[-1]
        assert within(of_colours(x, model.colours), 1.25)  # 1…√2
    assert within(of_colours(branches, model.colours), layers**-0.5)
    hidden = model.head.hidden(tf.maximum(x, 0.0))
    assert within(of_colours(hidden, model.colours), 1.25)


@pytest.mark.parametrize("shape", SHAPES)
def test_at_first_all_values_are_about_as_probable(shape):
    model = make(GatedPixelCNN, SHAPES[shape], features=24, layers=4)
    assert within(of_colours(model(images_of(model)), 1), 0.1)


@pytest.mark.parametrize("one_hot", [False, True])
def test_maps_of_a_vector_are_as_large_as_its_numbers(one_hot):
    keras.utils.set_random_seed(0)
    layer = Deconvolution(16, 30, 28, one_hot=one_hot)
    random = np.random.default_rng(0)
    h = np.eye(10)[random.integers(0, 10, 32)] if one_hot else random.normal(size=(32, 10))
    assert within([deviation(layer(h.reshape(32, 1, 1, 10).astype("float32")))], 1.0)


def test_the_moments_are_those_of_random_numbers():
    a, b = np.random.default_rng(0).normal(size=(2, 10**6))
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    for variance in (0.4, 1.0):
        x, y = np.sqrt(variance) * a, np.sqrt(variance) * b
        relu, gated = np.maximum(x, 0), np.tanh(x) * sigmoid(y)
        assert initial_weights.relu(variance) == pytest.approx(np.mean(relu**2), rel=0.01)
        assert initial_weights.gated(variance) == pytest.approx(np.mean(gated**2), rel=0.01)
        mean = np.mean(relu)
        assert UNITS["relu"].mean * np.sqrt(variance) == pytest.approx(mean, rel=0.01)
    # An LSTM whose gates see independent pre-activations, long after its first state.
    random, cell = np.random.default_rng(1), 0.0
    for _ in range(30):
        o, f, i, g = random.normal(size=(4, 10**5))
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
    hidden = sigmoid(o) * np.tanh(cell)
    assert initial_weights.lstm() == pytest.approx(np.mean(hidden**2), rel=0.05)


def test_the_weights_of_every_output_have_the_variance_of_its_own_inputs():
    keras.utils.set_random_seed(0)
    mask = np.zeros((1, 1, 3000, 3))
    for output in range(3):
        mask[..., : 1000 * (output + 1), output] = 1
    kernel = np.asarray(initial_weights.FanIn(2.0, mask)(mask.shape))
    for output in range(3):
        variance = 2.0 / (1000 * (output + 1))
        assert np.var(kernel[..., output]) == pytest.approx(variance, rel=0.1)
    plain = np.asarray(initial_weights.FanIn(2.0)((5, 4, 50, 10)))
    assert np.var(plain) == pytest.approx(2.0 / 1000, rel=0.1)
