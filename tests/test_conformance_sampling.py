"""What every family must hold when images are drawn from it, and after it was saved."""

import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from conformance import (
    CASES,
    FEWER,
    bounds,
    build,
    cases,
    completing,
    computed,
    condition_of,
    density,
    exact,
    is_colour,
    is_of_the_first_family,
    is_one_of_a_main_family,
    is_quick,
    of_families,
    reloaded,
    shared_model,
    tiny_model,
    with_whole_rows,
)
from families import MAIN, images_of

import gated_pixelcnn as gpc
from gated_pixelcnn import sampling

NUM = 12  # images: enough for a small error in what is fed back to change one of their values


# 4: cached = naive


@cases(exact(CASES), is_quick)
def test_incremental_parameters_equal_those_of_the_parallel_pass(case):
    model = build(case, dtype="float64")
    images, condition = images_of(model, 2), condition_of(model, 2)
    expected = model(images, condition)
    decoder = model.cached_decoder(2, model.map_condition(condition))
    seen = model.network_input(images)
    height, width, _ = model.image_shape
    state, finished = decoder.first_rows(), tf.zeros_like(seen[:, 0])
    row_cache = decoder.first_row_cache()
    for row in range(height):
        state, context = decoder.row(state, finished, row_cache, row)
        finished, context = seen[:, row], decoder.by_pixels(context)
        pixels = decoder.first_pixels(2)
        for column in range(width):
            found = []

            def draw(colour, raw, here=images[:, row, column], found=found):
                found.append(model.raw_parameters(raw, colour))
                here = here[:, colour : colour + 1] if model.colours > 1 else here
                return model.network_input(here, colour)

            pixels = decoder.pixel(pixels, context, column, draw)
            found = tf.stack(found, axis=1) if model.colours > 1 else found[0]
            wanted = expected[:, row, column]
            np.testing.assert_allclose(found, tf.reshape(wanted, found.shape), atol=1e-10)
        row_cache = decoder.row_cache(pixels)


@cases(with_whole_rows(exact(CASES)), is_quick)
def test_parameters_of_whole_rows_equal_those_of_the_parallel_pass(case):
    model = build(case, dtype="float64")
    images, condition = images_of(model, 2), condition_of(model, 2)
    expected = model(images, condition).numpy()
    decoder = model.cached_decoder(2, model.map_condition(condition))
    seen = model.network_input(images)
    state, finished = decoder.first_rows(), tf.zeros_like(seen[:, 0])
    row_cache = decoder.first_row_cache()
    for row in range(model.image_shape[0]):
        state, context = decoder.row(state, finished, row_cache, row)
        finished = seen[:, row]
        outputs, row_cache = decoder.whole_row(context, finished[:, tf.newaxis])
        found = model.likelihood.parameters(model.raw_parameters(outputs))[:, 0]
        np.testing.assert_allclose(found, expected[:, row], atol=1e-10)


@cases(with_whole_rows(exact(FEWER)), is_colour)
def test_rows_at_once_draw_the_same_images(case):
    check_against_naive(case, jit=False, method="rows")


@cases(exact(FEWER), is_colour)
def test_all_pixels_at_once_draw_the_same_images(case):
    check_against_naive(case, jit=False, method="image")


@cases(exact(CASES), is_one_of_a_main_family)
def test_fast_and_naive_sampling_draw_the_same_images(case):
    check_against_naive(case, jit=False)


# The families whose graphs are least like the others'.
@cases(exact(FEWER), lambda case: is_colour(case) and case[0] in ("diagonal_bilstm", "pixelcnn_pp"))
def test_fast_sampling_with_xla_draws_the_same_images(case):
    check_against_naive(case, jit=True)


def check_against_naive(case, **how):
    """Fails where one forward pass per value draws other images from the same noise."""
    model = shared_model(case)
    fast = model.sample(NUM, condition_of(model, NUM), seed=3, **how)
    np.testing.assert_array_equal(fast, drawn_naively(case))


@functools.cache
def drawn_naively(case):
    """Images that one forward pass per value draws."""
    model = shared_model(case)
    noise = sampling.noise(3, tf.range(NUM), model)
    naive = tf.function(sampling.sample_naively, autograph=False)
    return naive(model, noise, condition_of(model, NUM)).numpy()


@cases(density(FEWER), is_one_of_a_main_family)
def test_samples_depend_on_the_seed_and_not_on_the_batch(case):
    model = shared_model(case)
    condition, half = condition_of(model, NUM), NUM // 2
    how = {"temperature": 5.0, "jit": False}  # all values are likely
    whole = model.sample(NUM, condition, seed=7, **how).numpy()
    first, second = (None, None) if condition is None else np.split(condition, 2)
    cut = [
        model.sample(half, first, seed=7, example_seeds=list(range(half)), **how),
        model.sample(half, second, seed=7, example_seeds=half, **how),
    ]
    np.testing.assert_array_equal(np.concatenate(cut), whole)
    assert not np.array_equal(model.sample(NUM, condition, seed=8, **how), whole)
    alike = None if condition is None else np.repeat(condition[:1], NUM, axis=0)
    drawn = model.sample(NUM, alike, seed=7, **how).numpy()
    assert not np.array_equal(drawn[0], drawn[1])


@cases(completing(FEWER), is_one_of_a_main_family)
def test_completion_keeps_known_values_and_draws_the_others(case):
    model = shared_model(case)
    given, condition = images_of(model, NUM, seed=5), condition_of(model, NUM)
    free = model.sample(NUM, condition, seed=9, jit=False)
    known = np.random.default_rng(0).random(given.shape) < 0.5
    arguments = {"condition": condition, "given": given, "seed": 9, "jit": False}
    completed = model.sample(known=known, **arguments).numpy()
    np.testing.assert_array_equal(completed[known], given[known])
    assert not np.array_equal(completed[~known], given[~known])
    nothing = model.sample(known=np.zeros_like(known), **arguments)
    np.testing.assert_array_equal(nothing, free)


