"""What all models with latent variables hold: bounds, draws, free bits, the flow."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from families import contrast, images_of
from families import latent_model as build

from gated_pixelcnn import sampling
from gated_pixelcnn.layers import AutoregressiveFlow
from gated_pixelcnn.models.request import Request
from gated_pixelcnn.models.transforms import VIEWS, Coarse

every_family = pytest.mark.parametrize("family", ["vae", "agave"])
vae_first = pytest.mark.parametrize(
    "family", ["vae", pytest.param("agave", marks=pytest.mark.slow)]
)


def nats_of(values):
    return np.asarray(tf.reduce_sum(values, axis=list(range(1, len(values.shape)))))


# The flow


def test_the_flow_has_the_jacobian_that_it_tells():
    keras.utils.set_random_seed(0)
    flow = AutoregressiveFlow(2, 5, dtype="float64")
    random = np.random.default_rng(0)
    z = tf.constant(random.normal(size=(1, 3, 4, 2)))
    context = tf.constant(random.normal(size=(1, 3, 4, 5)))
    flow(z, context)
    for weight in flow.weights:
        weight.assign(random.normal(size=weight.shape))
    with tf.GradientTape() as tape:
        tape.watch(z)
        after, s = flow(z, context)
        after = tf.reshape(after, [24])
    jacobian = tape.jacobian(after, z).numpy().reshape(24, 24)
    assert np.abs(np.triu(jacobian, 1)).max() == 0
    assert np.abs(np.tril(jacobian, -1)).max() > 0.01
    sign, log_determinant = np.linalg.slogdet(jacobian)
    assert sign == 1
    assert log_determinant == pytest.approx(-float(tf.reduce_sum(s)), abs=1e-9)
    assert np.abs(s).max() > 0.05
    for other, same in ((flow(z, context), True), (flow(z, context + 1), False)):
        assert np.allclose(tf.reshape(other[0], [24]), after) == same


# The bound, against a marginal that is summed


def quadrature(model, points):
    """log p(x) of all images of a model with few latent variables, by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    weights /= weights.sum()
    size = math.prod(model.network.latent_shape)
    z = np.array(list(itertools.product(nodes, repeat=size)))
    log_weight = np.log(np.array(list(itertools.product(weights, repeat=size)))).sum(axis=1)
    values = list(itertools.product(range(model.levels), repeat=math.prod(model.image_shape)))
    everything = np.array(values, np.uint8).reshape(-1, *model.image_shape)
    f = model.network.decode(tf.constant(z.reshape(-1, *model.network.latent_shape)))
    marginal = []
    for image in everything:
        given = model.image_log_prob(f, np.repeat(image[None], len(z), axis=0), False).numpy()
        marginal.append(np.logaddexp.reduce(given + log_weight))
    return everything, np.array(marginal)


def near_the_prior(model):
    """Makes posteriors that draws from them tell the whole prior, in a time for tests."""
    for block in model.network.blocks:
        for layer in (block.up_first, block.down_first):
            contrast(layer, 0.3)
            layer.bias.assign(0.15 * layer.bias)


@pytest.fixture(scope="module")
def toy():
    """A model of images of two pixels with two latent variables, and exact log p of them all."""
    model = build(
        "agave", (1, 2, 1), 3, "gated_pixelcnn", features=4, blocks=1, latents=1, halvings=0
    )
    contrast(model.network.resize[-1], 20)
    contrast(model.stream.head, 100)
    near_the_prior(model)
    return model, *quadrature(model, 24)


def test_the_marginal_of_the_toy_is_a_distribution_that_depends_on_z(toy):
    model, everything, marginal = toy
    assert np.exp(marginal).sum() == pytest.approx(1, abs=1e-6)
    f = model.network.decode(tf.constant(np.random.default_rng(0).normal(size=(50, 1, 2, 1))))
    given = model.image_log_prob(f, np.repeat(everything[:1], 50, axis=0), False).numpy()
    assert given.std() > 0.02


def log_weights(model, images, draws):
    """log p(x, z) / q(z | x) of several draws [draws, N]."""
    return np.stack(
        [model._log_weights_graph(images, tf.constant(k, tf.int64)).numpy() for k in range(draws)]
    )


