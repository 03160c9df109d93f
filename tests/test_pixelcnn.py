"""PixelCNN: its equations as loops, and the blind spot that it is known for."""

import functools

import keras
import numpy as np
import pytest
from conformance import dependencies, randomise

from gated_pixelcnn.layers import MaskedBlock, MaskedConv2D
from gated_pixelcnn.models.families.gated_pixelcnn import GatedPixelCNN
from gated_pixelcnn.models.families.pixelcnn import PixelCNN


def masked_kernel(layer):
    """The n×n kernel that the two parts of a masked convolution stand for."""
    above, row = layer.above.weights_now()[0].numpy(), layer.row.weights_now()[0].numpy()
    size, middle = layer.kernel_size, layer.kernel_size // 2
    kernel = np.zeros((size, size, *above.shape[2:]))
    kernel[:middle] = above
    kernel[middle, : row.shape[1]] = row[0]
    return kernel


def convolved(x, kernel, bias):
    """A convolution with zeros around the image, one product at a time."""
    num, height, width, _ = x.shape
    size, middle = len(kernel), len(kernel) // 2
    padded = np.pad(x, [(0, 0), (middle, middle), (middle, middle), (0, 0)])
    y = np.zeros((num, height, width, kernel.shape[-1])) + bias
    for row in range(height):
        for column in range(width):
            window = padded[:, row : row + size, column : column + size]
            y[:, row, column] += np.einsum("nijf,ijfo->no", window, kernel)
    return y


def make(layer, *shapes):
    layer.build(*shapes)
    random = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(random.normal(size=weight.shape))
    return layer


@pytest.mark.parametrize("size", [3, 5, 7])
@pytest.mark.parametrize(("mask_type", "colours"), [("A", 1), ("B", 1), ("A", 3), ("B", 3)])
def test_a_masked_convolution_is_that_of_a_masked_kernel(size, mask_type, colours):
    layer = make(MaskedConv2D(6, size, mask_type, colours, dtype="float64"), (None, None, None, 3))
    x = np.random.default_rng(1).normal(size=(2, 5, 6, 3))
    kernel, middle = masked_kernel(layer), size // 2
    group = np.repeat(np.arange(colours), 6 // colours)  # of the outputs
    own = np.repeat(np.arange(colours), 3 // colours)[:, None]  # of the inputs
    hidden = own > group if mask_type == "B" else own >= group
    assert (kernel[middle, middle][hidden] == 0).all()
    assert (kernel[middle, middle][~hidden] != 0).all()
    assert (kernel[middle, :middle] != 0).all() and (kernel[:middle] != 0).all()
    expected = convolved(x, kernel, layer.above.bias.numpy())
    np.testing.assert_allclose(layer(x), expected, atol=1e-10)


@pytest.mark.parametrize("residual", [True, False])
def test_a_block_is_that_of_the_figure(residual):
    block = MaskedBlock(3, colours=3, residual=residual, dtype="float64")
    make(block, (None, None, None, 6), (None, None, None, 2))
    random = np.random.default_rng(1)
    x, condition = random.normal(size=(2, 4, 5, 6)), random.normal(size=(2, 4, 5, 2))

    def pointwise(layer, x):
        kernel, bias = layer.weights_now()
        return x @ kernel.numpy()[0, 0] + (0 if bias is None else bias.numpy())

    y = pointwise(block.reduce, np.maximum(x, 0))
    y = convolved(np.maximum(y, 0), masked_kernel(block.conv), block.conv.above.bias.numpy())
    y += pointwise(block.condition, condition)
    y = pointwise(block.expand, np.maximum(y, 0)) + (x if residual else 0)
    np.testing.assert_allclose(block(x, condition), y, atol=1e-10)


def reachable(layers, kernel_size, first_kernel_size):
    """The pixels (rows down, columns right) that masked kernels can see from a pixel, stacked."""

    def kernel(size, own):
        middle = size // 2
        above = {(-r, c) for r in range(1, middle + 1) for c in range(-middle, middle + 1)}
        return above | {(0, -c) for c in range(0 if own else 1, middle + 1)}

    seen = {(0, 0)}
    for step in [kernel(kernel_size, own=True)] * layers + [kernel(first_kernel_size, own=False)]:
        seen = {(r + dr, c + dc) for r, c in seen for dr, dc in step}
    return seen


@pytest.mark.parametrize("first_kernel_size", [3, 7])
@pytest.mark.parametrize(
    "make",
    [
        functools.partial(PixelCNN, layers=12),
        functools.partial(GatedPixelCNN, layers=1 + 12, stacks=1),
    ],
    ids=["PixelCNN", "GatedPixelCNN of one stack"],
)
def test_the_blind_spot_is_what_the_masks_leave_out(make, first_kernel_size):
    height, width, layers = 7, 9, 12
    keras.utils.set_random_seed(0)
    model = make(
        (height, width, 1),
        3,
        features=8,
        first_kernel_size=first_kernel_size,
        dtype="float64",
    )
    model.build()
    randomise(model, 0)
    seen = dependencies(model).reshape(height, width, height, width)
    offsets = reachable(layers, 3, first_kernel_size)
    expected = np.zeros_like(seen)
    for row, column in np.ndindex(height, width):
        for r, c in np.ndindex(height, width):
            expected[row, column, r, c] = (r - row, c - column) in offsets
    np.testing.assert_array_equal(seen, expected)
    # From the middle of the last row 3×3 kernels see a column more to the right with every row up:
    # of the four columns there 3 + 2 + 1 pixels stay unseen. A first kernel of 7×7 sees three more.
    earlier = np.arange(height * width) < (height - 1) * width + 4
    unseen = earlier & ~seen[height - 1, 4].ravel()
    assert unseen.sum() == {3: 3 + 2 + 1, 7: 1}[first_kernel_size]
