"""VQ-VAE: the bound, codes and images of them, the objective, and what training does to codes."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from families import FAMILIES, build, images_of, randomise

from gated_pixelcnn.configs.training import TrainConfig
from gated_pixelcnn.evaluation import Images
from gated_pixelcnn.evaluation.code_usage import CodeUsage
from gated_pixelcnn.likelihoods.logistic import to_level
from gated_pixelcnn.models.capabilities import HasCodes, HasLatents, Reconstructs
from gated_pixelcnn.models.request import Request
from gated_pixelcnn.spec import bits_per_dim
from gated_pixelcnn.training.state import TrainState

NAME = "vq_vae"


def random_model(image_shape=(4, 6, 3), levels=8, **arguments):
    keras.utils.set_random_seed(1)
    arguments = FAMILIES[NAME].arguments | {"dtype": "float64"} | arguments
    model = FAMILIES[NAME].model(image_shape, levels, **arguments)
    model.build()
    randomise(model, 0, FAMILIES[NAME].weights)
    return model


@pytest.fixture(scope="module")
def model():
    return random_model()


# The bound


@pytest.mark.parametrize("likelihood", ["logistic", "mixture", "independent"])
def test_the_marginal_is_a_distribution_and_the_bound_is_below_it(likelihood):
    tiny = random_model((2, 2, 1), 3, codes=4, likelihood=likelihood)
    assert tiny.codes_shape == (1, 1)
    everything = np.array(list(itertools.product(range(3), repeat=4)), np.uint8)
    everything = everything.reshape(-1, 2, 2, 1)
    codes = np.arange(4).reshape(-1, 1, 1)
    parameters = tiny.parameters_given(codes)  # for each code
    given = np.stack(
        [
            np.sum(tiny.likelihood.log_prob(np.repeat(p[None], len(everything), 0), everything), -1)
            for p in parameters.numpy()
        ]
    ).sum(axis=(2, 3))
    prior = tiny.code_log_prob(codes).numpy()
    np.testing.assert_allclose(prior, -math.log(4))
    marginal = np.logaddexp.reduce(given + prior[:, None])
    assert np.exp(marginal).sum() == pytest.approx(1)
    bound = tiny.log_prob(everything).numpy()
    assert (bound < marginal).all()
    terms = tiny.log_prob_terms(everything).numpy()
    own = tiny.encode(everything).numpy().ravel()
    assert len(set(own)) > 1
    np.testing.assert_allclose(terms[:, 0], given[own, np.arange(len(everything))])
    np.testing.assert_allclose(terms[:, 1], prior[own])


def test_a_code_costs_the_logarithm_of_their_number(model):
    terms = model.log_prob_terms(images_of(model, 3)).numpy()
    np.testing.assert_allclose(terms[:, 1], -6 * math.log(5))


def test_codes_and_the_bound_depend_on_the_image_and_not_on_its_batch(model):
    images = images_of(model, 5)
    codes = model.encode(images).numpy()
    assert codes.shape == (5, 2, 3) and codes.dtype == np.int32
    np.testing.assert_array_equal(model.encode(images[3:]), codes[3:])
    np.testing.assert_allclose(model.log_prob(images[3:]), model.log_prob(images)[3:], rtol=1e-6)


# Images of codes


def test_the_most_probable_image_has_the_means_of_the_logistics(model):
    codes = model.encode(images_of(model, 4))
    means = model.parameters_given(codes)[..., 0]
    found = model.decode(codes)
    assert found.dtype == tf.uint8
    np.testing.assert_array_equal(found, to_level(means, model.levels))


@pytest.mark.parametrize("likelihood", ["independent", "bernoulli"])
def test_the_most_probable_image_is_more_probable_than_images_drawn(likelihood):
    levels = 2 if likelihood == "bernoulli" else 8
    model = random_model((4, 4, 1), levels, likelihood=likelihood)
    codes = model.encode(images_of(model, 6))
    parameters = model.parameters_given(codes)

    def nats(images):
        return np.sum(model.likelihood.log_prob(parameters, images), axis=(1, 2, 3))

    best = nats(model.decode(codes))
    assert (best[None] >= [nats(model.decode(codes, False, seed)) for seed in range(4)]).all()


@pytest.mark.parametrize("likelihood", ["logistic", "mixture", "independent"])
def test_images_of_the_same_codes_follow_the_likelihood(likelihood):
    model = random_model((2, 2, 3), 3, likelihood=likelihood, codes=4)
    num = 4000
    codes = np.full((num, 1, 1), 2)
    drawn = model.decode(codes, most_probable=False, seed=3).numpy()
    assert (drawn != drawn[0]).any()
    everything = np.array(list(itertools.product(range(3), repeat=3)), np.uint8)
    parameters = model.parameters_given(codes[:1])[0, 1, 0]  # of one pixel
    nats = model.likelihood.log_prob(np.repeat(parameters[None], 27, 0), everything)
    wanted = np.exp(np.sum(nats, axis=-1))
    assert wanted.sum() == pytest.approx(1)
    found = np.bincount(drawn[:, 1, 0] @ [9, 3, 1], minlength=27) / num
    assert (np.abs(found - wanted) < 4.5 * np.sqrt(wanted * (1 - wanted) / num) + 1e-3).all()


def test_without_codes_they_are_drawn_from_the_uniform_prior(model):
    num = 2000
    request = Request(num, None, tf.constant(5, tf.int64), None, None, None, tf.range(num))
    drawn = model.draw_codes(request).numpy()
    assert drawn.shape == (num, 2, 3)
    shares = np.bincount(drawn.ravel(), minlength=5) / drawn.size
    np.testing.assert_allclose(shares, 0.2, atol=0.02)
    most_probable, images = model.sample_stages(num, seed=5, jit=False)
    np.testing.assert_array_equal(most_probable, model.decode(drawn))
    given = model.sample_stages(stage=drawn, seed=5, jit=False)
    np.testing.assert_array_equal(given[1], images)
    np.testing.assert_array_equal(model.decode(drawn, False, seed=5), images)


def test_codes_and_images_have_random_numbers_of_their_own():
    """Otherwise the code 0 would come with the darkest noise."""
    model = random_model((2, 2, 1), 8, codes=2)
    model.quantizer.codebook.assign(np.ones((2, 3)))  # images do not depend on the codes
    num = 3000
    request = Request(num, None, tf.constant(5, tf.int64), None, None, None, tf.range(num))
    codes = model.draw_codes(request).numpy().ravel()
    images = model.sample(num, seed=5, jit=False).numpy()[:, 0, 0, 0]
    assert abs(np.corrcoef(codes, images)[0, 1]) < 0.08


def test_codes_that_do_not_fit_are_refused(model):
    for codes, message in (
        (np.zeros((1, 3, 2), int), r"codes must have the shape \['N', 2, 3\] .*got \[1, 3, 2\]"),
        (np.zeros((1, 2, 3)), "codes must be integers 0…4, got float64"),
        (np.full((1, 2, 3), 5), "codes must be 0…4, got 5…5"),
        (np.full((1, 2, 3), -1), "codes must be 0…4, got -1…-1"),
    ):
        for call in (model.decode, lambda codes: model.sample_stages(stage=codes)):
            with pytest.raises(ValueError, match=message):
                call(codes)


def test_what_it_can_do_is_that_of_no_other_kind_of_model(model):
    assert isinstance(model, HasCodes)
    assert not isinstance(model, HasLatents | Reconstructs)
    others = (build(name) for name in ("vae", "mse_autoencoder", "gated_pixelcnn"))
    assert not any(isinstance(other, HasCodes) for other in others)


def test_the_fingerprint_tells_weights_apart_and_not_what_training_needs(model):
    before = model.fingerprint()
    assert len(before) == 16 and model.fingerprint() == before
    same = random_model()
    assert same.fingerprint() == before
    same.quantizer.counts.assign(np.ones(5))
    same.quantizer.sums.assign(np.ones((5, 3)))
    assert same.fingerprint() == before
    for weight in (
        same.quantizer.codebook,
        same.code_encoder.weights[0],
        same.code_decoder.weights[-1],
    ):
        value = weight.numpy()
        weight.assign(value + 1e-3)
        assert same.fingerprint() != before, weight.path
        weight.assign(value)
    assert random_model(levels=9).fingerprint() != before


# Training


def test_the_objective_is_the_bound_and_the_commitment(model):
    images = images_of(model, 4)
    z = model.code_encoder(model.scale(images)).numpy()
    distance = z - model.quantizer.look_up(model.encode(images)).numpy()
    commitment = np.square(distance).mean(axis=(1, 2, 3)) / math.log(2)
    bound = bits_per_dim(-model.log_prob(images).numpy(), model.image_shape)
    for weight in (0.25, 2.0):
        other = random_model(commitment=weight)
        loss = other.training_loss(images, None, training=True)
        np.testing.assert_allclose(loss, bound + weight * commitment, rtol=1e-5)
        losses, name = other.test_loss_of(images, None)
        assert name == "bits_per_dim"
        np.testing.assert_allclose(losses, bound, rtol=1e-5)


def test_the_commitment_moves_vectors_to_their_codes():
    images = images_of(random_model(), 4)
    gradients = []
    for weight in (0.0, 1.0):
        model = random_model(commitment=weight)
        bias = model.code_encoder.vectors.bias
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model.training_loss(images, None, training=True))
        gradients.append(tape.gradient(loss, bias.value).numpy())
        z = model.code_encoder(model.scale(images))
        away = np.mean(z - model.quantizer.look_up(model.quantizer.nearest(z)), axis=(0, 1, 2))
    wanted = 2 * away / z.shape[-1] / math.log(2)
    np.testing.assert_allclose(gradients[1] - gradients[0], wanted, rtol=1e-5)


def make_state(**settings):
    keras.utils.set_random_seed(0)
    model = build(NAME)
    model.build()
    settings = {"batch_size": 8, "learning_rate": 1e-3} | settings
    return TrainState(model, TrainConfig(**settings), 0, tf.distribute.get_strategy())


def arrays_after(steps, **settings):
    state = make_state(**settings)
    images = images_of(state.model, 8)
    for _ in range(steps):
        state.make_step((images,))
    return state.arrays()


@pytest.mark.parametrize("settings", [{"accumulation": 4}, {"jit": "on"}])
def test_the_step_moves_the_codebook_however_it_is_computed(settings):
    start, wanted, found = arrays_after(0), arrays_after(3), arrays_after(3, **settings)
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-3, atol=1e-5, err_msg=name)
    for name in ("codebook", "counts", "sums"):
        name = next(key for key in wanted if key.endswith(f"quantizer/{name}"))
        assert np.abs(wanted[name] - start[name]).max() > 0.01, name


def test_fit_moves_the_codebook_too():
    model = build(NAME)
    images = images_of(model, 8)
    model.build()
    before = model.quantizer.codebook.numpy()
    for jit in (False, True):
        model.compile("adam", jit_compile=jit)
        model.fit(images, batch_size=8, epochs=1, verbose=0)
        after = model.quantizer.codebook.numpy()
        assert np.abs(after - before).max() > 0.01
        before = after


def test_a_step_goes_on_exactly_from_what_a_checkpoint_holds():
    whole, cut = make_state(), make_state()
    images = images_of(whole.model, 8)
    for _ in range(2):
        cut.make_step((images,))
    again = make_state()
    again.restore(cut.arrays(), "x")
    for _ in range(2):
        again.make_step((images,))
    for _ in range(4):
        whole.make_step((images,))
    for name, wanted in whole.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], wanted, err_msg=name)


def test_training_uses_more_of_the_codebook_than_the_first_batch_did():
    """All vectors have one code at first: the others come to life by beginning anew."""
    state = make_state(batch_size=16, learning_rate=3e-3)
    model, images = state.model, images_of(make_state().model, 16)
    far = np.full(model.quantizer.codebook.shape, 100.0)
    far[0] = 0
    model.quantizer.codebook.assign(far)
    assert len(np.unique(model.encode(images))) == 1
    for _ in range(20):
        state.make_step((images,))
    assert len(np.unique(model.encode(images))) == model.codes


# What is told of codes


class Split:
    """A split of `data.load`, as far as evaluation needs one."""

    def __init__(self, images):
        self.images, self.num_images = images, len(images)

    def eval_batches(self, batch_size):
        for first in range(0, len(self.images), batch_size):
            yield (self.images[first : first + batch_size],)


def test_use_of_the_codes_is_told_in_numbers(model):
    images = images_of(model, 7)
    assert CodeUsage().applies_to(model) and not CodeUsage().applies_to(build("vae"))
    found = CodeUsage().details_of(model, Images(Split(images), 3))
    assert found.keys() == CodeUsage.scalars.keys()
    codes = model.encode(images).numpy()
    shares = np.bincount(codes.ravel(), minlength=5) / codes.size
    assert found["codes_used"] == (shares > 0).mean()
    own = shares[shares > 0]
    assert found["perplexity"] == pytest.approx(math.exp(-(own * np.log(own)).sum()))
    z = model.code_encoder(model.scale(images))
    error = np.square(z - model.quantizer.look_up(codes)).mean()
    assert found["quantization_error"] == pytest.approx(error)
    first = CodeUsage().details_of(model, Images(Split(images), 3, 2))
    wanted = CodeUsage().details_of(model, Images(Split(images[:2]), 2))
    assert first == pytest.approx(wanted)


# Arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"halvings": 3}, "images of 4x6 .* cannot be halved 3 times; set fewer halvings"),
        ({"halvings": 0}, "halvings must be at least 1, got 0"),
        ({"codes": 1}, "codes must be .*got 1"),
        ({"code_features": 0}, "code_features must be at least 1, got 0"),
        ({"features": 0}, "features must be at least 1, got 0"),
        ({"blocks": -1}, "blocks must be at least 0, got -1"),
        ({"decay": 1.0}, "decay must be at least 0 and below 1"),
        ({"commitment": -1.0}, "commitment must be at least 0 and finite, got -1.0"),
        ({"commitment": math.inf}, "commitment must be at least 0 and finite, got inf"),
        ({"likelihood": "gaussian"}, "likelihood must be one of .* got 'gaussian'"),
        ({"condition_size": 3}, "this family takes no condition, got condition_size=3"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        random_model(**arguments)


def test_two_levels_need_a_likelihood_of_their_own():
    with pytest.raises(ValueError, match="use 'bernoulli'"):
        random_model(levels=2)
    assert random_model(levels=2, likelihood="bernoulli").log_prob_terms(
        np.ones((1, 4, 6, 3), np.uint8)
    ).shape == (1, 2)


def test_it_is_no_submodel():
    part = {"family": "gated_pixelcnn", "features": 4, "layers": 2, "first_kernel_size": 3}
    with pytest.raises(ValueError, match="family of prior must be one of"):
        build("auxiliary", prior={"family": NAME}, conditional=part)
