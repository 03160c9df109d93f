"""Draws that are sharper than the model: narrower logistics, and their modes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gated_pixelcnn import likelihoods
from gated_pixelcnn.models.families.auxiliary import AuxiliaryModel
from gated_pixelcnn.models.families.gated_pixelcnn import GatedPixelCNN

SIZE = {"features": 6, "layers": 2, "first_kernel_size": 3, "kernel_size": 3}


def model_of(likelihood, channels=3, levels=64):
    keras.utils.set_random_seed(0)
    model = GatedPixelCNN((4, 5, channels), levels, likelihood=likelihood, components=3, **SIZE)
    model.build()
    return with_large_weights(model)


def with_large_weights(model):
    """Weights that tell one pixel from another."""
    random = np.random.default_rng(0)
    for weight in model.trainable_variables:
        fan = np.prod(weight.shape[:-1]) or 1
        weight.assign(random.normal(size=weight.shape) / np.sqrt(fan))
    return model


def test_narrowing_subtracts_from_log_scales_only():
    random = np.random.default_rng(0)
    one = likelihoods.get("logistic", 3, 64)
    raw = random.normal(size=(7, 2)).astype(np.float32)
    np.testing.assert_allclose(one.narrowed(tf.constant(raw), 0.5), raw - [0, 0.5], rtol=1e-6)
    for channels in (1, 3):
        mixture = likelihoods.get("mixture", channels, 64, components=4)
        rows = random.normal(size=(7, mixture.parameters_per_pixel // 4, 4)).astype(np.float32)
        wanted = rows.copy()
        wanted[:, 1 + channels : 1 + 2 * channels] -= 0.5
        found = mixture.narrowed(tf.constant(rows.reshape(7, -1)), 0.5)
        np.testing.assert_allclose(found, wanted.reshape(7, -1), rtol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("likelihood", ["logistic", "mixture"])
def test_most_probable_values_are_the_means_of_their_components(likelihood, jit):
    model = model_of(likelihood)
    images = model.sample(6, seed=1, most_probable=True, jit=jit)
    parameters = model(images)
    if likelihood == "logistic":
        means = parameters.numpy()[..., :1]
    else:
        split = model.likelihood._split(parameters)
        values = tf.cast(images, tf.int32)
        means = [model.likelihood._mean(split, values[..., :c], c) for c in range(3)]
        means = np.stack(means, axis=-2)  # [N, H, W, C, K]
    levels = np.clip((means + 1) * 63 / 2, 0, 63)
    distance = np.abs(levels - images.numpy()[..., np.newaxis])
    # One component for all colours of a pixel.
    assert distance.max(axis=-2).min(axis=-1).max() <= 0.5 + 1e-3
    # Of one logistic there is nothing left to draw, of a mixture the component.
    other = model.sample(6, seed=2, most_probable=True, jit=jit)
    assert np.array_equal(images, other) == (likelihood == "logistic")


def test_narrower_logistics_draw_nearer_to_what_is_most_probable():
    model = model_of("logistic")
    modes = model.sample(50, seed=1, most_probable=True, jit=False).numpy().astype(int)[:, 0, 0, 0]
    apart = [
        np.abs(model.sample(50, seed=1, reduce_log_scale=by, jit=False).numpy()[:, 0, 0, 0] - modes)
        for by in (0.0, 1.0, 3.0)
    ]
    means = [x.mean() for x in apart]
    assert means[0] > 1.5 * means[1] > 1.5 * 1.5 * means[2]


def test_of_an_auxiliary_model_the_part_with_logistics_is_sharpened():
    part = {"family": "gated_pixelcnn", **SIZE}
    model = AuxiliaryModel(
        (4, 4, 1), 16, prior=part, conditional={**part, "likelihood": "logistic"}
    )
    model.build()
    with_large_weights(model)
    assert model.draws_logistics
    first, second = (model.sample(2, seed=s, most_probable=True, jit=False) for s in (1, 2))
    assert first.shape == (2, 4, 4, 1)
    assert not np.array_equal(first, second)  # the prior still draws


@pytest.mark.parametrize("changes", [{"most_probable": True}, {"reduce_log_scale": 2.0}])
def test_the_part_without_logistics_draws_as_it_is(changes):
    part = {"family": "gated_pixelcnn", **SIZE}
    model = AuxiliaryModel(
        (4, 4, 3), 16, prior=part, conditional={**part, "likelihood": "logistic"}
    )
    model.build()
    with_large_weights(model)
    plain, other = (
        model.sample_stages(4, seed=1, jit=False, **changed) for changed in ({}, changes)
    )
    np.testing.assert_array_equal(plain[0], other[0])  # each colour by its own random numbers
    assert not np.array_equal(plain[1], other[1])


def test_it_is_refused_where_there_are_no_logistics():
    model = model_of("categorical")
    for changes in ({"most_probable": True}, {"reduce_log_scale": 0.5}):
        with pytest.raises(ValueError, match="models that draw from logistics"):
            model.sample(1, **changes)
    for by in (-0.1, 101.0, float("nan")):
        with pytest.raises(ValueError, match=f"reduce_log_scale must be 0…100, got {by}"):
            model_of("mixture").sample(1, reduce_log_scale=by)
