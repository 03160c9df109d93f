"""Two maps of codes of an image: a VQ-VAE of them, and a hierarchy as their prior."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from families import FAMILIES, images_of, randomise

import gated_pixelcnn as gpc
from gated_pixelcnn.code_maps import pack_codes, unpack_codes
from gated_pixelcnn.configs.training import TrainConfig
from gated_pixelcnn.data.batches import ArraySplit
from gated_pixelcnn.evaluation import Images
from gated_pixelcnn.evaluation.code_prior import CodeBaselines, CodePrior
from gated_pixelcnn.evaluation.code_usage import CodeUsage
from gated_pixelcnn.evaluation.codes import codes as probed
from gated_pixelcnn.models.capabilities import HasCodes
from gated_pixelcnn.models.request import Request
from gated_pixelcnn.sampling.options import UNCHANGED
from gated_pixelcnn.spec import bits_per_dim
from gated_pixelcnn.training.state import TrainState
from gated_pixelcnn.training.tokens import code_split

SHAPE = (4, 8, 3)  # codes of 2×4, and of 1×2 above them
LABEL = {"condition": "label", "condition_size": 3}
LABELS = np.array([0, 1, 2, 1, 0])


def made(name, image_shape=SHAPE, levels=8, **arguments):
    keras.utils.set_random_seed(1)
    arguments = FAMILIES[name].arguments | {"dtype": "float64"} | arguments
    model = FAMILIES[name].model(image_shape, levels, **arguments)
    model.build()
    randomise(model, 0, FAMILIES[name].weights)
    return model


def vq_vae(**arguments):
    return made("vq_vae-two-maps", **arguments)


def vq_prior(tokenizer=(), **arguments):
    whole = FAMILIES["vq_prior-two-maps"].arguments["tokenizer"] | dict(tokenizer)
    return made("vq_prior-two-maps", tokenizer=whole, **arguments)


@pytest.fixture(scope="module")
def model():
    return vq_vae()


@pytest.fixture(scope="module")
def prior():
    return vq_prior(**LABEL)


# Codes


def test_codes_of_an_image_are_both_maps_in_one_array(model):
    images = images_of(model, 5)
    codes = model.encode(images).numpy()
    assert isinstance(model, HasCodes) and model.codes_shape == (1, 2, 5)
    assert codes.shape == (5, 1, 2, 5) and codes.dtype == np.int32
    (z_top, _, top), (z, _, bottom) = model.quantised(images)
    np.testing.assert_array_equal(codes, pack_codes(top, bottom))
    np.testing.assert_array_equal(top, model.top.quantizer.nearest(z_top))
    np.testing.assert_array_equal(bottom, model.quantizer.nearest(z))
    assert len(np.unique(top)) > 1 and len(np.unique(bottom)) > 1
    np.testing.assert_array_equal(model.encode(images[3:]), codes[3:])
    quantizers = (model.top.quantizer, model.quantizer)
    for vectors, of_map, quantizer in zip(
        model.vectors_of(codes), unpack_codes(codes), quantizers, strict=True
    ):
        np.testing.assert_array_equal(vectors, quantizer.codebook.numpy()[of_map])


def test_the_bottom_map_is_made_of_the_top_map_and_not_the_other_way_round(model):
    images = images_of(model, 5)
    (z_top, _, _), (z, _, _) = model.quantised(images)
    other = vq_vae()
    other.quantizer.codebook.assign(1 + other.quantizer.codebook)
    np.testing.assert_array_equal(other.quantised(images)[0][0], z_top)
    other.top.quantizer.codebook.assign(1 + other.top.quantizer.codebook)
    (same, _, _), (changed, _, _) = other.quantised(images)
    np.testing.assert_array_equal(same, z_top)
    assert (np.abs(changed - z).max(axis=-1) > 1e-6).all()


@pytest.mark.parametrize("place", range(5))
def test_every_code_tells_pixels(model, place):
    """A code of the bottom map those around it, and one of the top map a larger square."""
    codes = np.zeros((2, 1, 2, 5), int)
    codes[1, 0, 1, place] = 1
    one, other = model.parameters_given(codes).numpy()
    changed = (one != other).any(axis=-1)
    height, width = (4, 4) if place == 0 else (2, 2)
    row, column = divmod(max(place - 1, 0), 2)
    rows, columns = slice(2 * row, 2 * row + height), slice(4 + 2 * column, 4 + 2 * column + width)
    assert changed[rows, columns].all()


def test_vectors_are_not_rounded_in_half_precision():
    for maps in (1, 2):
        half = vq_vae(maps=maps, dtype="mixed_bfloat16")
        for z, vectors, codes in half.quantised(images_of(half, 5)):
            assert z.dtype == vectors.dtype == tf.float32
            quantizer = half.quantizers[0 if codes.shape[1] == 1 else -1]
            np.testing.assert_allclose(vectors, quantizer.look_up(codes), rtol=1e-5, atol=1e-5)
        # A vector is nearer to itself than to what it would be rounded to.
        for number, quantizer in enumerate(half.quantizers):
            z = half.quantised(images_of(half, 5))[number][0][0, 0, 0]
            entries = np.full(quantizer.codebook.shape, 100.0)
            entries[1], entries[2] = z, tf.cast(tf.cast(z, tf.bfloat16), tf.float32)
            quantizer.codebook.assign(entries)
            assert half.quantised(images_of(half, 5))[number][2][0, 0, 0] == 1


# The bound


def test_a_code_of_either_map_costs_the_logarithm_of_their_number(model):
    terms = model.log_prob_terms(images_of(model, 3)).numpy()
    np.testing.assert_allclose(terms[:, 1], -10 * math.log(5))


def test_the_marginal_is_a_distribution_and_the_bound_is_below_it():
    tokenizer = {"codes": 2, "likelihood": "bernoulli"}
    tiny = vq_prior(tokenizer, image_shape=(4, 4, 1), levels=2)
    codes = np.array(list(itertools.product(range(2), repeat=5))).reshape(-1, 1, 1, 5)
    of_codes = tiny.prior.log_prob(codes).numpy()
    assert np.exp(of_codes).sum() == pytest.approx(1)
    images = np.array(list(itertools.product(range(2), repeat=16))).reshape(-1, 4, 4, 1)
    shown = np.array([[[[[0]]]], [[[[1]]]]]) * np.ones((2, 1, 4, 4, 1), int)
    given = np.stack(  # of a dark and of a bright pixel
        [
            tiny.tokenizer.likelihood.log_prob(tiny.tokenizer.parameters_given(codes), x)
            for x in np.repeat(shown, len(codes), 1)
        ]
    ).reshape(2, len(codes), 16)
    flat = images.reshape(-1, 16)
    nats = given[0] @ (1 - flat.T) + given[1] @ flat.T  # [codes, images]
    marginal = np.logaddexp.reduce(nats + of_codes[:, None])
    assert np.exp(marginal).sum() == pytest.approx(1)
    some = np.random.default_rng(0).choice(len(images), 64, replace=False)
    assert (tiny.log_prob(images[some]).numpy() < marginal[some]).all()
    own = tiny.encode(images[some]).numpy().reshape(-1, 5) @ [16, 8, 4, 2, 1]
    assert len(set(own)) > 2
    terms = tiny.log_prob_terms(images[some]).numpy()
    np.testing.assert_allclose(terms[:, 0], nats[own, some])
    np.testing.assert_allclose(terms[:, 1], of_codes[own])


# Training


def test_the_objective_has_the_commitment_of_both_maps(model):
    images = images_of(model, 4)
    bits = 0
    for quantizer, (z, _, codes) in zip(model.quantizers, model.quantised(images), strict=True):
        bits += np.square(z - quantizer.look_up(codes)).mean(axis=(1, 2, 3)) / math.log(2)
    bound = bits_per_dim(-model.log_prob(images).numpy(), model.image_shape)
    for weight in (0.25, 2.0):
        loss = vq_vae(commitment=weight).training_loss(images, None, training=True)
        np.testing.assert_allclose(loss, bound + weight * bits, rtol=1e-5)


def arrays_after(steps, **settings):
    keras.utils.set_random_seed(0)
    model = vq_vae(dtype="float32")
    settings = {"batch_size": 8, "learning_rate": 1e-3} | settings
    state = TrainState(model, TrainConfig(**settings), 0, tf.distribute.get_strategy())
    for _ in range(steps):
        state.make_step((images_of(model, 8),))
    return state.arrays()


@pytest.mark.parametrize("settings", [{"accumulation": 4}, {"jit": "on"}])
def test_the_step_moves_both_codebooks_however_it_is_computed(settings):
    start, wanted, found = arrays_after(0), arrays_after(3), arrays_after(3, **settings)
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-3, atol=1e-5, err_msg=name)
    for name in ("codebook", "counts", "sums"):
        both = [key for key in wanted if key.endswith(f"quantizer/{name}")]
        assert len(both) == 2
        for key in both:
            assert np.abs(wanted[key] - start[key]).max() > 0.01, key


def test_sums_of_each_map_move_its_codebook():
    model, images = vq_vae(restart_below=0.0), images_of(vq_vae(), 6)
    for quantizer in model.quantizers:
        quantizer.counts.assign(np.zeros(5))
        quantizer.sums.assign(np.zeros((5, 3)))
    found = model.quantised(images)
    part = gpc.models.capabilities.Part(tf.constant(0, tf.int64), 0, 6)
    _, sums = model.training_loss_and_sums_of(images, None, part)
    assert [tuple(x.shape) for x in sums] == [tuple(shape) for shape in model.sum_shapes]
    model.take_sums(sums)
    for quantizer, (z, _, codes) in zip(model.quantizers, found, strict=True):
        z, codes = z.numpy().reshape(-1, 3), codes.numpy().ravel()
        np.testing.assert_allclose(quantizer.counts, 0.01 * np.bincount(codes, minlength=5))
        wanted = np.stack([z[codes == code].sum(axis=0) for code in range(5)])
        np.testing.assert_allclose(quantizer.sums, 0.01 * wanted)


def test_the_fingerprint_tells_the_weights_of_the_top_map_and_not_its_averages(model):
    wanted, same = model.fingerprint(), vq_vae()
    same.top.quantizer.counts.assign(np.ones(5))
    same.top.quantizer.sums.assign(np.ones((5, 3)))
    assert same.fingerprint() == wanted
    layers = (same.top.encoder, same.top.decoder, same.top.enlarge)
    for weight in (same.top.quantizer.codebook, *(layer.weights[-1] for layer in layers)):
        value = weight.numpy()
        weight.assign(value + 1e-3)
        assert same.fingerprint() != wanted, weight.path
        weight.assign(value)
    assert same.fingerprint() == wanted


# What is told of codes


def test_use_of_the_codes_is_told_of_both_codebooks(model):
    images = images_of(model, 7)
    found = CodeUsage().details_of(model, Images(ArraySplit(images), 3))
    nats, used, error = 0, [], 0
    for number, of_map in enumerate(unpack_codes(model.encode(images).numpy())):
        shares = np.bincount(of_map.ravel(), minlength=5) / of_map.size
        used.append((shares > 0).mean())
        own = shares[shares > 0]
        nats -= [0.2, 0.8][number] * (own * np.log(own)).sum()
        z, _, codes = model.quantised(images)[number]
        distance = np.square(z - model.quantizers[number].look_up(codes))
        error += [0.2, 0.8][number] * distance.mean()
    assert found["codes_used"] == pytest.approx(np.mean(used))
    assert found["perplexity"] == pytest.approx(math.exp(nats))
    assert found["quantization_error"] == pytest.approx(error)


def test_bits_of_a_code_are_those_of_all_ten(prior):
    images = images_of(prior, 5)
    split = Images(ArraySplit(images, LABELS), 3)
    terms = prior.log_prob_terms(images, LABELS).numpy()
    wanted = -terms[:, 1].mean() / (10 * math.log(2))
    assert CodePrior().details_of(prior, split)["bits_per_code"] == pytest.approx(wanted)
    loss = prior.training_loss(prior.encode(images), LABELS, training=False)
    assert np.mean(loss) == pytest.approx(wanted)


def test_frequencies_of_codes_are_counted_at_each_place_of_both_maps(prior):
    split = ArraySplit(images_of(prior, 30))
    found = CodeBaselines().evaluate(prior, Images(split, 7, train=split))["details"]
    codes = prior.encode(split.images).numpy()
    counts = 0.5 + (codes[..., None] == np.arange(5)).sum(axis=0)
    bits = -np.log2(counts / counts.sum(axis=-1, keepdims=True))
    wanted = np.take_along_axis(bits[None], codes[..., None], axis=-1).mean()
    assert found["histogram_bits_per_code"] == pytest.approx(wanted)


def test_codes_are_probed_by_the_vectors_of_both_maps(model, prior):
    for each, tokenizer in ((model, model), (prior, prior.tokenizer)):
        images = images_of(each, 4)
        maps = tokenizer.vectors_of(each.encode(images))
        wanted = np.concatenate([np.reshape(x, (4, -1)) for x in maps], axis=1)
        np.testing.assert_array_equal(probed(each, images), wanted)


# A prior of both maps


def test_codes_that_are_kept_are_those_of_the_prior(prior, tmp_path):
    images = images_of(prior, 5)
    for _ in range(2):  # computed, and read again
        split = code_split(prior, ArraySplit(images, LABELS), "x", tmp_path, lambda text: None)
        codes, labels = next(iter(split.eval_batches(5)))
        assert codes.dtype == np.uint8
        np.testing.assert_array_equal(codes, prior.encode(images))
        np.testing.assert_array_equal(labels, LABELS)


def test_images_are_drawn_given_codes_of_both_maps(prior):
    request = request_of(8, condition=tf.constant(np.arange(8) % 3))
    codes = prior.draw_codes(request).numpy()
    assert codes.shape == (8, 1, 2, 5) and len(np.unique(codes[..., 0])) > 1
    for jit in (False, True):
        most_probable, images = prior.sample_stages(8, np.arange(8) % 3, seed=5, jit=jit)
        np.testing.assert_array_equal(most_probable, prior.decode(codes))
        given = prior.tokenizer.sample_stages(stage=codes, seed=5, jit=False)[-1]
        np.testing.assert_array_equal(images, given)


def request_of(num, condition=None, given=None, known=None):
    seeds = tf.range(num)
    return Request(num, condition, tf.constant(5, tf.int64), UNCHANGED, given, known, seeds)


def test_a_code_is_kept_if_all_pixels_below_it_are_known(prior):
    images, random = images_of(prior, 5), np.random.default_rng(0)
    known = np.repeat(np.repeat(random.random((5, 2, 4, 1)) < 0.6, 2, 1), 2, 2)
    known[0] = True
    known[0, 0, 7] = False  # one pixel
    found = prior.tokenizer.known_codes(np.broadcast_to(known, images.shape)).numpy()
    top, bottom = unpack_codes(found)
    for i, row, column in itertools.product(range(5), range(2), range(4)):
        square = known[i, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        assert bottom[i, row, column] == square.all()
        assert top[i, 0, column // 2] == known[i, :, 4 * (column // 2) :][:, :4].all()
    assert top.any() and not top[0, 0, 1] and top[0, 0, 0]
    given, mask = prior.image_spec.check_completion(images, known, 5)
    codes = prior.draw_codes(request_of(5, tf.constant(LABELS), given, mask)).numpy()
    wanted = prior.encode(images).numpy()
    np.testing.assert_array_equal(codes[found], wanted[found])
    assert (codes[~found] != wanted[~found]).any()
    drawn = prior.sample(condition=LABELS, given=images, known=known, seed=5, jit=False).numpy()
    whole = np.broadcast_to(known, images.shape)
    np.testing.assert_array_equal(drawn[whole], images[whole])


def test_a_keras_file_and_an_export_are_the_same_model(tmp_path):
    model = vq_prior(dtype="float32", **LABEL)
    images = images_of(model, 5)
    wanted = model.log_prob_terms(images, LABELS)
    how = {"condition": LABELS, "seed": 4}
    drawn = model.sample(**how, jit=False)
    model.save(tmp_path / "model.keras")
    again = gpc.load(tmp_path / "model.keras")
    assert again.fingerprint() == model.fingerprint()
    np.testing.assert_array_equal(again.log_prob_terms(images, LABELS), wanted)
    served = gpc.load_saved_model(gpc.export(again, tmp_path / "export"))
    np.testing.assert_allclose(served.log_prob_terms(images, LABELS), wanted, rtol=1e-5)
    np.testing.assert_array_equal(served.sample(**how), drawn)
    known = np.arange(8)[:, None] < 4
    completed = model.sample(**how, given=images, known=known, jit=False)
    np.testing.assert_array_equal(served.sample(**how, given=images, known=known), completed)


# Arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_shape": (4, 6, 3)}, "images of 4x6 .* cannot be halved 2 times"),
        ({"maps": 0}, "maps must be from 1 to 2, got 0"),
        ({"maps": 3}, "maps must be from 1 to 2, got 3"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        vq_vae(**arguments)


def test_codes_that_do_not_fit_are_refused(model):
    with pytest.raises(ValueError, match=r"shape \['N', 1, 2, 5\] .*got \[1, 2, 4\]"):
        model.decode(np.zeros((1, 2, 4), int))


def test_a_prior_of_one_map_is_refused_with_advice():
    with pytest.raises(ValueError, match=r"prior \(of two maps of codes, as vq_prior2 has it\): "):
        vq_prior(prior={"family": "gated_pixelcnn", "features": 6})


def test_a_hierarchy_is_trained_whole():
    part = FAMILIES["vq_prior-two-maps"].arguments["prior"]
    with pytest.raises(ValueError, match="train_only of a prior of codes must be ''"):
        vq_prior(prior=part | {"train_only": "prior"})
