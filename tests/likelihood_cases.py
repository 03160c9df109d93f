"""Likelihoods with parameters and images, for their tests."""

import numpy as np
import pytest

from gated_pixelcnn import likelihoods

SIZES = {  # name: (channels, levels)
    "bernoulli": [(1, 2), (3, 2)],
    "categorical": [(1, 256), (3, 5)],
    "independent": [(1, 16), (3, 5)],
    "logistic": [(1, 256), (3, 3)],
    "mixture": [(1, 256), (3, 3), (3, 16)],
}
CASES = [(name, *size) for name, sizes in SIZES.items() for size in sizes]
every_kind = pytest.mark.parametrize("name, channels, levels", CASES)


def make(name, channels, levels):
    return likelihoods.get(name, channels, levels, components=4)


def random_parameters(likelihood, num, seed=0, dtype=np.float64):
    """Parameter map [num, ...] of moderate numbers."""
    rng = np.random.default_rng(seed)
    return likelihood.parameters(
        rng.normal(size=(num, likelihood.parameters_per_pixel)).astype(dtype)
    )


def extreme_parameters(likelihood, num, limit, seed=0):
    """Float32 parameter map [num, ...] of numbers up to `limit` in size, all magnitudes mixed."""
    rng = np.random.default_rng(seed)
    sizes = np.array([0.0, 1e-30, 0.5, 1, 7, 16, 100, 1e4, 1e7, limit], np.float32)
    shape = num, likelihood.parameters_per_pixel
    return likelihood.parameters(rng.choice(np.concatenate([sizes, -sizes]), shape))


def random_images(likelihood, num, seed=1):
    shape = num, likelihood.channels
    return np.random.default_rng(seed).integers(0, likelihood.levels, shape).astype(np.uint8)


def of_colour(likelihood, parameters, colour):
    """What `draw` takes: [N, P]."""
    return parameters if likelihood.colours_share_parameters else parameters[:, colour]


def probabilities_of_all_levels(likelihood, parameters, images, colour):
    """[num, levels]: probability of every level of one colour, earlier colours as in `images`."""
    columns = []
    for level in range(likelihood.levels):
        changed = images.copy()
        changed[:, colour] = level
        columns.append(np.exp(likelihood.log_prob(parameters, changed)[:, colour]))
    return np.stack(columns, axis=1)


def mixture_terms(likelihood, parameters, images):
    """Logits, means, log-scales of a mixture, in plain numpy after the paper: [N, K], [N, K, C]."""
    num, channels = images.shape
    groups = np.asarray(parameters).reshape(num, -1, likelihood.components)
    means = groups[:, 1 : 1 + channels].copy()
    log_scales = groups[:, 1 + channels : 1 + 2 * channels]
    if channels == 3:
        x = 2.0 * images[..., None] / (likelihood.levels - 1) - 1.0
        c0, c1, c2 = np.tanh(groups[:, 7]), np.tanh(groups[:, 8]), np.tanh(groups[:, 9])
        means[:, 1] += c0 * x[:, 0]
        means[:, 2] += c1 * x[:, 0] + c2 * x[:, 1]
    return groups[:, 0], means.swapaxes(1, 2), log_scales.swapaxes(1, 2)
