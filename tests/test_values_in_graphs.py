"""Values out of range are refused wherever images and labels go in, also where a graph runs."""

import numpy as np
import pytest
import tensorflow as tf
from families import MAIN, batch_of, build, images_of

from gated_pixelcnn.configs.training import TrainConfig
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.models.density_model import DensityModel
from gated_pixelcnn.training.state import TrainState

# In a graph it is TensorFlow's error, with the same words.
REFUSED = (ValueError, tf.errors.InvalidArgumentError)


def with_one(images, value, dtype):
    """The images with one value that is out of range."""
    images = images.astype(dtype)
    images[-1, 0, 0, 0] = value
    return images


def graph(function):
    """A graph for images of any number: their values are not known when it is traced."""
    return tf.function(function, autograph=False, reduce_retracing=True)


@pytest.mark.parametrize("family", MAIN)
def test_graphs_refuse_images_out_of_range_before_a_cast_could_hide_it(family):
    model = build(family)
    images, *labels = batch_of(model)
    entries = [lambda x: model(x), lambda x: model.training_loss(x, *labels or [None], True)]
    if isinstance(model, DensityModel):
        entries.append(model.log_prob)
    for entry in entries:
        run = graph(entry)
        run(tf.constant(images, tf.int32))
        for value in (8, 256, 300, -1, -255):  # some of them are in range as bytes
            wrong = with_one(images, value, np.int32)
            with pytest.raises(REFUSED, match=f"0…7 .*got.* .?{value}"):
                run(tf.constant(wrong))
            with pytest.raises(ValueError, match=f"0…7 .*got.*{value}"):
                entry(wrong)


@pytest.mark.parametrize("family", ["gated_pixelcnn", "mse_autoencoder", "vae"])
def test_keras_fit_evaluate_and_predict_refuse_images_out_of_range(family):
    model = build(family)
    images, *labels = batch_of(model)
    model.compile("adam")
    model.fit(images, *labels, verbose=0)
    before = model.get_weights()
    wrong = with_one(images, 255, np.uint8)
    for call in (
        lambda: model.fit(wrong, *labels, verbose=0),
        lambda: model.evaluate(wrong, *labels, verbose=0),
        lambda: model.predict(wrong, verbose=0),
    ):
        with pytest.raises(REFUSED, match="images must have values 0…7.*got.*255"):
            call()
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("levels", "likelihood"),
    [(2, "bernoulli"), (8, "categorical"), (8, "logistic"), (8, "mixture"), (256, "categorical")],
)
def test_every_likelihood_refuses_images_out_of_range(levels, likelihood):
    model = build(levels=levels, likelihood=likelihood)
    run = graph(model)
    wrong = with_one(images_of(model), levels, np.int32)
    with pytest.raises(REFUSED, match=f"0…{levels - 1} for a model of {levels} levels, got.*"):
        run(tf.constant(wrong))


@pytest.mark.parametrize("images", [np.zeros((2, 4, 4, 1)), np.full((2, 4, 4, 1), 0.5, np.float32)])
def test_images_are_integers_whatever_the_values(images):
    model = build()
    for call in (model, model.log_prob, graph(model), graph(model.log_prob)):
        with pytest.raises(ValueError, match="images must be integers 0…7"):
            call(images)


def test_a_step_compiled_by_xla_refuses_what_is_out_of_range():
    model = build(condition="label", condition_size=3)
    model.build()
    settings = TrainConfig(batch_size=6, jit="on", accumulation=2)
    state = TrainState(model, settings, 0, tf.distribute.get_strategy())
    images, labels = batch_of(model)
    state.make_step((images, labels))
    before = model.get_weights()
    with pytest.raises(UserError, match="step 2: images must have values 0…7.* got 0 to 8"):
        state.make_step((with_one(images, 8, np.uint8), labels))
    with pytest.raises(UserError, match="step 2: labels must be 0…2.* got 0 to 3"):
        state.make_step((images, np.where(labels == 2, 3, labels)))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    state.make_step((images, labels))


def test_keras_fit_compiled_by_xla_refuses_what_is_out_of_range():
    model = build(condition="label", condition_size=3)
    model.compile("adam", jit_compile=True)
    images, labels = batch_of(model)
    model.fit(images, labels, verbose=0)
    with pytest.raises(REFUSED, match="images must have values"):
        model.fit(with_one(images, 8, np.uint8), labels, verbose=0)
    with pytest.raises(REFUSED, match="labels must be 0…2"):
        model.fit(images, labels + 1, verbose=0)


@pytest.mark.parametrize("method", ["log_prob", "log_prob_terms", "value_log_prob"])
def test_nats_of_what_is_out_of_range_are_nan_where_xla_drops_the_checks(method):
    model = build(condition="label", condition_size=3)
    images, labels = batch_of(model)
    images = images.astype(np.int32)
    nats = tf.function(getattr(model, method), jit_compile=True, autograph=False)
    expected = getattr(model, method)(images, labels)
    np.testing.assert_allclose(nats(tf.constant(images), tf.constant(labels)), expected, rtol=1e-4)
    for value in (8, 300, -1):
        wrong = tf.constant(with_one(images, value, np.int32))
        assert np.isnan(nats(wrong, tf.constant(labels))).all()
    assert np.isnan(nats(tf.constant(images), tf.constant(labels + 1))).all()


def test_conditions_that_are_not_finite_are_refused_in_graphs():
    model = build(condition="label", condition_size=3)
    images = images_of(model)
    weights = np.full((len(images), 3), 1 / 3, np.float32)
    model.compile("adam")
    model.fit(images, weights, verbose=0)
    weights[-1, 0] = np.nan
    with pytest.raises(REFUSED, match="the label condition has values not finite"):
        model.fit(images, weights, verbose=0)


def test_labels_of_another_rank_than_in_the_fit_before_are_one_sentence():
    model = build(condition="label", condition_size=3)
    images, labels = batch_of(model)
    model.compile("adam")
    model.fit(images, labels, verbose=0)
    model.fit(images, np.eye(3, dtype=np.float32)[labels], verbose=0)  # weights of classes
    with pytest.raises(ValueError, match="another number of axes .*: compile the model again"):
        model.fit(images, labels[:, None], verbose=0)
    model.compile("adam")
    with pytest.raises(ValueError, match="the label condition must be integers of shape"):
        model.fit(images, labels[:, None], verbose=0)


def test_codes_are_of_images_in_range():
    model = build(condition="image", code_size=2, encoder_features=3)
    model.build()
    for encode in (model.encode, build("mse_autoencoder").encode, build("vae").encode_latents):
        with pytest.raises(ValueError, match="images must have values 0…7"):
            encode(with_one(images_of(model), 8, np.uint8))
    with pytest.raises(ValueError, match="this model has no encoder"):
        build().encode(images_of(model))