@cases(bounds(FEWER), is_one_of_a_main_family)
def test_a_bound_refuses_single_values_and_to_complete_what_is_drawn_in_stages(case):
    model = shared_model(case)
    condition = condition_of(model, 1)
    if not model.completes:
        with pytest.raises(ValueError, match="cannot complete"):
            model.sample(condition=condition, given=images_of(model, 1), known=np.array(True))
    with pytest.raises(ValueError, match="lower bound: single values"):
        model.value_log_prob(images_of(model, 1), condition)


# 6: round trips


@cases(CASES, is_one_of_a_main_family)
def test_a_saved_model_gives_the_same_probabilities(case, tmp_path):
    model = shared_model(case)
    images, condition = images_of(model, 4), condition_of(model, 4)
    wanted = computed(model, images, condition)
    for other in (reloaded(model, tmp_path), gpc.load(tmp_path / "model.keras")):
        np.testing.assert_array_equal(computed(other, images, condition), wanted)


@cases(
    density(FEWER),
    lambda case: is_one_of_a_main_family(case) and case[0] in (MAIN[0], "vae", "agave"),
)
def test_a_saved_model_draws_the_same_images(case, tmp_path):
    model = shared_model(case)
    arguments = {"num": NUM, "condition": condition_of(model, NUM), "seed": 2, "jit": False}
    found = reloaded(model, tmp_path).sample(**arguments)
    np.testing.assert_array_equal(found, model.sample(**arguments))


@cases(
    [case for case in exact(FEWER) if is_one_of_a_main_family(case) or "attention" in case[0]],
    is_of_the_first_family,
)
def test_an_exported_model_is_the_same_model_at_any_batch_size(case, tmp_path):
    model = build(case)  # not shared: graphs that others traced would be saved, too
    condition = condition_of(model, 4)
    specs = [tf.TensorSpec((None, *model.image_shape), tf.uint8, name="images")]
    if condition is not None:
        types = {"label": tf.int32, "image": tf.uint8}
        condition = tf.cast(condition, types.get(model.condition_kind, tf.float32))
        specs.append(tf.TensorSpec((None, *condition.shape[1:]), condition.dtype, name="condition"))

    def sample(images, condition=None):
        noise = sampling.noise(2, tf.range(tf.shape(images)[0]), model)
        return sampling.sample(model, noise, condition)

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("log_prob", model.value_log_prob_of, input_signature=specs)
    archive.add_endpoint("sample", sample, input_signature=specs)
    archive.write_out(tmp_path / "export", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "export")
    drawn = model.sample(4, condition, seed=2, jit=False)
    for num in (4, 3):
        images = images_of(model, num)
        arguments = (images,) if condition is None else (images, condition[:num])
        np.testing.assert_allclose(
            loaded.log_prob(*arguments), model.value_log_prob(*arguments), atol=1e-5
        )
        np.testing.assert_array_equal(loaded.sample(*arguments), drawn[:num])


# 10: the distribution of samples


KINDS = (
    ((1, 2, 1), 3, "categorical"),
    ((2, 2, 1), 2, "bernoulli"),
    ((1, 1, 3), 2, "categorical"),
    ((1, 1, 3), 2, "independent"),
    ((1, 1, 3), 3, "mixture"),
    ((2, 2, 1), 3, "mixture"),
    ((2, 1, 1), 3, "logistic"),
)


@of_families(*KINDS)
def test_samples_follow_the_models_own_distribution(family, shape, levels, likelihood):
    model = tiny_model(family, shape, levels, likelihood)
    check_distribution(model, all_images(shape, levels))


@of_families(*KINDS)
def test_completions_follow_the_distribution_given_what_is_known(family, shape, levels, likelihood):
    model = tiny_model(family, shape, levels, likelihood)
    first = np.zeros(shape, bool)
    first.flat[0] = True
    given = np.full((1, *shape), levels - 1, np.uint8)
    images = all_images(shape, levels)
    check_distribution(model, images[images[:, 0] == levels - 1], given=given, known=first)


def all_images(shape, levels):
    """All images that there are, flat."""
    return np.array(list(itertools.product(range(levels), repeat=int(np.prod(shape)))), np.uint8)


def check_distribution(model, possible, **arguments):
    """Fails where samples are not distributed as the images of which they must be one."""
    num, size = 20_000, model.levels ** possible.shape[1]
    places = [model.levels] * possible.shape[1]
    log_prob = model.log_prob(possible.reshape(-1, *model.image_shape)).numpy()
    probability = np.zeros(size)
    probability[np.ravel_multi_index(possible.T, places)] = np.exp(log_prob.astype(np.float64))
    probability /= probability.sum()
    drawn = model.sample(num, seed=11, jit=False, **arguments).numpy().reshape(num, -1)
    counts = np.bincount(np.ravel_multi_index(drawn.T, places), minlength=size)
    assert counts[probability == 0].sum() == 0
    rare = probability * num < 5
    expected = np.append(probability[~rare], probability[rare].sum()) * num
    observed = np.append(counts[~rare], counts[rare].sum())
    kept = expected > 0
    statistic = np.sum((observed - expected)[kept] ** 2 / expected[kept])
    freedom = kept.sum() - 1
    # The chi-square distribution has mean k and variance 2k; this is beyond its 99.99 % quantile.
    assert statistic < freedom + 4.5 * np.sqrt(2 * freedom) + 8
