"""The contract of a model beside its mathematics: arguments, what does not fit, Keras' own ways."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import gated_pixelcnn as gpc
from gated_pixelcnn import sampling
from gated_pixelcnn.layers import GatedBlock
from gated_pixelcnn.models.families.gated_pixelcnn import GatedPixelCNN
from gated_pixelcnn.models.registry import FAMILIES
from gated_pixelcnn.runs.keras_file import record_of
from gated_pixelcnn.spec import ImageSpec


def randomise(model, seed=0):
    random = np.random.default_rng(seed)
    for weight in model.trainable_variables:
        weight.assign(random.normal(size=weight.shape) * 0.5)


def labelled():
    """A small model of 4×4 images with 4 levels and 3 classes."""
    model = GatedPixelCNN((4, 4, 1), 4, features=8, layers=2, condition="label", condition_size=3)
    model.build()
    return model


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": 10}, "multiple of the 3 colour groups.*got 10"),
        ({"head_features": 1024}, "multiple of the 3 colour groups.*got 1024.*1023"),
        ({"kernel_size": 4}, "odd.*got 4"),
        ({"layers": 0}, "at least 1, got 0"),
        ({"gate": "elu"}, "gate must be one of tanh_sigmoid, relu, got 'elu'"),
        ({"stacks": 3}, "stacks must be 1 or 2, got 3"),
        ({"stacks": 1, "vertical_residual": True}, "vertical_residual=True needs a vertical stack"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
        ({"stacks": 1, "kernel_size": 1}, "kernel_size must be odd and at least 3, got 1"),
        ({"likelihood": "softmax"}, "softmax"),
        ({"levels": 65537}, "65537"),
        ({"condition": "text", "condition_size": 1}, "text"),
        ({"condition": "label"}, "number of classes.*got 0"),
        ({"condition_size": 3}, "need.*condition"),
        ({"image_shape": (5, 4)}, "height, width, channels"),
        (
            {"condition": "label", "condition_size": 3, "spatial_features": -4},
            "spatial_features must be 0 or more, got -4",
        ),
    ],
)
def test_arguments_out_of_range_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        GatedPixelCNN(**{"image_shape": (5, 4, 3), "features": 12, "layers": 2, **arguments})


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 4, 5, 3), np.uint8), r"shape \[N, 5, 4, 3\].*got \[2, 4, 5, 3\]"),
        (np.zeros((2, 5, 4, 3), np.float32), "integers 0…3 .* not float32"),
        (np.full((2, 5, 4, 3), 4, np.uint8), "values 0…3 .* got 4…4"),
        (np.full((2, 5, 4, 3), -1), "values 0…3 .* got -1"),
    ],
)
def test_images_that_do_not_fit_are_refused(images, message):
    model = GatedPixelCNN((5, 4, 3), 4, features=6, layers=2)
    model.build()
    with pytest.raises(ValueError, match=message):
        model.log_prob(images)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "num, the number of images to sample, is missing"),
        ({"num": 0}, "at least 1, got 0"),
        ({"num": 1, "temperature": 0}, "temperature must be 1e-06…1e.06, got 0"),
        ({"num": 1, "temperature": 1e-60}, "1e-06…1e.06, got 1e-60"),
        ({"num": 2.5}, "integer of at least 1, got 2.5"),
        ({"num": 1, "condition": [1]}, "takes no condition"),
        (
            {"num": 1, "example_seeds": 2**40},
            "example_seeds must be -2147483648…2147483647, got 1099511627776",
        ),
        ({"num": 3, "example_seeds": 2**31 - 2}, "got 2147483646…2147483648"),
        ({"num": 2, "example_seeds": [0, -(2**32)]}, "got -4294967296…0"),
        ({"num": 2, "example_seeds": [0.5, 1]}, r"integers of shape \[2\], got float64"),
        ({"num": 2, "example_seeds": [1]}, r"integers of shape \[2\], got int64 of shape \[1\]"),
        ({"num": 1, "given": np.zeros((1, 5, 4, 3), np.uint8)}, "given and known go together"),
        (
            {"num": 5, "given": np.zeros((3, 5, 4, 3), np.uint8), "known": True},
            r"given must broadcast to shape \[5, 5, 4, 3\], got \[3, 5, 4, 3\]",
        ),
        (
            {"given": np.zeros((3, 5, 4, 3), np.uint8), "known": np.ones((2, 4, 3), bool)},
            r"known must broadcast to shape \[3, 5, 4, 3\], got \[2, 4, 3\]",
        ),
        (
            {"given": np.zeros((3, 5, 4, 3), np.uint8), "known": 0.5},
            "known must be booleans, got float64",
        ),
    ],
)
def test_sampling_arguments_that_do_not_fit_are_refused(arguments, message):
    model = GatedPixelCNN((5, 4, 3), 4, features=6, layers=2)
    model.build()
    with pytest.raises(ValueError, match=message):
        model.sample(**arguments)


def test_rematerialisation_with_dropout_is_refused_where_gradients_are_ones_own():
    model = GatedPixelCNN((4, 4, 1), 4, features=8, layers=2, dropout=0.5)
    model.build()
    model.remat = True
    with pytest.raises(ValueError, match="remat=true cannot be had with dropout"):
        model.training_loss(np.zeros((2, 4, 4, 1), np.uint8), None, training=True)


def test_a_model_made_with_numbers_of_numpy_has_a_record():
    sizes = {"features": np.int64(8), "layers": np.uint8(2), "dropout": np.float32(0.5)}
    model = GatedPixelCNN(np.array([4, 4, 1]), np.uint8(4), **sizes)
    record = record_of(model)
    assert (record["levels"], record["config"]["model"]["features"]) == (4, 8)
    assert type(model.levels) is int


def autoencoder():
    model = GatedPixelCNN(
        (6, 5, 1), 4, features=8, layers=2, condition="image", code_size=3, encoder_features=4
    )
    model.build()
    randomise(model)
    return model


def test_an_image_is_conditioned_on_its_own_code_unless_another_is_given():
    model = autoencoder()
    images = np.random.default_rng(0).integers(0, 4, (3, 6, 5, 1)).astype(np.uint8)
    codes = model.encode(images)
    own = model.log_prob(images)
    np.testing.assert_allclose(model.log_prob(images, images), own, rtol=1e-5)
    np.testing.assert_allclose(model.log_prob(images, codes), own, rtol=1e-5)
    assert np.abs(model.log_prob(images, images[::-1]) - own)[[0, 2]].min() > 1e-3
    from_images = model.sample(condition=images, seed=1, jit=False)
    np.testing.assert_array_equal(model.sample(condition=codes, seed=1, jit=False), from_images)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (None, "condition is missing"),
        (np.zeros((2, 4), np.float32), r"codes of shape \[2, 3\], got float32 of shape \[2, 4\]"),
        (np.zeros((2, 5, 5, 1), np.uint8), r"integers of shape \[2, 6, 5, 1\]"),
        (np.zeros((3, 6, 5, 1), np.uint8), r"got uint8 of shape \[3, 6, 5, 1\]"),
        (np.full((2, 3), np.nan, np.float32), "not finite"),
    ],
)
def test_images_to_condition_on_that_do_not_fit_are_refused(condition, message):
    with pytest.raises(ValueError, match=message):
        autoencoder().sample(2, condition=condition)


@pytest.mark.parametrize("family", ["gated_pixelcnn", "auxiliary"])
def test_a_model_that_was_not_called_yet_is_built_to_draw(family):
    model = FAMILIES[family]((4, 4, 1), 4)
    assert model.sample(2, jit=False).shape == (2, 4, 4, 1)
    assert model.built and model.trainable_variables


def test_low_temperature_draws_the_most_probable_values():
    model = GatedPixelCNN((3, 4, 1), 5, features=8, layers=2)
    model.build()
    randomise(model)
    images = model.sample(3, temperature=1e-4, jit=False)
    np.testing.assert_array_equal(images, tf.argmax(model(images), axis=-1))


def test_parts_that_run_side_by_side_draw_what_the_whole_batch_draws(monkeypatch):
    model = GatedPixelCNN((3, 4, 3), 4, features=6, layers=2)
    model.build()
    randomise(model)
    parts = model.sample(26, seed=5, jit=False)
    monkeypatch.setattr(sampling.loop, "parts_of", lambda num, jit: [num])
    whole = tf.function(sampling.sample, autograph=False)(
        model, sampling.noise(5, tf.range(26), model)
    )
    np.testing.assert_array_equal(parts, whole)


def test_keras_fit_learns_and_evaluate_gives_bits_per_dim():
    keras.utils.set_random_seed(0)
    images = np.tile(np.arange(4, dtype=np.uint8), (32, 4, 1))[..., np.newaxis]
    model = GatedPixelCNN((4, 4, 1), 4, features=8, layers=2)
    model.compile(keras.optimizers.Adam(0.02))
    before, _ = model.evaluate(images, batch_size=10, verbose=0)
    model.fit(images, epochs=15, batch_size=8, verbose=0)
    after, bits = model.evaluate(images, batch_size=10, verbose=0)
    assert after == bits
    exact = -np.mean(model.log_prob(images)) / np.log(2) / 16
    assert after == pytest.approx(exact, rel=1e-5)
    assert after < 0.5 < 1.0 < before


def test_the_highest_of_65536_levels_is_1_in_half_precision():
    images = np.array([0, 32768, 65535], np.uint16).reshape(3, 1, 1, 1)
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        scaled = ImageSpec((1, 1, 1), 65536).scale(images, dtype)
        assert scaled.dtype.name == dtype
        np.testing.assert_allclose(np.ravel(scaled).astype(float), [-1, 0, 1], atol=2e-5)


def test_half_precision_keeps_log_probabilities_in_float32():
    model = GatedPixelCNN((4, 4, 1), 256, features=8, layers=2, dtype="mixed_bfloat16")
    model.build()
    log_prob = model.value_log_prob(np.zeros((2, 4, 4, 1), np.uint8))
    assert log_prob.dtype == tf.float32
    assert model.head.hidden.compute_dtype == "bfloat16"
    assert model.sample(2, jit=False).shape == (2, 4, 4, 1)


VECTOR = {"condition": "vector", "condition_size": 2}
LABEL = {"condition": "label", "condition_size": 3}


@pytest.mark.parametrize(
    ("arguments", "condition", "message"),
    [
        (LABEL, None, "condition is missing"),
        (LABEL, 1, r"integers of shape \[2\] or .*, got int64 of shape \[\]"),
        (LABEL, [0.0, 1.0], r"integers of shape \[2\] or .*, got float64 of shape \[2\]"),
        (LABEL, np.zeros((2, 4)), r"weights of the classes of shape \[2, 3\], got .*\[2, 4\]"),
        (VECTOR, np.zeros((2, 3)), r"shape \[2, 2\], got float64 of shape \[2, 3\]"),
        (VECTOR, np.array([[0, 1], [0, np.nan]]), "not finite"),
    ],
)
def test_conditions_that_do_not_fit_are_refused(arguments, condition, message):
    model = GatedPixelCNN((4, 4, 1), 4, features=8, layers=2, **arguments)
    model.build()
    for call in (
        lambda: model.log_prob(np.zeros((2, 4, 4, 1), np.uint8), condition),
        lambda: model.sample(2, condition),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_weights_of_classes_lie_between_the_classes():
    model = labelled()
    randomise(model)
    images = np.random.default_rng(0).integers(0, 4, (3, 4, 4, 1)).astype(np.uint8)
    labels = np.arange(3)
    nats = model.log_prob(images, labels)
    np.testing.assert_allclose(model.log_prob(images, np.eye(3)[labels]), nats, rtol=1e-6)
    mixed = model.map_condition(tf.constant([[0.25, 0.75, 0.0]]))
    ends = model.map_condition(tf.constant([0, 1]))
    np.testing.assert_allclose(mixed[0], 0.25 * ends[0] + 0.75 * ends[1], rtol=1e-6)


def test_an_unconditional_model_never_takes_a_condition():
    model = GatedPixelCNN((4, 4, 1), 4, features=8, layers=2)
    model.build()
    weights = len(model.weights)
    with pytest.raises(ValueError, match="takes no condition"):
        model(np.zeros((2, 4, 4, 1), np.uint8), np.zeros(2, np.int32))
    assert len(model.weights) == weights


IMAGES = np.zeros((8, 4, 4, 1), np.uint8)


@pytest.mark.parametrize(
    ("images", "labels", "error", "message"),
    [
        (IMAGES.astype(np.float32), np.arange(8) % 3, ValueError, "integers 0…3"),
        (np.zeros((8, 4, 5, 1), np.uint8), np.arange(8) % 3, ValueError, "must have the shape"),
        (IMAGES, None, ValueError, "condition is missing"),
        (IMAGES, np.zeros(8), ValueError, r"integers of shape \[8\]"),
        (IMAGES, np.arange(8), tf.errors.InvalidArgumentError, "labels must be 0…2"),
    ],
)
def test_fit_refuses_what_does_not_fit(images, labels, error, message):
    model = labelled()
    model.compile(keras.optimizers.Adam(0.01))
    with pytest.raises(error, match=message):
        model.fit(images, labels, batch_size=8, verbose=0)


@pytest.mark.slow  # needs the fused kernels of optimised graphs, see conftest.py
def test_a_weight_that_is_not_a_number_is_never_hidden():
    model = labelled()
    images, labels = IMAGES[:2], np.zeros(2, np.int32)
    for weight in model.trainable_variables:
        kept = weight.numpy()
        weight.assign(np.full(weight.shape, np.nan))
        with pytest.raises(FloatingPointError, match="image 0"):
            gpc.evaluate(model, images, labels)
        weight.assign(kept)
    assert np.isfinite(gpc.evaluate(model, images, labels)["bits_per_dim"])


@pytest.mark.parametrize("sizes", [(1, 1), (1, 3), (3, 1), (9, 5)])
@pytest.mark.parametrize(
    "shape", [(3, 4, 3), *(pytest.param(s, marks=pytest.mark.slow) for s in [(1, 5, 2), (5, 1, 1)])]
)
def test_any_odd_kernel_and_any_size_of_image_can_be_sampled(sizes, shape):
    first, later = sizes
    model = GatedPixelCNN(
        shape, 4, features=6, layers=2, first_kernel_size=first, kernel_size=later
    )
    model.build()
    randomise(model)
    noise = sampling.noise(0, tf.range(2), model)
    naive = sampling.sample_naively(model, noise)
    np.testing.assert_array_equal(model.sample(2, jit=False), naive)


def test_dropout_is_after_the_gates_of_both_stacks_in_training_only():
    x = tf.random.stateless_normal((2, 6, 6, 8), (0, 0))
    block = GatedBlock(8, index=1, layers=3, dropout=0.5)
    block.build(x.shape, x.shape)
    above, beside, skip = block(x, x)
    tf.debugging.assert_equal(block(x, x), (above, beside, skip))
    dropped, other, same = block(x, x, training=True)
    zero = dropped.numpy() == 0
    assert 0.3 < zero.mean() < 0.7
    np.testing.assert_allclose(dropped.numpy()[~zero], 2 * above.numpy()[~zero], rtol=1e-6)
    assert not np.allclose(other, beside)
    np.testing.assert_array_equal(same, skip)


def test_dropout_of_a_model_is_for_training_only():
    model = GatedPixelCNN((4, 4, 1), 4, features=8, layers=2, skips=False, dropout=0.5)
    model.build()
    images = np.random.default_rng(0).integers(0, 4, (2, 4, 4, 1)).astype(np.uint8)
    plain = model.parameter_map(model.scale(images), None).numpy()
    np.testing.assert_array_equal(model(images), model(images, training=False))
    # In a call of the model Keras hands `training` to its layers itself.
    first, second = (model.parameter_map(model.scale(images), None, training=True) for _ in "ab")
    assert not np.allclose(first, second)
    assert not np.allclose(first, plain)
