"""Layers as a Keras user takes them: called without having been built, and made from a config."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gated_pixelcnn import layers
from gated_pixelcnn.layers.dropout import Dropout
from gated_pixelcnn.layers.layer import Layer
from gated_pixelcnn.models.families.vae import VAE

X = np.random.default_rng(0).normal(size=(2, 4, 5, 12)).astype(np.float32)
CONDITION = np.random.default_rng(1).normal(size=(2, 1, 1, 3)).astype(np.float32)
LAYERS = {
    "MaskedConv2D": lambda: layers.MaskedConv2D(6, 3, colours=3),
    "MaskedBlock": lambda: layers.MaskedBlock(6, colours=3),
    "RowLSTM": lambda: layers.RowLSTM(6, colours=3),
    "DiagonalLSTM": lambda: layers.DiagonalLSTM(6, colours=3),
    "DiagonalBiLSTM": lambda: layers.DiagonalBiLSTM(6, colours=3),
}
COLOURED = list(LAYERS)
LAYERS |= {
    "NormalisedConv2D": lambda: layers.NormalisedConv2D(6, (2, 2)),
    "NormalisedDeconv2D": lambda: layers.NormalisedDeconv2D(6, (2, 3)),
    "ShiftedConv2D": lambda: layers.ShiftedConv2D(6, (2, 3), last=(0, 1)),
    "GatedResnet": lambda: layers.GatedResnet(12, (2, 2), last=(0, 0)),
    "ViewEmbedding": lambda: layers.ViewEmbedding(6, blocks=1),
    "CodeDecoder": lambda: layers.CodeDecoder(2, 6, blocks=1, block_features=3, halvings=2),
}
CONDITIONED = ["MaskedBlock", "RowLSTM", "DiagonalBiLSTM"]


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_builds_itself_and_is_made_again_from_its_config(name):
    layer = LAYERS[name]()
    y = layer(X)
    again = type(layer).from_config(layer.get_config())
    again(X)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(X), y)


@pytest.mark.parametrize("name", CONDITIONED)
def test_a_layer_takes_a_condition_when_it_is_first_called_with_one(name):
    layer = LAYERS[name]()
    y = layer(X, CONDITION)
    assert not np.allclose(layer(X, 2 * CONDITION), y)


def test_a_residual_block_takes_other_inputs_and_a_condition():
    block = layers.GatedResnet(12, (2, 2), last=(0, 0), others=2)
    y = block(X, X, 2 * X, condition=CONDITION)
    assert y.shape == X.shape
    for changed in ((X, 3 * X, 2 * X, CONDITION), (X, X, X, CONDITION), (X, X, 2 * X, -CONDITION)):
        assert not np.allclose(block(*changed[:3], condition=changed[3]), y)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_a_part_of_a_functional_model(name):
    layer, x = LAYERS[name](), keras.Input((4, 5, 12))
    model = keras.Model(x, layer(x))
    np.testing.assert_array_equal(model(X), layer(X))


@pytest.mark.parametrize("name", COLOURED)
def test_features_that_colours_cannot_share_are_refused(name):
    with pytest.raises(ValueError, match=r"(features|filters) must be a positive multiple of .*3"):
        kind = type(LAYERS[name]())
        kind(7, **({"kernel_size": 3} if name == "MaskedConv2D" else {}), colours=3)


@pytest.mark.parametrize("name", ["MaskedConv2D", "MaskedBlock", "RowLSTM"])
@pytest.mark.parametrize("size", [1, 4])
def test_kernels_without_a_middle_or_surroundings_are_refused(name, size):
    with pytest.raises(ValueError, match=f"kernel_size must be odd and .*, got {size}"):
        type(LAYERS[name]())(6, kernel_size=size)


class Pair(Layer):
    """Two weights of the same shape, made in one of two orders."""

    def __init__(self, names, **kwargs):
        super().__init__(**kwargs)
        self.names = names

    def build(self, input_shape):
        for name in self.names:
            setattr(self, name, self.add_weight(name=name, shape=(), initializer="normal"))
        super().build(input_shape)

    def call(self, x):
        return self.scale * x + self.shift


def test_weights_of_a_keras_file_are_matched_by_name_and_not_by_order(tmp_path):
    first, second, other = (
        keras.Sequential([keras.Input(X.shape[1:]), Pair(names)])
        for names in (["scale", "shift"], ["shift", "scale"], ["scale", "shift", "more"])
    )
    path = tmp_path / "of.weights.h5"
    first.save_weights(path)
    second.load_weights(path)
    np.testing.assert_array_equal(second(X), first(X))
    with pytest.raises(ValueError, match="has the weights more, scale, shift, but .* scale, shift"):
        other.load_weights(path)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("rate", [0.01, 0.3])
def test_dropout_drops_its_share_in_half_precision_too(rate, dtype):
    keras.utils.set_random_seed(0)
    y = Dropout(rate, dtype=dtype)(np.ones((1000, 1000), np.float32), training=True)
    assert y.dtype == keras.DTypePolicy(dtype).compute_dtype
    y = np.asarray(y, np.float64)
    assert np.mean(y == 0) == pytest.approx(rate, abs=0.002)
    assert y.max() == pytest.approx(1 / (1 - rate), rel=0.004)  # bfloat16 has 1/128


def test_latent_numbers_are_not_rounded_on_their_way_into_a_layer():
    dtype = "mixed_bfloat16"
    flow = layers.AutoregressiveFlow(2, 5, dtype=dtype)
    random = np.random.default_rng(0)
    z, context = (tf.constant(random.normal(size=(1, 3, 4, n)), tf.float32) for n in (2, 5))
    flow(z, tf.cast(context, tf.bfloat16))
    for layer in (flow.first, flow.second, flow.last):
        for weight in layer.weights:
            weight.assign(np.zeros(weight.shape))
    again, _ = flow(z, tf.cast(context, tf.bfloat16))  # the identity now
    np.testing.assert_array_equal(again, z)
    network = VAE((4, 4, 1), 4, features=4, blocks=1, latents=1, halvings=0, dtype=dtype)
    network.build()
    found = []
    block = network.network.blocks[0]
    block.posterior = lambda up, down, noise: found.append(noise) or (noise, noise)
    noise = network.posterior_noise(np.zeros((1, 4, 4, 1), np.uint8))
    network.infer(np.zeros((1, 4, 4, 1), np.uint8), noise)
    np.testing.assert_array_equal(found[0], noise)


@pytest.mark.parametrize("normalised", [False, True])
def test_the_encoder_hides_no_number_that_is_not_one(normalised):
    keras.utils.set_random_seed(0)
    encoder = layers.Encoder(3, 4, normalised)
    images = np.random.default_rng(0).normal(size=(2, 7, 6, 1)).astype(np.float32)
    assert np.isfinite(encoder(images)).all()
    for weight in encoder.weights:
        kept = np.array(weight)
        broken = kept.copy()
        broken.flat[0] = np.nan
        weight.assign(broken)
        assert np.isnan(encoder(images)).any(axis=1).all(), weight.path
        weight.assign(kept)


def test_a_config_has_the_policy_also_where_it_was_given_as_an_object():
    layer = Pair(["scale"], dtype=keras.DTypePolicy("mixed_bfloat16"))
    again = Pair.from_config(layer.get_config())
    assert (again.names, again.dtype_policy.name) == (["scale"], "mixed_bfloat16")