def test_the_weights_of_draws_average_to_the_marginal_and_the_bound_is_below_it(toy):
    model, everything, marginal = toy
    weights = log_weights(model, everything, 600)
    ratios = np.exp(weights - marginal)
    error = ratios.std(axis=0, ddof=1) / math.sqrt(len(ratios))
    assert (np.abs(ratios.mean(axis=0) - 1) < 4.5 * error).all()
    assert error.max() < 0.2
    mean = weights.mean(axis=0)
    error = weights.std(axis=0, ddof=1) / math.sqrt(len(weights))
    assert (mean < marginal + 4.5 * error).all()
    assert (mean < marginal - 4.5 * error).any()


def test_with_two_blocks_the_weights_average_to_the_marginal_too():
    model = build("vae", (1, 2, 1), 3, features=4, blocks=2, latents=1, halvings=0)
    near_the_prior(model)
    everything, marginal = quadrature(model, 9)
    ratios = np.exp(log_weights(model, everything, 800) - marginal)
    error = ratios.std(axis=0, ddof=1) / math.sqrt(len(ratios))
    assert (np.abs(ratios.mean(axis=0) - 1) < 4.5 * error + 0.02).all()
    assert error.max() < 0.2


def test_more_draws_tighten_the_bound(toy):
    model, everything, marginal = toy
    bounds = [model.importance_log_prob(everything, draws) for draws in (1, 4, 16, 64)]
    np.testing.assert_allclose(bounds[0], model.log_prob(everything), rtol=1e-6)
    means = [bound.mean() for bound in bounds]
    weights = log_weights(model, everything, 64)
    spread = weights.std() / math.sqrt(len(everything))
    for fewer, more, draws in zip(means, means[1:], (1, 4, 16), strict=False):
        assert more > fewer - 3 * spread / math.sqrt(draws)
    assert means[-1] > weights.mean() + 0.02
    assert means[-1] == pytest.approx(marginal.mean(), abs=0.1)


def test_the_bound_of_several_draws_is_the_log_of_the_mean_weight(toy):
    model, everything, _ = toy
    weights = np.exp(log_weights(model, everything, 5))
    found = model.importance_log_prob(everything, 5)
    np.testing.assert_allclose(found, np.log(weights.mean(axis=0)), rtol=1e-10)
    with pytest.raises(ValueError, match="draws must be at least 1, got 0"):
        model.importance_log_prob(everything, 0)


@vae_first
def test_weights_far_below_the_smallest_number_are_averaged(family):
    model = build(family, (12, 12, 3), 256)
    images = images_of(model, 2)
    assert model.log_prob(images).numpy().max() < -800  # exp of it is 0
    assert np.isfinite(model.importance_log_prob(images, 3)).all()


@vae_first
def test_the_bound_depends_on_the_image_and_not_on_its_batch(family):
    model = build(family, dtype="float32")
    images = images_of(model, 5)
    whole = model.log_prob_terms(images).numpy()
    np.testing.assert_allclose(model.log_prob_terms(images[3:]), whole[3:], rtol=1e-5)
    np.testing.assert_array_equal(model.log_prob_terms(images), whole)
    noise = model.posterior_noise(images).numpy()
    assert len(np.unique(noise)) == noise.size
    assert not np.isclose(noise, model.posterior_noise(images, 1)).any()
    assert abs(noise.mean()) < 0.2 and noise.std() == pytest.approx(1, abs=0.2)


def test_images_that_differ_have_noise_of_their_own():
    model = build("vae", (2, 2, 1), 4, halvings=0, blocks=1, latents=1)
    everything = np.array(list(itertools.product(range(4), repeat=4)), np.uint8)
    noise = model.posterior_noise(everything.reshape(-1, 2, 2, 1)).numpy()
    assert len(np.unique(noise[:, 0, 0, 0])) == 256


# Training


