"""The layers against loops that are written from the paper's equations, position by position."""

import numpy as np
import pytest
import tensorflow as tf

from gated_pixelcnn.layers import GatedBlock, HorizontalConv2D, VerticalConv2D, colour_groups
from gated_pixelcnn.models.families.gated_pixelcnn import GatedPixelCNN


def values(weight):
    return weight.numpy().astype(np.float64)


def randomise(layer, seed=0):
    random = np.random.default_rng(seed)
    for weight in layer.trainable_variables:
        weight.assign(random.normal(size=weight.shape) * 0.5)


def at(x, row, column):
    """x[row, column], zero outside the image."""
    inside = 0 <= row < x.shape[0] and 0 <= column < x.shape[1]
    return x[row, column] if inside else np.zeros(x.shape[-1])


def vertical_by_loops(x, kernel, strict):
    """Equation by equation: rows of a kernel that end above (strict) or at the output's own row."""
    rows, columns = kernel.shape[:2]
    y = np.zeros((*x.shape[:2], kernel.shape[-1]))
    for r, c in np.ndindex(x.shape[:2]):
        for i in range(rows):
            for j in range(columns):
                source = at(x, r - strict - (rows - 1 - i), c + j - columns // 2)
                y[r, c] += source @ kernel[i, j]
    return y


def horizontal_by_loops(x, kernel, allowed, shift):
    """The row so far; `allowed` [inputs, outputs] masks the last tap."""
    taps = kernel.shape[1]
    y = np.zeros((*x.shape[:2], kernel.shape[-1]))
    for r, c in np.ndindex(x.shape[:2]):
        for j in range(taps):
            weights = kernel[0, j] * (allowed if j == taps - 1 else 1)
            y[r, c] += at(x, r, c - shift - (taps - 1 - j)) @ weights
    return y


def gated_unit(x, kind="tanh_sigmoid"):
    """Equation 2: tanh of the first p maps times the logistic function of the last p."""
    if kind == "relu":
        return np.maximum(x, 0)
    p = x.shape[-1] // 2
    return np.tanh(x[..., :p]) / (1 + np.exp(-x[..., p:]))


def masked_by_hand(inputs, outputs, colours, own, parts):
    """[inputs, outputs]: colour of every feature, spelled out feature by feature."""
    of_input = [i * colours // inputs for i in range(inputs)]
    part = outputs // parts
    of_output = [(o % part) * colours // part for o in range(outputs)]
    return np.array([[i < o or (own and i == o) for o in of_output] for i in of_input])


def model_by_loops(model, image, h=None, gate="tanh_sigmoid", stacks=2, vertical_residual=False):
    """Figure 2, equations 2 and 4, and the head, for one image [H, W, C]."""
    c, p = model.colours, model.features
    parts = 1 if gate == "relu" else 2
    v = hor = image * 2.0 / (model.levels - 1) - 1.0
    skips = 0.0
    for i, block in enumerate(model.blocks):
        first, last = i == 0, i == len(model.blocks) - 1
        above, strict = (v, first) if stacks == 2 else (hor, True)
        pre = vertical_by_loops(above, values(block.column_conv.kernel), strict)
        link = pre = pre + values(block.column_conv.bias)
        if stacks == 2:
            link = pre @ values(block.link.kernel)[0, 0] + values(block.link.bias)
        shift = int(first and c == 1)
        allowed = np.ones((1, 1)) if c == 1 else 0
        if c > 1:
            allowed = masked_by_hand(hor.shape[-1], parts * p, c, not first, parts)
        row = horizontal_by_loops(hor, values(block.row_conv.kernel), allowed, shift) + link
        if h is not None:
            row += h @ values(block.horizontal_condition.kernel)[0, 0]
        gated = gated_unit(row, gate)
        skips = skips + gated @ (
            values(model.skips.kernel)[i] * masked_by_hand(p, model.skips.filters, c, True, 1)
        )
        if not last:
            if h is not None and stacks == 2:
                pre = pre + h @ values(block.vertical_condition.kernel)[0, 0]
            v = gated_unit(pre, gate) + (v if vertical_residual and not first else 0)
            mask = masked_by_hand(p, p, c, True, 1)
            out = gated @ (values(block.output_conv.kernel)[0, 0] * mask)
            out += values(block.output_conv.bias)
            hor = out if first else out + hor
    y = skips + values(model.skips.bias)
    for layer in (model.head.hidden, model.head.output_conv):
        mask = masked_by_hand(y.shape[-1], layer.filters, c, True, 1)
        y = np.maximum(y, 0) @ (values(layer.kernel)[0, 0] * mask) + values(layer.bias)
    return y.reshape(*image.shape[:2], c, -1)


@pytest.mark.parametrize("shape", [(4, 3, 1), (3, 4, 3)])
@pytest.mark.parametrize("label", [None, 2])
@pytest.mark.parametrize(
    "options",
    [{}, {"gate": "relu"}, {"vertical_residual": True}, {"stacks": 1}],
    ids=lambda options: "-".join(map(str, options.values())) or "as published",
)
def test_the_model_equals_the_papers_equations_written_as_loops(shape, label, options):
    condition = {} if label is None else {"condition": "label", "condition_size": 4}
    model = GatedPixelCNN(
        shape, 5, features=6, layers=3, kernel_size=3, first_kernel_size=5, head_features=9,
        dtype="float64", **condition, **options,
    )  # fmt: skip
    model.build()
    randomise(model)
    image = np.random.default_rng(1).integers(0, 5, shape).astype(np.uint8)
    one_hot = None if label is None else np.eye(4)[label]
    found = model(image[np.newaxis], None if label is None else np.array([label]))[0]
    np.testing.assert_allclose(found, model_by_loops(model, image, one_hot, **options), atol=1e-10)


@pytest.mark.parametrize("size", [1, 3, 5, 7])
@pytest.mark.parametrize("strict", [False, True])
def test_vertical_convolution_equals_a_masked_convolution_of_full_size(size, strict):
    """The paper's claim: a masked n×n convolution is a ⌈n/2⌉×n one, padded and cropped."""
    layer = VerticalConv2D(2, size, strict=strict, dtype="float64")
    x = np.random.default_rng(0).normal(size=(1, 6, 5, 3))
    layer.build(x.shape)
    randomise(layer)
    rows = (size + 1) // 2
    full = np.zeros((2 * rows + 1, size, 3, 2))
    full[rows - strict - rows + 1 : rows - strict + 1] = values(layer.kernel)
    masked = tf.nn.conv2d(
        tf.pad(x, [[0, 0], [rows, rows], [size // 2] * 2, [0, 0]]), full, 1, "VALID"
    )
    np.testing.assert_allclose(layer(x), masked + values(layer.bias), atol=1e-12)


@pytest.mark.parametrize("size", [3, 5])
def test_one_pixel_of_a_horizontal_convolution_equals_the_whole_one(size):
    layer = HorizontalConv2D(12, size, "B", colours=3, parts=2, dtype="float64")
    x = np.random.default_rng(0).normal(size=(2, 1, 6, 9))
    layer.build(x.shape)
    randomise(layer)
    whole = layer(x).numpy()
    taps = (size + 1) // 2
    for colour in range(3):
        window = x[:, 0, 6 - taps :].reshape(2, -1)[:, : (taps - 1) * 9 + 3 * (colour + 1)]
        wanted = colour_groups.columns(12, 3, colour, parts=2)
        np.testing.assert_allclose(layer.step(colour)(window), whole[:, 0, -1, wanted], atol=1e-12)


def test_both_halves_of_a_gated_feature_have_its_colour():
    for colour in range(3):
        features, gates = np.split(colour_groups.columns(18, 3, colour, parts=2), 2)
        np.testing.assert_array_equal(gates, features + 9)
        np.testing.assert_array_equal(features, np.arange(3) + 3 * colour)


def test_a_block_usable_alone_survives_its_configuration():
    block = GatedBlock(6, 5, index=0, layers=2, colours=3, residual=False, dropout=0.5)
    other = GatedBlock.from_config(block.get_config())
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)
    condition = np.ones((2, 1, 1, 2), np.float32)
    block(x, x, condition), other(x, x, condition)
    other.set_weights(block.get_weights())
    for one, two in zip(block(x, x, condition), other(x, x, condition), strict=True):
        np.testing.assert_array_equal(one, two)
        assert one.shape == (2, 5, 4, 6)
    assert other.get_config() == block.get_config()
