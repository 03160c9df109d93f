"""The quantizer against NumPy: nearest codes, straight-through gradient, averages, restarts."""

import numpy as np
import pytest
import tensorflow as tf

from gated_pixelcnn.layers import VectorQuantizer
from gated_pixelcnn.layers.vector_quantizer import EPSILON

CODES, FEATURES = 7, 3


def build(decay=0.9, restart_below=0.0, codes=CODES):
    layer = VectorQuantizer(codes, FEATURES, decay, restart_below, dtype="float64")
    layer.build((None, FEATURES))
    layer.codebook.assign(np.random.default_rng(0).normal(size=(codes, FEATURES)))
    return layer


def vectors(num=40, seed=1):
    return np.random.default_rng(seed).normal(size=(num, FEATURES))


def nearest(z, codebook):
    return np.square(z[:, None] - codebook).sum(axis=-1).argmin(axis=1)


def step(layer, z, number=0, parts=1):
    """A step of the averages, of a batch in equal parts."""
    share = len(z) // parts
    sums = []
    for first in range(0, len(z), share):
        part = tf.constant(z[first : first + share])
        sums.append(layer.batch_sums(part, layer.nearest(part), number, first, len(z)))
    layer.update([tf.add_n(x) for x in zip(*sums, strict=True)])


def state(layer):
    return [weight.numpy() for weight in (layer.codebook, layer.counts, layer.sums)]


def test_every_vector_becomes_the_nearest_entry():
    layer, z = build(), vectors(24).reshape(2, 3, 4, FEATURES)
    found, codes = layer(z)
    wanted = nearest(z.reshape(-1, FEATURES), layer.codebook.numpy()).reshape(2, 3, 4)
    np.testing.assert_array_equal(codes, wanted)
    assert codes.dtype == tf.int32 and len(np.unique(codes)) > 3
    np.testing.assert_allclose(found, layer.codebook.numpy()[wanted], rtol=1e-12)
    np.testing.assert_array_equal(layer.look_up(codes), layer.codebook.numpy()[wanted])


def test_of_entries_that_are_alike_the_first_is_taken():
    layer = build()
    layer.codebook.assign(np.ones((CODES, FEATURES)))
    np.testing.assert_array_equal(layer.nearest(vectors(5)), np.zeros(5))


def test_the_gradient_goes_straight_through_to_the_vectors_and_not_to_the_codebook():
    layer, z = build(), tf.constant(vectors(6))
    weights = tf.constant(vectors(6, seed=2))
    codebook = layer.codebook.value
    with tf.GradientTape() as tape:
        tape.watch([z, codebook])
        loss = tf.reduce_sum(weights * layer(z)[0] ** 2)
    of_z, of_codebook = tape.gradient(loss, [z, codebook])
    np.testing.assert_allclose(of_z, 2 * weights * layer(z)[0], rtol=1e-9)
    assert of_codebook is None
    assert layer.trainable_weights == []


