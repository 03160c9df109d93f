"""Draws from a prior of codes, and completions in the space of codes."""

import math

import numpy as np
import pytest
import tensorflow as tf
from families import images_of
from vq_priors import LABEL, LABELS, all_codes, random_model, request_of, tiny_model

from gated_pixelcnn import sampling
from gated_pixelcnn.models.code_model import FAR


@pytest.fixture(scope="module")
def model():
    return random_model(**LABEL)


# Samples


def assert_distributed(codes, model, nats):
    """Whether codes are drawn with the probabilities exp(nats) of all codes."""
    num, places = len(codes), math.prod(model.codes_shape)
    powers = model.codes ** np.arange(places)[::-1]
    found = np.bincount(codes.reshape(num, -1) @ powers, minlength=model.codes**places) / num
    wanted = np.exp(nats)
    assert wanted.sum() == pytest.approx(1)
    assert (np.abs(found - wanted) < 4.5 * np.sqrt(wanted * (1 - wanted) / num) + 1e-3).all()


def test_codes_are_drawn_from_the_prior_of_their_label():
    tiny = tiny_model(**LABEL)
    found = []
    for label in (0, 1):
        labels = tf.fill([4000], label)
        codes = tiny.draw_codes(request_of(tiny, 4000, condition=labels)).numpy()
        nats = tiny.prior.log_prob(all_codes(tiny)[..., None], np.full(9, label)).numpy()
        assert_distributed(codes, tiny, nats)
        found.append(nats)
    assert np.abs(found[0] - found[1]).max() > 0.1


def test_images_are_drawn_given_the_codes(model):
    labels = np.arange(8) % 3
    request = request_of(model, 8, condition=tf.constant(labels))
    codes = model.draw_codes(request).numpy()
    assert len(np.unique(codes, axis=0)) > 4
    for jit in (False, True):
        most_probable, images = model.sample_stages(8, labels, seed=5, jit=jit)
        np.testing.assert_array_equal(most_probable, model.decode(codes))
        given = model.tokenizer.sample_stages(stage=codes, seed=5, jit=False)[-1]
        np.testing.assert_array_equal(images, given)
    again = model.sample_stages(condition=labels, stage=codes, seed=5, jit=False)[-1]
    np.testing.assert_array_equal(again, images)


def test_cached_and_naive_draws_are_the_same_codes(model):
    labels = tf.constant(np.arange(6) % 3)
    seeds = tf.range(6, dtype=tf.int64) + FAR
    noise = sampling.noise(5, seeds, model.prior)
    naive = tf.function(sampling.sample_naively, autograph=False)(model.prior, noise, labels)
    found = model.draw_codes(request_of(model, 6, condition=labels))
    np.testing.assert_array_equal(found, naive[..., 0])


def test_top_k_and_top_p_are_of_codes_and_not_of_pixels():
    """Though a softmax is the likelihood of pixels, too."""
    model = random_model(tokenizer={"likelihood": "independent"})
    first, second = (model.sample_stages(6, seed=seed, top_k=1, jit=False) for seed in (0, 1))
    np.testing.assert_array_equal(first[0], second[0])
    assert (first[1].numpy() != second[1].numpy()).any()
    codes = model.draw_codes(request_of(model, 1, top_k=1)).numpy()[..., None]
    logits = model.prior(codes).numpy()[..., 0, :]
    np.testing.assert_array_equal(codes[..., 0], logits.argmax(axis=-1))
    for options in ({"top_k": 1}, {"top_p": 1e-6}):
        found = model.draw_codes(request_of(model, 6, **options))
        assert (found.numpy() == codes[..., 0]).all()
    assert (model.draw_codes(request_of(model, 6)).numpy() != codes[..., 0]).any()


def test_a_tokenizer_of_logistics_can_draw_their_modes(model):
    """Codes are drawn as before."""
    stages = model.sample_stages(4, LABELS[:4], seed=3, most_probable=True, jit=False)
    plain = model.sample_stages(4, LABELS[:4], seed=3, jit=False)
    np.testing.assert_array_equal(stages[0], plain[0])
    np.testing.assert_array_equal(stages[1], plain[0])


# Completion, in the space of codes


def squares(model, known):
    """Booleans of codes as those of pixels."""
    side = model.image_shape[0] // model.codes_shape[0]
    return np.kron(known, np.ones((side, side), bool))[..., None]


def test_known_codes_and_pixels_are_kept_and_the_others_drawn(model):
    given, labels = images_of(model, 5, seed=3), tf.constant(LABELS)
    known = np.random.default_rng(0).random((5, 2, 3)) < 0.5
    pixels = squares(model, known)
    request = request_of(model, 5, condition=labels, given=given, known=pixels)
    codes, wanted = model.draw_codes(request).numpy(), model.encode(given).numpy()
    np.testing.assert_array_equal(codes[known], wanted[known])
    assert (codes[~known] != wanted[~known]).any()
    stages = model.sample_stages(condition=LABELS, given=given, known=pixels, seed=5, jit=False)
    for stage, drawn in zip(stages, [model.decode(codes), None], strict=True):
        kept = np.broadcast_to(pixels, given.shape)
        np.testing.assert_array_equal(stage.numpy()[kept], given[kept])
        if drawn is not None:
            np.testing.assert_array_equal(stage.numpy()[~kept], drawn.numpy()[~kept])


def test_a_code_of_which_one_pixel_is_unknown_is_drawn(model):
    given = images_of(model, 5, seed=3)
    known = np.ones((4, 6, 3), bool)
    known[::2, 1::2, 2] = False  # a colour of one of the four pixels
    labels = tf.constant(LABELS)
    request = request_of(model, 5, condition=labels, given=given, known=known)
    free = model.draw_codes(request_of(model, 5, condition=labels))
    np.testing.assert_array_equal(model.draw_codes(request), free)
    drawn = model.sample(condition=LABELS, given=given, known=known, seed=5, jit=False).numpy()
    np.testing.assert_array_equal(drawn[:, known], given[:, known])


def test_what_comes_after_known_codes_is_drawn_given_these():
    tiny = tiny_model()
    given = images_of(tiny, 1, seed=2)
    first = int(tiny.encode(given)[0, 0, 0])
    known = squares(tiny, np.array([[True, False]]))
    codes = tiny.draw_codes(request_of(tiny, 4000, given=given, known=known)).numpy()
    assert (codes[:, 0, 0] == first).all()
    everything = all_codes(tiny)
    nats = tiny.prior.log_prob(everything[..., None]).numpy()
    nats = np.where(everything[:, 0, 0] == first, nats, -np.inf)
    assert_distributed(codes, tiny, nats - np.logaddexp.reduce(nats))
