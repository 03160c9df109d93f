"""PixelCNN++: its mixture beside TFP's, its sizes, and what it refuses."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

import gated_pixelcnn as gpc
from gated_pixelcnn import likelihoods
from gated_pixelcnn.models.families.pixelcnn_pp import PixelCNNPP

COMPONENTS, LEVELS = 4, 256


def of_tfp(raw, images):
    """log p of images by `tfp.distributions.PixelCNN`, its network replaced by given outputs."""
    channels = images.shape[-1]
    distribution = tfd.PixelCNN(
        images.shape[1:],
        num_resnet=1,
        num_hierarchies=1,
        num_filters=2,
        num_logistic_mix=COMPONENTS,
        dtype=tf.float64,
    )
    logits, *rows = np.split(raw, raw.shape[-1] // COMPONENTS, axis=-1)
    means, rows = np.stack(rows[:channels], axis=-1), rows[channels:]
    log_scales, rows = np.stack(rows[:channels], axis=-1), rows[channels:]
    outputs = [logits, means, np.exp(np.maximum(log_scales, -7))]
    if channels > 1:
        outputs.append(np.tanh(np.stack(rows, axis=-1)))
    distribution.network = lambda *_, **__: [tf.constant(x) for x in outputs]
    return distribution.log_prob(images.astype(np.float64)).numpy()


def outputs_and_images(channels, spread):
    """Random outputs of a network, in float64, and images near the means of its components."""
    random = np.random.default_rng(0)
    groups = 1 + 2 * channels + channels * (channels - 1) // 2
    raw = random.normal(size=(5, 2, 3, groups, COMPONENTS))
    raw[..., 1 : 1 + channels, :] *= 0.3  # means
    raw[..., 1 + channels : 1 + 2 * channels, :] = random.normal(
        -2.5, 0.5, raw[..., 1 + channels : 1 + 2 * channels, :].shape
    )
    images = np.clip(random.normal(127, spread, (5, 2, 3, channels)), 0, 255).astype(np.uint8)
    return raw.reshape(5, 2, 3, -1), images


@pytest.mark.parametrize("channels", [1, 3])
def test_the_mixture_is_that_of_tfp_away_from_the_tails(channels):
    raw, images = outputs_and_images(channels, spread=20)
    mixture = likelihoods.get("mixture", channels, LEVELS, COMPONENTS)
    found = tf.reduce_sum(mixture.log_prob(tf.constant(raw), images), axis=[1, 2, 3])
    assert found.dtype == tf.float64
    np.testing.assert_allclose(found, of_tfp(raw, images), rtol=0, atol=1e-5)


def test_the_mixture_is_finite_where_that_of_tfp_is_not():
    raw, images = outputs_and_images(3, spread=20)
    raw = raw.reshape(5, 2, 3, 10, COMPONENTS)
    raw[..., 4:7, :] = 38  # so wide that the two ends of a bin round to the same
    raw = raw.reshape(5, 2, 3, -1)
    mixture = likelihoods.get("mixture", 3, LEVELS, COMPONENTS)
    assert np.isfinite(mixture.log_prob(tf.constant(raw), images)).all()
    assert not np.isfinite(of_tfp(raw, images)).any()


@pytest.mark.parametrize("scales", [1, 3])
def test_every_scale_has_the_blocks_of_the_figure(scales):
    model = PixelCNNPP((8, 8, 3), features=2, blocks=5, scales=scales)
    for stream in (model.above, model.above_left):
        assert [len(scale.down) for scale in stream] == [5] * scales
        assert [len(scale.up) for scale in stream] == {1: [0], 3: [6, 6, 5]}[scales]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_shape": (5, 4, 3)}, r"even height and width .*\(5, 4, 3\)"),
        ({"image_shape": (4, 7, 3)}, r"even height and width"),
        ({"likelihood": "categorical"}, "images of 3 colours need likelihood='mixture'"),
        ({"levels": 2}, "'mixture' needs levels >= 3"),
        ({"blocks": 0}, "blocks must be at least 1"),
        ({"scales": 0}, "scales must be at least 1"),
        ({"features": 0}, "features must be at least 1"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
    ],
)
def test_what_it_cannot_be_made_of_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        PixelCNNPP(**({"image_shape": (4, 4, 3), "features": 2} | changes))


@pytest.mark.parametrize(
    "shape",
    [(6, 10, 1), *(pytest.param(s, marks=pytest.mark.slow) for s in [(2, 2, 3), (14, 6, 3)])],
)
def test_any_even_size_can_be_halved_and_enlarged_again(shape):
    model = PixelCNNPP(shape, 8, features=2, blocks=1, components=2)
    model.build()
    images = model.sample(2, seed=0, jit=False)
    assert images.shape == (2, *shape)
    assert np.isfinite(model.log_prob(images)).all()


def test_dropout_changes_training_only():
    model = PixelCNNPP((4, 4, 3), 8, features=4, blocks=1, scales=2, components=2, dropout=0.5)
    model.build()
    images = np.random.default_rng(0).integers(0, 8, (2, 4, 4, 3)).astype(np.uint8)
    plain = model(images, training=False).numpy()
    np.testing.assert_array_equal(model(images, training=False), plain)
    first, second = (model(images, training=True).numpy() for _ in range(2))
    assert not np.allclose(first, second)
    assert not np.allclose(first, plain)


def test_the_published_sizes_are_those_of_the_presets():
    for name, features in {"pixelcnn_pp_cifar10": 160, "pixelcnn_pp_cifar10_192": 192}.items():
        model, train = gpc.get_config(name).model, gpc.get_config(name).train
        assert (model.features, model.blocks, model.scales, model.dropout) == (features, 5, 3, 0.5)
        assert (model.likelihood, model.components) == ("mixture", 10)
        assert (train.learning_rate, train.beta_1, train.beta_2) == (1e-3, 0.95, 0.9995)
        assert (train.batch_size, train.decay, train.ema_decay) == (128, 0.999995, 0.9995)