def test_the_averages_are_those_of_the_paper():
    layer = build(decay=0.9)
    counts, sums = np.zeros(CODES), np.zeros((CODES, FEATURES))
    codebook = layer.codebook.numpy()
    for number in range(4):
        z = vectors(seed=number)
        hits = np.eye(CODES)[nearest(z, codebook)]
        counts = 0.9 * counts + 0.1 * hits.sum(axis=0)
        sums = 0.9 * sums + 0.1 * hits.T @ z
        smoothed = (counts + EPSILON) / (counts.sum() + CODES * EPSILON) * counts.sum()
        codebook = np.where(counts[:, None] > 0, sums / smoothed[:, None], codebook)
        step(layer, z, number)
        for found, wanted in zip(state(layer), (codebook, counts, sums), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_without_decay_an_entry_is_the_mean_of_its_vectors():
    layer, z = build(decay=0.0), vectors()
    before = layer.codebook.numpy()
    codes = nearest(z, before)
    step(layer, z)
    for code in range(CODES):
        own = z[codes == code]
        wanted = own.mean(axis=0) if len(own) else before[code]
        np.testing.assert_allclose(layer.codebook.numpy()[code], wanted, rtol=1e-4)


def test_an_entry_that_no_vector_ever_had_stays():
    layer = build()
    far = layer.codebook.numpy()
    far[2] = 1e3
    layer.codebook.assign(far)
    step(layer, vectors())
    np.testing.assert_array_equal(layer.codebook.numpy()[2], far[2])


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_parts_of_a_batch_move_the_codebook_as_the_whole_does(parts):
    whole, cut = (build(restart_below=0.3, codes=9) for _ in range(2))
    for number in range(3):
        step(whole, vectors(48, number), number)
        step(cut, vectors(48, number), number, parts)
    for found, wanted in zip(state(cut), state(whole), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_the_first_batch_places_the_codes_that_are_not_used_by_it():
    layer, z = build(restart_below=0.1), vectors()
    layer.codebook.assign(np.full((CODES, FEATURES), 1e3))  # all vectors have the code 0
    step(layer, z)
    codebook, counts, _ = state(layer)
    np.testing.assert_allclose(codebook[0], z.mean(axis=0), rtol=1e-3)
    distances = np.square(codebook[1:, None] - z).sum(axis=-1)
    assert distances.min(axis=1).max() < 1e-6, "of the batch"
    assert len(set(distances.argmin(axis=1))) == CODES - 1, "another one each"
    np.testing.assert_allclose(counts[1:], len(z) / CODES)


def test_a_code_dies_where_its_share_falls_below_the_limit_and_then_begins_anew():
    layer = build(decay=0.5, restart_below=0.2)
    z = vectors()
    share = len(z) / CODES
    layer.counts.assign(np.full(CODES, share))
    layer.sums.assign(share * layer.codebook.numpy())
    far = layer.codebook.numpy()
    far[3] = 1e3  # unused from now on: N = share / 2, share / 4, share / 8 < 0.2 share
    layer.codebook.assign(far)
    sums = layer.sums.numpy()
    sums[3] = share * 1e3
    layer.sums.assign(sums)
    for number, alive in enumerate((True, True, False)):
        step(layer, z, number)
        codebook, counts, _ = state(layer)
        assert (codebook[3].min() > 900) == alive, number
    assert counts[3] == pytest.approx(share)
    assert np.square(codebook[3] - z).sum(axis=-1).min() < 1e-6


def test_where_codes_begin_anew_depends_on_the_step_and_nothing_else():
    places = [build(restart_below=0.1)._restarts(number, 40).numpy() for number in (0, 0, 1)]
    np.testing.assert_array_equal(places[0], places[1])
    assert (places[0] != places[2]).any()
    for total in (3, CODES, 40, 1000):
        found = build()._restarts(5, total).numpy()
        assert found.min() >= 0 and found.max() < total
        assert len(set(found)) == min(total, CODES)


def test_every_vector_of_a_batch_may_be_where_a_code_begins_anew():
    found = [build()._restarts(number, 16).numpy() for number in range(60)]
    assert set(np.concatenate(found)) == set(range(16))


def test_an_update_that_is_called_off_changes_nothing():
    layer = build(restart_below=0.1)
    before, z = state(layer), tf.constant(vectors())
    layer.update(layer.batch_sums(z, layer.nearest(z), 0, 0, 40), when=tf.constant(False))
    for found, wanted in zip(state(layer), before, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"codes": 1}, "codes must be 2…65536, got 1|codes must be .*got 1"),
        ({"codes": 2**16 + 1}, "codes must be .*got 65537"),
        ({"features": 0}, "code_features must be at least 1, got 0"),
        ({"decay": 1.0}, "decay must be at least 0 and below 1, got 1.0"),
        ({"decay": float("nan")}, "decay must be at least 0 and below 1, got nan"),
        ({"restart_below": -0.1}, "restart_below must be at least 0 and below 1, got -0.1"),
    ],
)
def test_arguments_out_of_their_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        VectorQuantizer(**{"codes": 4, "features": 2} | arguments)