def test_training_draws_z_anew_and_evaluation_does_not():
    model = build("vae")
    images = images_of(model)
    first, second = (model.training_loss(images, None, training=True) for _ in range(2))
    assert not np.allclose(first, second)
    first, second = (model.training_loss(images, None, training=False) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_map_of_z_below_the_free_bits_costs_these_and_has_no_gradient():
    random = np.random.default_rng(0)
    divergence = tf.constant(random.normal(size=(4, 2, 3, 5)) + np.array([0, 0.01, 0.1, 0.5, 1]))
    of_maps = divergence.numpy().sum(axis=(1, 2))
    free = float(np.sort(of_maps.mean(axis=0))[2]) + 0.1  # between two of the five
    model = build("vae", free_bits=free)
    with tf.GradientTape() as tape:
        tape.watch(divergence)
        price = tf.reduce_mean(model.divergence_price(divergence))
    assert float(price) == pytest.approx(np.maximum(of_maps.mean(axis=0), free).sum())
    gradient = tape.gradient(price, divergence).numpy()
    paid = of_maps.mean(axis=0) > free
    assert 0 < paid.sum() < 5
    np.testing.assert_allclose(gradient, np.broadcast_to(paid / 4, gradient.shape))
    model = build("vae", free_bits=0.0)
    np.testing.assert_allclose(model.divergence_price(divergence), of_maps.sum(axis=1))


def test_a_gaussian_posterior_has_the_divergence_of_gaussians():
    model = build("vae", posterior="gaussian", blocks=1)
    images = np.repeat(images_of(model, 1), 4000, axis=0)
    noise = np.random.default_rng(0).normal(size=(4000, *model.network.latent_shape))
    _, z, divergence = model.infer(images, noise)
    mean, deviation = z.numpy().mean(axis=0), z.numpy().std(axis=0)
    wanted = 0.5 * (deviation**2 + mean**2 - 1) - np.log(deviation)
    np.testing.assert_allclose(divergence.numpy().mean(axis=0), wanted, atol=0.15)
    assert wanted.max() > 1


# Views


def test_a_view_is_predicted_as_the_paper_writes_it():
    """σ(c + c⌊y/c⌋ | μ, s) − σ(c⌊y/c⌋ | μ, s), the first and last bins without end."""
    model = build("agave", (4, 4, 1), 256, "gated_pixelcnn", auxiliary_levels=32)
    images = images_of(model, 3)
    f = tf.constant(np.random.default_rng(0).normal(size=(3, 4, 4, 1)))
    found = model.view_log_prob(f, images).numpy()
    b, c = 32, 8
    # f is on the scale −1…1 of b levels, μ and s on that of 0…256.
    mean = ((f.numpy() + 1) / 2 * (b - 1) + 0.5) * c
    scale = np.exp(model.network.log_scales.numpy()) / 2 * (b - 1) * c
    low = (images // c).astype(float) * c

    def sigma(x):
        return 1 / (1 + np.exp(-(x - mean) / scale))

    above = np.where(low == 256 - c, 1.0, sigma(low + c))
    below = np.where(low == 0, 0.0, sigma(low))
    np.testing.assert_allclose(found, nats_of(np.log(above - below)), rtol=1e-6)


def test_views_are_what_they_are_called():
    image = np.arange(4 * 8 * 3, dtype=np.uint8).reshape(1, 4, 8, 3)
    shapes = {name: VIEWS[name]((4, 8, 3), 96).image_shape for name in VIEWS}
    assert shapes == {
        "image": (4, 8, 3),
        "half": (2, 4, 3),
        "quarter": (1, 2, 3),
        "grayscale": (4, 8, 1),
    }
    np.testing.assert_array_equal(VIEWS["image"]((4, 8, 3), 96)(image), image)
    mean = image.astype(float).reshape(1, 1, 4, 2, 4, 3).mean(axis=(2, 4))
    np.testing.assert_array_equal(VIEWS["quarter"]((4, 8, 3), 96)(image), np.floor(mean + 0.5))
    coarse = Coarse(VIEWS["image"]((4, 8, 3), 96), 32)
    assert (coarse.levels, coarse.image_shape) == (32, (4, 8, 3))
    np.testing.assert_array_equal(coarse(image), image // 3)
    many = np.full((1, 4, 8, 3), 59_999, np.uint16)
    assert (Coarse(VIEWS["image"]((4, 8, 3), 60_000), 40_000)(many).numpy() == 39_999).all()
    for levels in (1, 97):
        with pytest.raises(ValueError, match=f"levels of a view must be 2…96, got {levels}"):
            Coarse(VIEWS["image"]((4, 8, 3), 96), levels)


# Samples


@every_family
def test_images_drawn_inside_a_graph_are_the_same(family):
    model = build(family)
    request = Request(4, None, 7, sampling.UNCHANGED, None, None, tf.range(4))
    in_graph = tf.function(lambda: model.draw(request)[-1])()
    np.testing.assert_array_equal(in_graph, model.sample(4, seed=7, jit=False))


@every_family
def test_images_of_one_z_share_f_and_differ(family):
    model = build(family, decoder="gated_pixelcnn")
    z = model.draw_latents(3, np.arange(2))
    assert z.shape == (2, *model.network.latent_shape)
    f, drawn = model.sample_stages(stage=np.repeat(z, 2, axis=0), jit=False)
    np.testing.assert_array_equal(f[0], f[1])
    assert not np.array_equal(f[0], f[2]) and not np.array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(f, np.repeat(model.show_latents(z), 2, axis=0))
    f, drawn = model.sample_stages(2, seed=3, jit=False)
    np.testing.assert_array_equal(f, model.show_latents(z))
    np.testing.assert_array_equal(drawn, model.sample(2, seed=3, jit=False))
    with pytest.raises(ValueError, match=r"latents must have the shape \['N', 2, 3, 4\]"):
        model.sample_stages(stage=z[..., :1])
    with pytest.raises(ValueError, match="this model draws an image in several stages"):
        model.sample(given=drawn, known=np.ones_like(drawn, bool))


def test_the_z_of_images_is_that_of_their_bound():
    model = build("vae")
    images = images_of(model)
    f, z, _ = model.infer(images, model.posterior_noise(images))
    np.testing.assert_allclose(model.encode_latents(images), z)
    np.testing.assert_allclose(model.network.decode(z), f)
    assert not np.isclose(model.encode_latents(images, 1), z).any()


def test_samples_of_a_vae_follow_its_logistics():
    model = build("vae", (2, 2, 1), 4, halvings=0, dtype="float32")
    z = np.repeat(model.draw_latents(0, np.arange(1)), 20_000, axis=0)
    _, drawn = model.sample_stages(stage=z)
    f = model.network.decode(z[:1])
    shares = np.stack([np.mean(drawn == level, axis=0) for level in range(4)])
    for level in range(4):
        image = np.full((1, 2, 2, 1), level, np.uint8)
        for row, column in np.ndindex(2, 2):
            one = tf.constant(f[:, row : row + 1, column : column + 1])
            nats = float(model.view_log_prob(one, image[:, :1, :1])[0])
            assert shares[level, row, column, 0] == pytest.approx(math.exp(nats), abs=0.016)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_samples_of_a_vae_can_be_sharper(dtype):
    model = build("vae", (2, 2, 1), 64, halvings=0, dtype=dtype)
    z = np.repeat(model.draw_latents(0, np.arange(1)), 500, axis=0)

    def spread(**how):
        return model.sample_stages(stage=z, **how)[1].numpy().std(axis=0).mean()

    assert spread(most_probable=True) == 0
    assert 0 < spread(temperature=0.3) < 0.7 * spread()
    assert 0 < spread(reduce_log_scale=1.0) < 0.7 * spread()


# Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_shape": (4, 5, 1)}, "images of 4x5 .* cannot be halved 1 times"),
        ({"posterior": "normal"}, "posterior is 'normal'"),
        ({"free_bits": -1.0}, "free_bits must be at least 0, got -1"),
        ({"blocks": 0}, "blocks must be at least 1, got 0"),
        ({"latents": 0}, "latents must be at least 1, got 0"),
        ({"halvings": -1}, "halvings must be at least 0, got -1"),
        ({"condition_size": 3}, "takes no condition"),
        ({"levels": 1}, "levels must be from 2 to 65536, got 1"),
        ({"levels": 65_537}, "levels must be from 2 to 65536, got 65537"),
        ({"image_shape": (4, 4)}, r"image_shape must be \(height, width, channels\), got \(4, 4\)"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        build("vae", **arguments)


def test_a_vae_of_binary_images_is_one_of_coins():
    model = build("vae", (2, 2, 1), 2, halvings=0, blocks=1, latents=1)
    f = tf.constant(np.random.default_rng(0).normal(size=(1, 2, 2, 1)))
    both = [model.view_log_prob(f[:, :1, :1], np.full((1, 1, 1, 1), v, np.uint8)) for v in (0, 1)]
    assert np.exp(both).sum() == pytest.approx(1)
