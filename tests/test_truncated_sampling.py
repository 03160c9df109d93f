"""Draws from the most probable values of a softmax only: top_k and top_p."""

import numpy as np
import pytest
import tensorflow as tf
from families import CODES, build, images_of, randomise

from gated_pixelcnn.likelihoods.discrete import truncated


def logits_of(probabilities):
    return tf.constant(np.log(probabilities)[np.newaxis], tf.float32)


def left(logits):
    return np.flatnonzero(logits[0] > tf.float32.min)


@pytest.mark.parametrize(
    ("top_k", "top_p", "wanted"),
    [
        (0, 1.0, [0, 1, 2, 3]),
        (1, 1.0, [2]),
        (2, 1.0, [0, 2]),
        (9, 1.0, [0, 1, 2, 3]),
        (0, 1e-9, [2]),
        (0, 0.45, [2]),
        (0, 0.55, [0, 2]),
        (0, 0.85, [0, 1, 2]),
        (3, 0.8, [0, 2]),  # of the three that are left 0.8 is less than 0.5 + 0.3 of 0.95
    ],
)
def test_the_most_probable_values_are_left_as_they_were(top_k, top_p, wanted):
    logits = logits_of([0.3, 0.15, 0.5, 0.05])
    found = truncated(logits, top_k, top_p)
    np.testing.assert_array_equal(left(found), wanted)
    np.testing.assert_array_equal(found.numpy()[0, wanted], logits.numpy()[0, wanted])


def model_of(likelihood, channels):
    model = build(image_shape=(4, 4, channels), levels=300, likelihood=likelihood, **CODES)
    model.build()
    randomise(model, 0)
    return model


@pytest.mark.parametrize(("likelihood", "channels"), [("categorical", 1), ("independent", 3)])
@pytest.mark.parametrize("jit", [False, True])
def test_every_value_that_is_drawn_is_among_the_most_probable_ones(likelihood, channels, jit):
    model = model_of(likelihood, channels)
    images = model.sample(8, seed=3, top_k=2, temperature=1.7, jit=jit)
    nats = model.likelihood.parameters(model(images)).numpy()
    nats = np.reshape(nats, (*images.shape, model.levels))
    chosen = np.take_along_axis(nats, images.numpy()[..., np.newaxis].astype(int), axis=-1)
    ranks = (nats > chosen).sum(axis=-1)
    assert ranks.max() == 1 and ranks.min() == 0


def test_a_share_is_of_the_probabilities_at_the_temperature():
    model = model_of("categorical", 1)
    for temperature in (1.0, 0.3):
        images = model.sample(8, seed=3, top_p=0.5, temperature=temperature).numpy().astype(int)
        logits = model(images).numpy()[..., 0, :] / temperature
        p = np.exp(logits - logits.max(axis=-1, keepdims=True))
        p /= p.sum(axis=-1, keepdims=True)
        chosen = np.take_along_axis(p, images, axis=-1)
        above = np.where(p > chosen, p, 0).sum(axis=-1)
        assert (above < 0.5 + 1e-5).all() and (above > 0).any()


def test_one_value_to_draw_from_is_the_most_probable_one_whatever_the_seed():
    model = model_of("categorical", 1)
    first, second = (model.sample(2, seed=seed, top_k=1) for seed in (0, 1))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, model.sample(2, temperature=1e-6))


def test_without_truncation_draws_are_those_of_the_model():
    model = model_of("categorical", 1)
    whole = model.sample(4, seed=2)
    np.testing.assert_array_equal(model.sample(4, seed=2, top_k=300, top_p=1.0), whole)


def test_log_probabilities_are_those_of_the_whole_model():
    model = model_of("categorical", 1)
    images = images_of(model)
    before = model.log_prob(images).numpy()
    model.sample(2, top_k=1)
    np.testing.assert_array_equal(model.log_prob(images), before)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"top_k": -1}, "top_k must be at least 0, got -1"),
        ({"top_k": 1.5}, "top_k must be an integer"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1, got 0.0"),
        ({"top_p": 1.1}, "top_p must be above 0 and at most 1, got 1.1"),
        ({"top_p": float("nan")}, "top_p must be above 0 and at most 1, got nan"),
    ],
)
def test_arguments_out_of_range_are_refused(how, message):
    with pytest.raises(ValueError, match=message):
        build().sample(1, **how)


def test_logistics_have_no_most_probable_values_to_draw_from():
    with pytest.raises(ValueError, match="top_k and top_p are for models that draw from a softmax"):
        build(likelihood="logistic").sample(1, top_k=2)
