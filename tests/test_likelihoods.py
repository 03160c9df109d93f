"""Likelihoods: normalised, exact, finite, drawn from their distribution, alike in every mode."""

import numpy as np
import pytest
import tensorflow as tf
from likelihood_cases import (
    every_kind,
    extreme_parameters,
    make,
    mixture_terms,
    of_colour,
    probabilities_of_all_levels,
    random_images,
    random_parameters,
)
from tensorflow_probability import distributions as tfd

from gated_pixelcnn import likelihoods


@pytest.mark.parametrize("kind", ["logistic", "mixture"])
@pytest.mark.parametrize("levels", [256, 4096, 65_536])
def test_logistics_can_be_sure_of_a_value_however_many_there_are(kind, levels):
    likelihood = make(kind, 1, levels)
    value = 3 * levels // 4
    raw = np.zeros((1, likelihood.parameters_per_pixel), np.float32)
    sizes = {"logistic": 1, "mixture": 4}[kind]  # mean and log-scale of each component
    raw[:, -2 * sizes : -sizes] = 2 * value / (levels - 1) - 1
    raw[:, -sizes:] = -30
    nats = likelihood.log_prob(likelihood.parameters(raw), np.full((1, 1), value))
    assert np.exp(nats) > 0.95


def value_and_gradient(function, parameters):
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        value = function(parameters)
    return value, tape.gradient(value, parameters)


def tfp_logistic(means, log_scales, levels):
    """Quantised by TFP itself, in levels: its bins (j - 1, j] are ours after a shift of a half."""
    scale = (levels - 1) / 2
    logistic = tfd.Logistic((means + 1) * scale - 0.5, tf.exp(log_scales) * scale)
    return tfd.QuantizedDistribution(logistic, low=0.0, high=levels - 1.0)


