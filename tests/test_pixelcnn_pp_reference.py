"""The network of PixelCNN++ against one written with loops in NumPy, from the paper's Figure 2.

It is written as the authors' code goes: one list of both streams on the way down, taken from its
end on the way up. Convolutions are sums over the taps of a kernel.
"""

import keras
import numpy as np
import pytest

from gated_pixelcnn.layers.weight_norm import NormalisedDeconv2D
from gated_pixelcnn.models.families.pixelcnn_pp import PixelCNNPP


def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def celu(x):
    return elu(np.concatenate([x, -x], axis=-1))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def weights(layer):
    v, g, b = (np.asarray(w, np.float64) for w in (layer.direction, layer.length, layer.bias))
    return v * g / np.sqrt((v**2).sum(axis=(0, 1, 2))), b


def conv(layer, x, last, stride=1):
    """Output (i, j) sees the taps that end `last` = (rows down, columns right) from its place."""
    kernel, bias = weights(layer)
    num, height, width, _ = x.shape
    out = np.zeros((num, -(-height // stride), -(-width // stride), kernel.shape[-1])) + bias
    for i, j, a, b in np.ndindex(*out.shape[1:3], *kernel.shape[:2]):
        row = i * stride + last[0] - (kernel.shape[0] - 1 - a)
        column = j * stride + last[1] - (kernel.shape[1] - 1 - b)
        if 0 <= row < height and 0 <= column < width:
            out[:, i, j] += x[:, row, column] @ kernel[a, b]
    return out


def deconv(layer, x, height, width):
    """Twice the size: input (i, j) goes to (2i, 2j) and on; of three taps the first is before."""
    kernel, bias = weights(layer)
    out = np.zeros((len(x), height, width, kernel.shape[-1])) + bias
    for i, j, a, b in np.ndindex(*x.shape[1:3], *kernel.shape[:2]):
        row, column = 2 * i + a - (kernel.shape[0] == 3), 2 * j + b - (kernel.shape[1] == 3)
        if 0 <= row < height and 0 <= column < width:
            out[:, row, column] += x[:, i, j] @ kernel[a, b]
    return out


def resnet(block, x, others, h, last):
    """A gated residual block; `others` in the order of the authors' code: u, then the skip."""
    c1 = conv(block.first, celu(x), last)
    if others:
        c1 += conv(block.shortcut, celu(np.concatenate(others, axis=-1)), (0, 0))
    c2 = conv(block.second, celu(c1), last)
    if h is not None:
        c2 += h @ np.asarray(block.condition.kernel, np.float64).reshape(h.shape[-1], -1)
    a, b = np.split(c2, 2, axis=-1)
    return x + a * sigmoid(b)


def halved(h):
    """Means of 2×2; at an odd end of what there is."""
    rows, columns = (range(0, size, 2) for size in h.shape[1:3])
    means = [[h[:, i : i + 2, j : j + 2].mean(axis=(1, 2)) for j in columns] for i in rows]
    return np.stack([np.stack(row, axis=1) for row in means], axis=1)


U, UL = (0, 1), (0, 0)  # where the kernels of the two streams end


def network(model, x, h):
    """Parameters of the likelihood for scaled images [N, H, W, C] and maps [N, H, W, D] or None."""
    x = np.concatenate([x, np.ones_like(x[..., :1])], axis=-1)
    us = [conv(model.first_up, x, (-1, 1))]
    uls = [conv(model.first_above, x, (-1, 1)) + conv(model.first_left, x, (0, -1))]
    sizes, maps = [], []
    for above, left in zip(model.above, model.above_left, strict=True):
        sizes.append(us[-1].shape[1:3])
        maps.append(h)
        for k in range(len(above.down)):
            us.append(resnet(above.down[k], us[-1], [], h, U))
            uls.append(resnet(left.down[k], uls[-1], [us[-1]], h, UL))
        if above is not model.above[-1]:
            us.append(conv(above.shrink, us[-1], U, 2))
            uls.append(conv(left.shrink, uls[-1], UL, 2))
            h = None if h is None else halved(h)
    u, ul = us.pop(), uls.pop()
    for number in reversed(range(len(model.above))):
        above, left, h = model.above[number], model.above_left[number], maps[number]
        if number < len(model.above) - 1:
            u, ul = (deconv(s.enlarge, y, *sizes[number]) for s, y in ((above, u), (left, ul)))
        for k in range(len(above.up)):
            u = resnet(above.up[k], u, [us.pop()], h, U)
            ul = resnet(left.up[k], ul, [u, uls.pop()], h, UL)
    assert len(us) == len(uls) == (len(model.above[0].down) if len(model.above) == 1 else 0)
    return conv(model.head, elu(ul), (0, 0))


@pytest.mark.parametrize("condition", [None, "spatial"])
@pytest.mark.parametrize(("scales", "blocks"), [(1, 3), (2, 1), (3, 2)])
def test_the_network_is_that_of_the_figure(scales, blocks, condition):
    keras.utils.set_random_seed(0)
    model = PixelCNNPP(
        (6, 10, 3),
        features=3,
        blocks=blocks,
        scales=scales,
        components=2,
        condition=condition,
        condition_size=2 if condition else 0,
    )
    model.build()
    random = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign(random.normal(size=weight.shape) * 0.7)
    images = random.integers(0, 256, (2, 6, 10, 3)).astype(np.uint8)
    maps = random.normal(size=(2, 6, 10, 2)).astype(np.float32) if condition else None
    found = np.asarray(model(images, maps))
    wanted = network(model, images / 127.5 - 1, maps)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("shape", [(2, 2), (2, 3), (3, 3)])
def test_a_value_is_enlarged_to_its_own_places(shape):
    layer = NormalisedDeconv2D(1, shape)
    x = np.zeros((1, 3, 4, 1), np.float32)
    x[0, 1, 2] = 1
    y = np.asarray(layer(x))[0, ..., 0]
    rows = range(2 - (shape[0] == 3), 4)
    columns = range(4 - (shape[1] == 3), 6)
    assert y.shape == (6, 8)
    assert np.argwhere(y).tolist() == [[i, j] for i in rows for j in columns]
