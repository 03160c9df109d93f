"""Weight normalisation, and the initial values that a first batch sets."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from gated_pixelcnn.data.batches import ArraySplit
from gated_pixelcnn.layers.gated_resnet import ShiftedConv2D
from gated_pixelcnn.layers.weight_norm import (
    NormalisedConv2D,
    NormalisedDeconv2D,
    data_dependent_initialisation,
)
from gated_pixelcnn.models.families.pixelcnn_pp import PixelCNNPP
from gated_pixelcnn.training import train as training


def small(**changes):
    keras.utils.set_random_seed(0)
    arguments = {"features": 6, "blocks": 1, "scales": 2, "components": 2, "dropout": 0.0}
    model = PixelCNNPP((4, 6, 3), 8, **(arguments | changes))
    model.build()
    return model


def images_of(model, num=16):
    random = np.random.default_rng(0)
    return random.integers(0, model.levels, (num, *model.image_shape)).astype(np.uint8)


@pytest.mark.parametrize("kind", [NormalisedConv2D, NormalisedDeconv2D])
def test_every_map_has_a_direction_and_a_length(kind):
    layer = kind(5, (2, 3))
    layer.build((None, None, None, 4))
    layer.length.assign([1.0, 2.0, 3.0, 4.0, 5.0])
    kernel = layer.weights_now()[0].numpy()
    lengths = np.sqrt((kernel**2).sum(axis=(0, 1, 2)))
    np.testing.assert_allclose(lengths, [1, 2, 3, 4, 5], rtol=1e-5)
    direction = layer.direction.numpy()
    cosine = (kernel * direction).sum(axis=(0, 1, 2)) / lengths
    np.testing.assert_allclose(cosine, np.sqrt((direction**2).sum(axis=(0, 1, 2))), rtol=1e-5)


@pytest.mark.parametrize("kind", [NormalisedConv2D, NormalisedDeconv2D])
def test_maps_of_the_first_batch_have_mean_0_and_the_deviation_wanted(kind):
    layer = kind(5, (2, 3), deviation=0.1)
    layer.build((None, None, None, 4))
    x = tf.constant(np.random.default_rng(0).normal(2, 3, (8, 6, 7, 4)), tf.float32)
    with data_dependent_initialisation():
        first = layer.slide(x).numpy()
    np.testing.assert_allclose(first.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(first.std(axis=(0, 1, 2)), 0.1, rtol=1e-4)
    np.testing.assert_array_equal(layer.slide(x), first)  # afterwards it is an ordinary layer
    assert not np.allclose(layer.slide(2 * x), first)


@pytest.mark.parametrize("kind", [NormalisedConv2D, NormalisedDeconv2D, ShiftedConv2D])
def test_a_normalised_convolution_without_a_bias_is_refused(kind):
    assert kind.from_config(kind(5, (2, 3), use_bias=True).get_config()).use_bias
    with pytest.raises(ValueError, match="use_bias=True"):
        kind(5, (2, 3), use_bias=False)


def test_the_bias_of_an_enlargement_learns_from_all_pixels_in_half_precision():
    """Sums of bfloat16 stop where a summand is less than the last place of the sum."""
    x = tf.constant(np.random.default_rng(0).normal(size=(16, 16, 16, 4)), tf.float32)
    found = {}
    for dtype in ("float32", "mixed_bfloat16"):
        layer = NormalisedDeconv2D(5, (3, 3), dtype=dtype)
        layer.build((None, None, None, 4))

        @tf.function(autograph=False)
        def gradients(layer=layer):
            with tf.GradientTape() as tape:
                y = layer(x)
                loss = 0.3 * tf.reduce_sum(tf.cast(y, tf.float32))
            return tape.gradient(loss, layer.trainable_variables)

        names = (variable.name for variable in layer.trainable_variables)
        found[dtype] = dict(zip(names, gradients(), strict=True))["bias"]
    np.testing.assert_allclose(found["mixed_bfloat16"], found["float32"], rtol=0.05)


@pytest.mark.parametrize("spread", [0.0, 1e-4])
def test_a_map_that_is_nearly_constant_in_the_first_batch_does_not_explode_in_the_next(spread):
    layer = NormalisedConv2D(5, (1, 1))
    layer.build((None, None, None, 4))
    random = np.random.default_rng(0)
    first = tf.constant(1 + spread * random.normal(size=(8, 6, 7, 4)), tf.float32)
    with data_dependent_initialisation():
        layer.slide(first)
    np.testing.assert_array_equal(layer.length, 1)
    following = layer.slide(tf.constant(random.normal(size=(8, 6, 7, 4)), tf.float32))
    assert np.abs(following).max() < 10


def test_a_model_makes_nothing_too_large_of_its_first_batch():
    model = small()
    images = images_of(model)
    model.initialise(images)
    parameters = model(images).numpy()
    assert 0.5 < parameters.std() < 3
    head = model.head
    assert not np.allclose(head.length, 1)


@pytest.mark.parametrize(("num", "wanted"), [(40, 16), (5, 5)])
def test_the_first_16_images_of_the_run_set_the_initial_values(num, wanted):
    images = np.random.default_rng(0).integers(0, 256, (num, 4, 4, 3)).astype(np.uint8)
    split, seen = ArraySplit(images, np.arange(num, dtype=np.int32)), []
    model = SimpleNamespace(
        initialised_by_data=True,
        takes_labels=True,
        initialise=lambda images, labels, but: seen.extend((images, labels)),
    )
    training._initialise(model, split, 3, [])
    first = next(iter(split.train_batches(wanted, 3)))
    for found, expected in zip(seen, first, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert len(seen[0]) == wanted


def test_a_graph_initialises_as_eager_execution_does():
    eager, graph = small(), small()
    images = images_of(eager)
    eager.initialise(images)
    tf.function(graph.initialise, autograph=False)(tf.constant(images))
    for one, other in zip(eager.trainable_variables, graph.trainable_variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5, err_msg=one.path)


def test_replicas_have_the_initial_values_of_one_device():
    alone = small()
    images = images_of(alone)
    alone.initialise(images)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        mirrored = small()
        mirrored.initialise(images)
    for one, other in zip(alone.trainable_variables, mirrored.trainable_variables, strict=True):
        for copy in strategy.experimental_local_results(other.value):
            np.testing.assert_allclose(one, copy, rtol=1e-4, atol=1e-5, err_msg=one.path)


def test_initial_values_are_saved_and_restored(tmp_path):
    model = small()
    images = images_of(model)
    before = model.log_prob(images).numpy()
    model.initialise(images)
    model.save(tmp_path / "model.keras")
    other = keras.saving.load_model(tmp_path / "model.keras")
    assert not np.allclose(model.log_prob(images), before)
    np.testing.assert_array_equal(other.log_prob(images), model.log_prob(images))


def test_the_first_convolutions_see_what_their_windows_say():
    for kernel_shape, last in [((2, 3), (-1, 1)), ((1, 3), (-1, 1)), ((2, 1), (0, -1))]:
        layer = ShiftedConv2D(1, kernel_shape, last)
        layer.build((None, None, None, 1))
        x = np.zeros((1, 7, 7, 1), np.float32)
        x[0, 3, 3] = 1
        touched = np.argwhere(layer(x).numpy()[0, ..., 0] != 0) - 3
        rows, columns = kernel_shape
        expected = [[-last[0] + r, -last[1] + c] for r in range(rows) for c in range(columns)]
        assert touched.tolist() == expected