def tfp_log_prob(likelihood, parameters, images):
    """Log-probability of every pixel, by TFP alone: [N]."""
    values = tf.cast(images, tf.float64)
    if isinstance(likelihood, likelihoods.Bernoulli):
        distribution = tfd.Bernoulli(logits=parameters[..., 0])
    elif isinstance(likelihood, likelihoods.Categorical):
        logits = tf.reshape(parameters, [len(parameters), -1, likelihood.levels])
        distribution = tfd.Categorical(logits=logits)
    elif isinstance(likelihood, likelihoods.DiscretizedLogistic):
        distribution = tfp_logistic(parameters[..., 0], parameters[..., 1], likelihood.levels)
    else:
        k, x = likelihood.components, 2.0 * values / (likelihood.levels - 1) - 1.0
        rows = [parameters[:, i * k : (i + 1) * k] for i in range(parameters.shape[1] // k)]
        c = likelihood.channels
        means = rows[1 : 1 + c]
        if c == 3:
            c0, c1, c2 = (tf.tanh(row) for row in rows[7:])
            red, green = x[:, 0, None], x[:, 1, None]
            means = [means[0], means[1] + c0 * red, means[2] + c1 * red + c2 * green]
        colours = tfp_logistic(
            tf.stack(means, -1), tf.stack(rows[1 + c : 1 + 2 * c], -1), likelihood.levels
        )
        mixture = tfd.MixtureSameFamily(
            tfd.Categorical(logits=rows[0]), tfd.Independent(colours, 1)
        )
        return mixture.log_prob(values)
    return tf.reduce_sum(distribution.log_prob(values), axis=-1)


@every_kind
@pytest.mark.parametrize("parameters", [random_parameters, extreme_parameters])
def test_probabilities_of_all_levels_sum_to_one(name, channels, levels, parameters):
    likelihood = make(name, channels, levels)
    extreme = parameters is extreme_parameters
    parameters = parameters(likelihood, 20, **({"limit": 1e7} if extreme else {}))
    images = random_images(likelihood, 20)
    for colour in range(channels):
        total = probabilities_of_all_levels(likelihood, parameters, images, colour).sum(axis=1)
        np.testing.assert_allclose(total, 1.0, atol=2e-4 if extreme else 1e-12)


@every_kind
def test_values_and_gradients_equal_tfp(name, channels, levels):
    likelihood = make(name, channels, levels)
    parameters = random_parameters(likelihood, 60, seed=2)
    images = random_images(likelihood, 60)
    images[:3], images[3:6] = 0, levels - 1
    ours, our_gradient = value_and_gradient(
        lambda p: tf.reduce_sum(likelihood.log_prob(p, images), axis=-1), parameters
    )
    theirs, their_gradient = value_and_gradient(
        lambda p: tfp_log_prob(likelihood, p, images), parameters
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    np.testing.assert_allclose(our_gradient, their_gradient, rtol=1e-6, atol=1e-8)


@every_kind
def test_distribution_object_has_the_same_log_prob(name, channels, levels):
    likelihood = make(name, channels, levels)
    parameters = random_parameters(likelihood, 30, seed=3)
    images = random_images(likelihood, 30)
    distribution = likelihood.distribution(parameters, images)
    theirs = distribution.log_prob(tf.cast(images, tf.float64))
    np.testing.assert_allclose(likelihood.log_prob(parameters, images), theirs, rtol=1e-9)
    assert distribution.batch_shape == (30, channels)


@every_kind
@pytest.mark.parametrize("jit", [False, True])
def test_nats_and_gradients_are_finite_for_extreme_parameters(name, channels, levels, jit):
    likelihood = make(name, channels, levels)
    parameters = extreme_parameters(likelihood, 400, limit=1e30)
    images = random_images(likelihood, 400)
    images[:50], images[50:100] = 0, levels - 1
    nats, gradient = tf.function(
        lambda p: value_and_gradient(lambda q: likelihood.log_prob(q, images), p), jit_compile=jit
    )(parameters)
    assert nats.dtype == tf.float32
    assert np.all(np.isfinite(nats)) and np.all(np.asarray(nats) <= 1e-5)
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("levels", [3, 256])
def test_edge_bins_reach_to_infinity(levels):
    likelihood = likelihoods.DiscretizedLogistic(1, levels)
    means, log_scales = np.meshgrid(np.linspace(-3, 3, 13), np.linspace(-5, 5, 11))
    parameters = tf.stack([means, log_scales], axis=-1)
    logistic = tfd.Logistic(means, np.exp(log_scales))
    edge = 1.0 - 1.0 / (levels - 1)
    first = likelihood.log_prob(parameters, np.zeros_like(means, np.uint8))
    last = likelihood.log_prob(parameters, np.full_like(means, levels - 1, np.uint8))
    np.testing.assert_allclose(first, logistic.log_cdf(-edge), rtol=1e-10)
    np.testing.assert_allclose(last, logistic.log_survival_function(edge), rtol=1e-10)


def test_float32_keeps_its_digits_where_a_difference_of_sigmoids_loses_them():
    likelihood = likelihoods.DiscretizedLogistic(1, 256)
    means, log_scales = np.meshgrid([-50.0, -1.0, 0.1, 2.0, 1e4], [-7.0, -3.0, 4.0, 12.0, 20.0])
    parameters = np.stack([means, log_scales], axis=-1)
    images = np.full(means.shape, 100, np.uint8)
    single = likelihood.log_prob(parameters.astype(np.float32), images)
    np.testing.assert_allclose(single, likelihood.log_prob(parameters, images), rtol=2e-4)


@pytest.mark.parametrize("name", ["logistic", "mixture"])
@pytest.mark.parametrize("beyond, bound", [(-9.0, -7.0), (60.0, 40.0)])
def test_log_scales_are_clamped(name, beyond, bound):
    likelihood = likelihoods.get(name, 1, 256, components=1)
    images = np.arange(256, dtype=np.uint8)[:, None]
    raws = [np.array([0.1, s] if name == "logistic" else [0.0, 0.1, s]) for s in (beyond, bound)]
    beyond, bound = (
        likelihood.log_prob(likelihood.parameters(np.tile(raw, [256, 1])), images) for raw in raws
    )
    np.testing.assert_array_equal(beyond, bound)


@pytest.mark.parametrize("levels", [3, 16])
def test_colours_of_a_mixture_multiply_to_the_mixture_of_the_paper(levels):
    likelihood = make("mixture", 3, levels)
    parameters, images = random_parameters(likelihood, 50), random_images(likelihood, 50)
    logits, means, log_scales = mixture_terms(likelihood, parameters, images)
    x = (2.0 * images / (levels - 1) - 1.0)[:, None]  # [N, 1, C]
    with np.errstate(over="ignore"):
        sigmoid = lambda t: 1 / (1 + np.exp(-t))  # noqa: E731
        high = sigmoid((x + 1 / (levels - 1) - means) / np.exp(log_scales))
        low = sigmoid((x - 1 / (levels - 1) - means) / np.exp(log_scales))
    values = images[:, None]
    bins = np.where(values == levels - 1, 1.0, high) - np.where(values == 0, 0.0, low)
    weights = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = np.log((weights * bins.prod(axis=2)).sum(axis=1))
    ours = np.sum(likelihood.log_prob(parameters, images), axis=1)
    np.testing.assert_allclose(ours, expected, rtol=1e-9)


@every_kind
def test_eager_graph_and_xla_agree(name, channels, levels):
    likelihood, num = make(name, channels, levels), 2000
    parameters = random_parameters(likelihood, num, dtype=np.float32)
    images = random_images(likelihood, num)
    rng = np.random.default_rng(0)
    noise = rng.uniform(size=(channels, num, likelihood.noise_per_value)).astype(np.float32)

    def everything(parameters, noise, temperature):
        nats, gradient = value_and_gradient(lambda p: likelihood.log_prob(p, images), parameters)
        values = tf.zeros([num, 0], tf.int32)
        for colour in range(channels):
            own = of_colour(likelihood, parameters, colour)
            drawn = likelihood.draw(own, colour, values, noise[colour], temperature)
            values = tf.concat([values, drawn[:, None]], axis=1)
        return nats, gradient, values

    arguments = parameters, tf.constant(noise), tf.constant(0.9)
    nats, gradient, values = everything(*arguments)
    assert nats.shape == (num, channels)
    for jit in (False, True):
        other = tf.function(everything, jit_compile=jit)(*arguments)
        np.testing.assert_allclose(other[0], nats, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(other[1], gradient, rtol=1e-3, atol=1e-4)
        assert np.mean(np.asarray(other[2]) != np.asarray(values)) < 0.002  # rounding at a border


@every_kind
def test_parameter_maps_are_colour_major_float32(name, channels, levels):
    likelihood = make(name, channels, levels)
    size = likelihood.parameters_per_pixel
    raw = np.arange(2 * 3 * size, dtype=np.float16).reshape(1, 2, 3, size)
    parameters = likelihood.parameters(raw)
    assert parameters.dtype == tf.float32
    if likelihood.colours_share_parameters:
        of_mixture = (3 if channels == 1 else 10) * 4
        assert size == (of_mixture if name == "mixture" else channels * levels)
        np.testing.assert_array_equal(parameters, raw)
    else:
        per_colour = size // channels
        assert parameters.shape == (1, 2, 3, channels, per_colour)
        for c in range(channels):
            np.testing.assert_array_equal(
                parameters[..., c, :], raw[..., c * per_colour : (c + 1) * per_colour]
            )


def test_parameter_maps_keep_their_static_shape():
    traced = tf.function(likelihoods.Categorical(3, 16).parameters).get_concrete_function(
        tf.TensorSpec([None, 5, 7, 48])
    )
    assert traced.output_shapes.as_list() == [None, 5, 7, 3, 16]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("categorical", 1, 1), "levels must be from 2 to 65536, got 1"),
        (("categorical", 3, 65_537), "levels must be from 2 to 65536, got 65537"),
        (("categorical", 3, 16.0), "levels must be an integer from 2 to 65536, got 16.0"),
        (("categorical", 0, 16), "channels must be at least 1, got 0"),
        (("categorical", True, 16), "channels must be an integer of at least 1, got True"),
        (("bernoulli", 1, 16), "'bernoulli' needs levels = 2, got 16"),
        (("logistic", 1, 2), "'logistic' needs levels >= 3, got 2.*use 'bernoulli'"),
        (("mixture", 1, 2), "'mixture' needs levels >= 3, got 2.*use 'bernoulli'"),
        (("mixture", 2, 256), "'mixture' needs channels = 1 or 3, got 2"),
        (("mixture", 3, 256, 0), "components must be at least 1, got 0"),
        (("mixure", 3, 256), "'mixture'; got 'mixure'. Did you mean 'mixture'?"),
        (
            ("softmax", 3, 256),
            "one of 'bernoulli', 'categorical', 'independent', 'logistic', 'mix",
        ),
        ((None, 3, 256), "one of 'bernoulli'.*got None"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        likelihoods.get(*arguments)


def test_distribution_of_a_colour_mixture_asks_for_the_earlier_colours():
    likelihood = make("mixture", 3, 16)
    with pytest.raises(ValueError, match="needs images"):
        likelihood.distribution(random_parameters(likelihood, 2))
