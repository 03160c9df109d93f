"""Draws of likelihoods: they follow the probabilities, and stay in range."""

import numpy as np
import pytest
import tensorflow as tf
from likelihood_cases import (
    CASES,
    every_kind,
    extreme_parameters,
    make,
    mixture_terms,
    of_colour,
    probabilities_of_all_levels,
    random_images,
    random_parameters,
)

from gated_pixelcnn import likelihoods


@pytest.mark.parametrize("name, channels, levels", [c for c in CASES if c[0] != "mixture"])
def test_evenly_spaced_noise_gives_every_level_its_share(name, channels, levels):
    likelihood = make(name, channels, levels)
    parameters = random_parameters(likelihood, 1, dtype=np.float32)
    images, num = random_images(likelihood, 1), 1 << 16
    noise = ((np.arange(num) + 0.5) / num).astype(np.float32)[:, None]
    for colour in range(channels):
        repeated = tf.repeat(of_colour(likelihood, parameters, colour), num, axis=0)
        values = np.repeat(images[:, :colour], num, axis=0).astype(np.int32)
        drawn = likelihood.draw(repeated, colour, values, noise, tf.constant(1.0))
        assert drawn.dtype == tf.int32 and drawn.shape == (num,)
        expected = probabilities_of_all_levels(likelihood, parameters, images, colour)[0] * num
        assert np.max(np.abs(np.bincount(drawn, minlength=levels) - expected)) < 2.5


@pytest.mark.parametrize("channels, levels", [(1, 256), (3, 3), (3, 16)])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_mixture_draws_follow_log_prob_given_the_earlier_colours(channels, levels, temperature):
    likelihood, num = make("mixture", channels, levels), 40_000
    rng = np.random.default_rng(5)
    raw = rng.normal(size=(1, likelihood.parameters_per_pixel)).astype(np.float32)
    k = likelihood.components
    raw[:, (1 + channels) * k : (1 + 2 * channels) * k] -= 1.5  # components apart
    cooled = raw.copy()
    cooled[:, :k] /= temperature
    cooled[:, (1 + channels) * k : (1 + 2 * channels) * k] += np.log(temperature)
    images = random_images(likelihood, 1, seed=6)
    for colour in range(channels):
        noise = rng.uniform(1e-7, 1 - 1e-7, size=(num, 2)).astype(np.float32)
        values = np.repeat(images[:, :colour], num, axis=0).astype(np.int32)
        repeated = np.repeat(raw, num, axis=0)
        drawn = likelihood.draw(repeated, colour, values, noise, tf.constant(temperature))
        counts = np.bincount(drawn, minlength=levels)
        expected = num * probabilities_of_all_levels(likelihood, cooled, images, colour)[0]
        often = expected >= 5
        rest = counts[~often].sum(), expected[~often].sum()
        statistic = np.sum((counts - expected)[often] ** 2 / expected[often])
        freedom = often.sum() - 1
        assert statistic < freedom + 5 * np.sqrt(2 * freedom) + 5
        assert abs(rest[0] - rest[1]) < 5 * np.sqrt(rest[1]) + 5


@pytest.mark.parametrize("size", [5, 16, 32, 240, 256])
def test_no_draw_is_out_of_range_or_of_probability_zero(size):
    likelihood, rng = likelihoods.Categorical(1, size), np.random.default_rng(0)
    num = 4000
    logits = rng.normal(size=(num, size)).astype(np.float32)
    logits[rng.uniform(size=(num, size)) < 0.5] = -1e4
    logits[:, 1:3] = -1e4, 0.0
    logits[::2, 0] = logits[::2, -1] = -1e4
    noise = rng.choice([2.0**-24, 0.5, 1 - 2.0**-24], size=(num, 1)).astype(np.float32)
    drawn = likelihood.draw(logits, 0, np.zeros((num, 0), np.int32), noise, tf.constant(1.0))
    assert np.min(drawn) >= 0 and np.max(drawn) < size
    assert np.all(logits[np.arange(num), drawn] > -1e3)


@every_kind
def test_draws_stay_in_range_for_extreme_parameters(name, channels, levels):
    likelihood = make(name, channels, levels)
    parameters = extreme_parameters(likelihood, 500, limit=1e30)
    images = random_images(likelihood, 500).astype(np.int32)
    rng = np.random.default_rng(0)
    noise = rng.choice([2.0**-24, 0.3, 1 - 2.0**-24], size=(500, likelihood.noise_per_value))
    for colour in range(channels):
        drawn = likelihood.draw(
            of_colour(likelihood, parameters, colour),
            colour,
            images[:, :colour],
            noise.astype(np.float32),
            tf.constant(1.0),
        )
        assert np.min(drawn) >= 0 and np.max(drawn) < levels


@every_kind
def test_low_temperature_draws_the_mode(name, channels, levels):
    likelihood, num = make(name, channels, levels), 100
    parameters = random_parameters(likelihood, num, dtype=np.float32)
    images = random_images(likelihood, num).astype(np.int32)
    noise = np.random.default_rng(0).uniform(0.01, 0.99, size=(num, likelihood.noise_per_value))
    for colour in range(channels):
        own = of_colour(likelihood, parameters, colour)
        drawn = likelihood.draw(
            own, colour, images[:, :colour], noise.astype(np.float32), tf.constant(1e-6)
        )
        if name == "bernoulli":
            mode = own[:, 0] > 0
        elif name == "categorical":
            mode = np.argmax(own, axis=1)
        elif name == "independent":
            mode = np.argmax(own[:, colour * levels : (colour + 1) * levels], axis=1)
        else:
            mean = np.asarray(own[:, 0])
            if name == "mixture":
                logits, means, log_scales = mixture_terms(likelihood, parameters, images)
                score = logits  # of a component, times the temperature
                for c in range(colour):
                    bins = likelihoods.discretized_logistic_log_prob(
                        tf.constant(images[:, c, None]),
                        tf.constant(means[..., c].astype(np.float64)),
                        tf.constant(log_scales[..., c].astype(np.float64) + np.log(1e-6)),
                        levels,
                    )
                    score = score + 1e-6 * bins.numpy()
                mean = means[np.arange(num), score.argmax(axis=1), colour]
            mode = np.clip(np.floor((mean + 1) * (levels - 1) / 2 + 0.5), 0, levels - 1)
        assert np.mean(np.asarray(drawn) == np.asarray(mode)) >= 0.98  # all but ties
