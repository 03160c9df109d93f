"""Categorical values: embeddings, softmaxes of inner products, and that nothing knows an order."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from families import CODES, build, images_of, randomise

import gated_pixelcnn as gpc
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.layers import Categories, categories
from gated_pixelcnn.training import memory


def layer(levels=7, channels=2, size=3, **arguments):
    made = Categories(levels, channels, size, **arguments)
    made.build()
    made.bias.assign(np.random.default_rng(0).normal(size=made.bias.shape))
    return made


def test_every_category_of_every_channel_enters_by_a_vector_of_its_own():
    made = layer()
    values = np.array([[0, 6], [3, 3]])
    table = made.table.numpy()
    wanted = [np.concatenate([table[0, a], table[1, b]]) for a, b in values]
    np.testing.assert_array_equal(made(values), wanted)
    np.testing.assert_array_equal(made(values[:, 1:], channel=1), np.stack(wanted)[:, 3:])


@pytest.mark.parametrize("tied", [False, True])
def test_logits_are_inner_products_with_the_vectors_of_the_outputs(tied):
    made = layer(tied=tied)
    y = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    table = (made.table if tied else made.output_table).numpy()
    bias = made.bias.numpy()
    parts = [y[:, 3 * c : 3 * c + 3] @ table[c].T + bias[c] for c in range(2)]
    np.testing.assert_allclose(made.logits(y), np.concatenate(parts, axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(made.logits(y[:, 3:], channel=1), parts[1], rtol=1e-5, atol=1e-6)
    assert len(made.weights) == (2 if tied else 3)


@pytest.mark.parametrize("part", [7, 28, 10**6])  # a row at a time, four of ten, all
@pytest.mark.parametrize("jit", [False, True])
def test_log_probabilities_in_parts_are_those_of_all_logits_and_so_are_their_gradients(
    monkeypatch, part, jit
):
    monkeypatch.setattr(categories, "_PART", part)
    made, random = layer(), np.random.default_rng(2)
    y = tf.constant(random.normal(size=(2, 5, 6)).astype(np.float32))
    values = tf.constant(random.integers(0, 7, (2, 5, 2)))
    weights = tf.constant(random.normal(size=(2, 5, 2)).astype(np.float32))
    sources = [y, *(weight.value for weight in made.trainable_weights)]

    def whole(y, values):
        logits = tf.reshape(made.logits(y), (2, 5, 2, 7))
        return tf.gather(tf.nn.log_softmax(logits), values, axis=-1, batch_dims=3)

    @tf.function(jit_compile=jit)
    def of(function):
        with tf.GradientTape() as tape:
            tape.watch(y)
            nats = function(y, values)
            total = tf.reduce_sum(nats * weights)
        return nats, [tf.convert_to_tensor(g) for g in tape.gradient(total, sources)]

    # The embedding is not among what the outputs depend on.
    sources.pop(1)
    nats, gradients = of(made.log_prob)
    wanted, wanted_gradients = of(whole)
    np.testing.assert_allclose(nats, wanted, rtol=1e-5, atol=1e-6)
    for found, right in zip(gradients, wanted_gradients, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", ["gated_pixelcnn", "row_lstm", "pixelcnn_pp"])
@pytest.mark.parametrize("tied", [False, True])
def test_renumbered_categories_give_the_same_model(family, tied):
    model = build(family, likelihood="categorical", tied=tied, **CODES)
    model.build()
    randomise(model, 0)
    images, order = images_of(model), np.random.default_rng(0).permutation(model.levels)
    other = build(family, likelihood="categorical", tied=tied, **CODES)
    other.build()
    other.set_weights(model.get_weights())
    for weight in other.categories.weights:  # row order[k] of the one is row k of the other
        weight.assign(weight.numpy()[:, np.argsort(order)])
    np.testing.assert_allclose(other.log_prob(order[images]), model.log_prob(images), rtol=1e-5)


def test_ordered_values_are_not_given_vectors():
    model = build()
    assert model.categories is None and model.input_features == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": "nominal"}, "values must be 'ordered' or 'categorical', got 'nominal'"),
        ({"values": "categorical", "likelihood": "logistic"}, "needs likelihood='categorical' or"),
        ({"values": "categorical", "embedding_size": 0}, "embedding_size must be at least 1"),
        ({"tied": True}, "tied needs values='categorical'"),
        ({**CODES, "condition": "image", "code_size": 2}, "'image' needs values='ordered'"),
        ({"levels": 65_537}, "levels must be from 2 to 65536, got 65537"),
        ({"levels": (10, 4)}, "levels must be an integer"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**arguments)


@pytest.mark.parametrize("codes", [[[-1]], [[5000]], [[0.5]], [[1.0]]])
def test_what_is_no_code_is_refused(codes):
    model = build(levels=5000, image_shape=(1, 1, 1), **CODES)
    with pytest.raises(ValueError, match="0…4999"):
        model.log_prob(np.reshape(codes, (1, 1, 1, 1)))


def test_codes_of_any_integer_type_are_the_same_codes():
    model = build(levels=300, **CODES)
    images = images_of(model)
    assert images.dtype == np.uint16
    wanted = model.log_prob(images).numpy()
    for dtype in (np.int32, np.int64, np.uint32):
        np.testing.assert_array_equal(model.log_prob(images.astype(dtype)), wanted)
    assert model.sample(2).dtype == tf.uint16 and build(**CODES).sample(2).dtype == tf.uint8


def test_completion_keeps_codes_above_255(tmp_path):
    model = build(levels=300, **CODES)
    given = np.full((1, 4, 4, 1), 299)
    drawn = model.sample(3, given=given, known=np.arange(4)[:, None, None] < 2).numpy()
    assert (drawn[:, :2] == 299).all() and not (drawn[:, 2:] == 299).all()


def test_a_keras_file_keeps_the_kind_of_values(tmp_path):
    model = build(levels=300, tied=True, **CODES)
    images = images_of(model)
    wanted = model.log_prob(images)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.image_spec == model.image_spec
    np.testing.assert_allclose(again.log_prob(images), wanted, rtol=1e-6)


def test_logits_that_need_more_memory_than_there_is_are_refused_with_figures():
    model = build(image_shape=(32, 32, 1), levels=8192)
    memory.check(model, 16, available=10**10)
    message = r"16 images of 32x32x1 values with 8192 levels need 1.61 GB .* has 1 GB"
    with pytest.raises(UserError, match=message):
        memory.check(model, 16, available=10**9)
    in_parts = build(image_shape=(32, 32, 1), levels=8192, values="categorical")
    memory.check(in_parts, 16, available=10**9)
    with pytest.raises(UserError, match=r"raise train\.accumulation$"):
        memory.check(in_parts, 16, available=10**6)


def test_the_spec_tells_how_values_are_stored_and_shown():
    spec = gpc.ImageSpec((2, 2, 1), 257, "categorical")
    assert spec.dtype == tf.uint16 and spec.is_categorical
    assert gpc.ImageSpec((2, 2, 1), 256).dtype == tf.uint8
