"""A prior of the codes of a tokenizer: the bound, training on codes, draws and completions."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from families import FAMILIES, build, images_of, randomise

import gated_pixelcnn as gpc
from gated_pixelcnn import sampling
from gated_pixelcnn.configs.training import TrainConfig
from gated_pixelcnn.models.capabilities import HasCodes
from gated_pixelcnn.models.code_model import FAR
from gated_pixelcnn.models.density_model import Request
from gated_pixelcnn.sampling.options import UNCHANGED
from gated_pixelcnn.spec import bits_per_dim
from gated_pixelcnn.training.state import TrainState

NAME = "vq_prior"
LABEL = {"condition": "label", "condition_size": 3}
LABELS = np.array([0, 1, 2, 1, 0])


def random_model(image_shape=(4, 6, 3), levels=8, tokenizer=(), **arguments):
    keras.utils.set_random_seed(1)
    arguments = FAMILIES[NAME].arguments | {"dtype": "float64"} | arguments
    arguments["tokenizer"] = arguments["tokenizer"] | dict(tokenizer)
    model = FAMILIES[NAME].model(image_shape, levels, **arguments)
    model.build()
    randomise(model, 0, FAMILIES[NAME].weights)
    return model


def tiny_model(**arguments):
    """Of 2×4 binary pixels: two codes of three, one after the other."""
    tokenizer = {"codes": 3, "likelihood": "bernoulli"}
    return random_model((2, 4, 1), 2, tokenizer, **arguments)


@pytest.fixture(scope="module")
def model():
    return random_model(**LABEL)


def request_of(model, num, seed=5, condition=None, given=None, known=None, **options):
    """A `Request` for images 0…num−1."""
    if given is not None:
        given, known = model.image_spec.check_completion(given, known, num)
    how = (tf.constant(seed, tf.int64), UNCHANGED._replace(**options), given, known)
    return Request(num, condition, *how, tf.range(num))


def all_codes(model):
    places = math.prod(model.codes_shape)
    codes = np.array(list(itertools.product(range(model.codes), repeat=places)))
    return codes.reshape(-1, *model.codes_shape)


# The bound


@pytest.mark.parametrize("label", [0, 2])
def test_the_marginal_is_a_distribution_and_the_bound_is_below_it(label):
    tiny = tiny_model(**LABEL)
    everything = np.array(list(itertools.product(range(2), repeat=8)), np.uint8)
    everything = everything.reshape(-1, 2, 4, 1)
    codes = all_codes(tiny)  # [9, 1, 2]
    # log p(c) by hand: the softmax at each place, which sees what is before it.
    logits = tiny.prior(codes[..., None], np.full(9, label)).numpy()[:, 0, :, 0]
    nats = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    of_codes = np.take_along_axis(nats, codes[:, 0, :, None], axis=-1).sum(axis=(1, 2))
    assert np.exp(of_codes).sum() == pytest.approx(1)
    given = np.stack([tiny.tokenizer.image_log_prob(everything, [c] * 256) for c in codes])
    marginal = np.logaddexp.reduce(given + of_codes[:, None])
    assert np.exp(marginal).sum() == pytest.approx(1)
    labels = np.full(256, label)
    assert (tiny.log_prob(everything, labels).numpy() < marginal).all()
    own = tiny.encode(everything).numpy()[:, 0] @ [3, 1]
    assert len(set(own)) > 1
    terms = tiny.log_prob_terms(everything, labels).numpy()
    np.testing.assert_allclose(terms[:, 0], given[own, np.arange(256)])
    np.testing.assert_allclose(terms[:, 1], of_codes[own])


def test_with_a_uniform_prior_the_bound_is_that_of_the_tokenizer(model):
    same = random_model(**LABEL)
    for weight in (same.prior.categories.output_table, same.prior.categories.bias):
        weight.assign(tf.zeros_like(weight))
    images = images_of(model, 5)
    wanted = model.tokenizer.log_prob_terms(images)
    np.testing.assert_allclose(same.log_prob_terms(images, LABELS), wanted)
    assert not np.allclose(model.log_prob_terms(images, LABELS), wanted, atol=0.1)


def test_codes_are_those_of_the_tokenizer(model):
    images = images_of(model, 3)
    codes = model.encode(images)
    assert isinstance(model, HasCodes) and (model.codes, model.codes_shape) == (5, (2, 3))
    np.testing.assert_array_equal(codes, model.tokenizer.encode(images))
    np.testing.assert_array_equal(model.decode(codes), model.tokenizer.decode(codes))
    assert model.fingerprint() == model.tokenizer.fingerprint()


def test_the_condition_is_one_of_the_codes_and_not_of_pixels_given_these(model):
    images = np.repeat(images_of(model, 1), 2, axis=0)
    terms = model.log_prob_terms(images, [0, 1]).numpy()
    assert terms[0, 0] == terms[1, 0] and abs(terms[0, 1] - terms[1, 1]) > 0.01


# Training


def test_the_loss_is_bits_per_code_of_codes_or_of_images(model):
    images = images_of(model, 5)
    codes = model.encode(images).numpy()[..., None]
    wanted = -model.log_prob_terms(images, LABELS).numpy()[:, 1] / (6 * math.log(2))
    for batch in (codes, codes.astype(np.uint8), images):
        found = model.training_loss(batch, LABELS, training=False)
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    others = model.training_loss(codes, (LABELS + 1) % 3, training=False)
    assert (np.abs(others - wanted) > 1e-3).all()
    losses, name = model.test_loss_of(images, LABELS)
    bound = bits_per_dim(-model.log_prob(images, LABELS).numpy(), model.image_shape)
    assert (model.loss_name, name) == ("bits_per_code", "bits_per_dim")
    np.testing.assert_allclose(losses, bound, rtol=1e-5)


def test_codes_and_images_that_do_not_fit_are_refused(model):
    for batch, message in (
        (np.full((5, 2, 3, 1), 5), r"0…4"),
        (np.full((5, 4, 6, 3), 8), r"0…7"),
        (np.zeros((5, 3, 2, 1), int), r"\[5, 3, 2, 1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            model.training_loss(batch, LABELS, training=False)


def made_by(state, model, batches, steps=3):
    """Weights before and after some steps: {path: (before, after)}."""
    before = {weight.path: weight.numpy() for weight in model.weights}
    for _ in range(steps):
        state.make_step(batches)
    return {weight.path: (before[weight.path], weight.numpy()) for weight in model.weights}


def assert_only_the_prior_moved(weights):
    """Those of a softmax or bias may stay in places; every weight of the prior moves in one."""
    for path, (before, after) in weights.items():
        assert np.array_equal(before, after) == ("/tokenizer/" in path), path


def make_state(**settings):
    keras.utils.set_random_seed(0)
    model = build(NAME, **LABEL)
    model.build()
    randomise(model, 0)
    settings = {"batch_size": 5, "learning_rate": 1e-3} | settings
    return TrainState(model, TrainConfig(**settings), 0, tf.distribute.get_strategy())


@pytest.mark.parametrize("settings", [{}, {"accumulation": 5, "jit": "on"}, {"remat": True}])
def test_a_step_moves_the_prior_and_not_the_tokenizer(settings):
    state = make_state(**settings)
    model = state.model
    codes = model.encode(images_of(model, 5)).numpy()[..., None]
    assert_only_the_prior_moved(made_by(state, model, (codes, LABELS)))


def test_fit_takes_images_and_moves_the_prior_only():
    model = make_state().model
    images = images_of(model, 5)
    before = {weight.path: weight.numpy() for weight in model.weights}
    model.compile(keras.optimizers.Adam(0.01))
    told = model.fit(images, LABELS, epochs=20, verbose=0).history
    assert_only_the_prior_moved({w.path: (before[w.path], w.numpy()) for w in model.weights})
    assert told["bits_per_code"][-1] < 0.7 * told["bits_per_code"][0]
    found = model.evaluate(images, LABELS, verbose=0, return_dict=True)["bits_per_dim"]
    bound = bits_per_dim(-model.log_prob(images, LABELS).numpy(), model.image_shape)
    assert found == pytest.approx(bound.mean(), rel=1e-5)


def test_a_step_goes_on_exactly_from_what_a_checkpoint_holds():
    whole, cut = make_state(), make_state()
    batch = (whole.model.encode(images_of(whole.model, 5)).numpy()[..., None], LABELS)
    for _ in range(2):
        cut.make_step(batch)
    again = make_state()
    again.restore(cut.arrays(), "x")
    for state, steps in ((again, 2), (whole, 4)):
        for _ in range(steps):
            state.make_step(batch)
    for name, wanted in whole.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], wanted, err_msg=name)


def test_data_dependent_initial_weights_are_set_by_codes():
    part = {"family": "pixelcnn_pp", "features": 3, "blocks": 1, "scales": 1}
    part |= {"likelihood": "categorical", "embedding_size": 2}
    model = random_model(prior=part)
    assert model.initialised_by_data
    before = {weight.path: weight.numpy() for weight in model.weights}
    model.initialise(images_of(model, 5))
    moved = {w.path for w in model.weights if not np.array_equal(before[w.path], w)}
    assert moved and not any("/tokenizer/" in path for path in moved)


def test_a_warm_start_takes_the_prior_and_the_tokenizer_comes_from_its_run(model):
    other = random_model(**LABEL)
    randomise(other, 7)
    fingerprint = other.fingerprint()
    taken = other.take_weights(model)
    assert other.prior in taken and other.fingerprint() == fingerprint != model.fingerprint()
    for found, wanted in zip(other.prior.weights, model.prior.weights, strict=True):
        np.testing.assert_array_equal(found, wanted)
    other.take_tokenizer(model.tokenizer)
    assert other.fingerprint() == model.fingerprint()
    with pytest.raises(ValueError, match="its images are 4x6x3 with 9 levels, not 4x6x3 with 8"):
        other.take_tokenizer(random_model(levels=9).tokenizer)
    with pytest.raises(ValueError, match="weight shape .5, 3. is not compatible with .*6, 3"):
        other.take_tokenizer(random_model(tokenizer={"codes": 6}).tokenizer)
    with pytest.raises(ValueError, match="it is of the family VQPrior, not VQVAE"):
        other.take_tokenizer(model)


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


# Files


def test_a_keras_file_and_an_export_are_the_same_model(tmp_path):
    model = random_model(dtype="float32", **LABEL)
    images = images_of(model, 5)
    wanted = model.log_prob_terms(images, LABELS)
    how = {"condition": LABELS, "seed": 4}
    drawn = model.sample(**how, jit=False)
    known = np.arange(6)[:, None] < 3
    completed = model.sample(**how, given=images, known=known, jit=False)
    model.save(tmp_path / "model.keras")
    again = gpc.load(tmp_path / "model.keras")
    assert again.fingerprint() == model.fingerprint()
    assert not again.tokenizer.trainable_variables
    np.testing.assert_array_equal(again.log_prob_terms(images, LABELS), wanted)
    np.testing.assert_array_equal(again.sample(**how, jit=False), drawn)
    served = gpc.load_saved_model(gpc.export(again, tmp_path / "export"))
    assert tuple(served.terms) == model.terms and served.is_lower_bound and served.completes
    np.testing.assert_allclose(served.log_prob_terms(images, LABELS), wanted, rtol=1e-5)
    np.testing.assert_array_equal(served.sample(**how), drawn)
    np.testing.assert_array_equal(served.sample(**how, given=images, known=known), completed)
    with pytest.raises(ValueError, match="lower bound: single values"):
        served.value_log_prob(images, LABELS)


# Arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"condition": "image"}, "must be None, 'label' or 'vector', got 'image'"),
        ({"condition": "spatial", "condition_size": 2}, "must be None, 'label' or 'vector'"),
        ({"tokenizer": {"family": "vae"}}, "family of the tokenizer must be 'vq_vae', got 'vae'"),
        ({"tokenizer": {"codes": 1}}, "tokenizer: codes must be .*got 1"),
        ({"tokenizer": {"halvings": 3}}, "tokenizer: images of 4x6 .* cannot be halved 3 times"),
        ({"tokenizer": {"code": 1}}, "tokenizer: Unrecognized keyword arguments .*'code'"),
        ({"prior": {"family": "vq_vae"}}, "family of prior must be one of .*, got 'vq_vae'"),
        ({"prior": {"family": NAME}}, f"family of prior must be one of .*, got '{NAME}'"),
        ({"prior": {"family": "pixelcnn", "levels": 3}}, "prior must be a dict of a family"),
        (
            {"prior": {"family": "gated_pixelcnn", "likelihood": "logistic"}},
            "prior: values='categorical' needs likelihood='categorical' or 'independent'",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        random_model(**arguments)


def test_it_is_no_submodel():
    part = {"family": "gated_pixelcnn", "features": 4, "layers": 2, "first_kernel_size": 3}
    with pytest.raises(ValueError, match="family of prior must be one of"):
        build("auxiliary", prior={"family": NAME}, conditional=part)
