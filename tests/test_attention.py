"""Causal self-attention: the layer by itself, and Gated PixelCNN with it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from families import ATTENTION, SMALL, images_of, randomise

from gated_pixelcnn.layers import CausalAttention
from gated_pixelcnn.layers.causal_attention import MOST_BYTES, attend
from gated_pixelcnn.models.families.gated_pixelcnn import GatedPixelCNN
from gated_pixelcnn.runs.checkpoints import path_of

HEIGHT, WIDTH, CHANNELS = 3, 4, 3
POSITIONS = HEIGHT * WIDTH


def make(colours=3, gate="tanh_sigmoid", dtype="float64", **arguments):
    """A layer with random weights, features for it and an image."""
    layer = CausalAttention(
        6, heads=2, head_features=5, colours=colours, gate=gate, dtype=dtype, **arguments
    )
    random = np.random.default_rng(0)
    x = random.normal(size=(2, HEIGHT, WIDTH, 6))
    image = random.uniform(-1, 1, (2, HEIGHT, WIDTH, CHANNELS))
    layer(x, image)
    randomise(layer, 1)
    return layer, x, image


def values(weight):
    return weight.numpy().astype(np.float64)


def masked(kernel, colours, parts=1):
    """A 1×1 kernel of which a feature sees its own and earlier colours, feature by feature."""
    kernel = values(kernel)[0, 0].copy()
    inputs, outputs = kernel.shape
    part = outputs // parts
    for i, o in np.ndindex(inputs, outputs):
        if i * colours // inputs > o % part * colours // part:
            kernel[i, o] = 0
    return kernel


def by_loops(layer, x, image):
    """The equations for one image, position by position, head by head."""
    c, h, d = layer.colours, layer.heads, layer.head_features
    parts = 1 if layer.gate == "relu" else 2
    place = values(layer.place.kernel)[0, 0]
    query = masked(layer.query.kernel, c)
    key_value = values(layer.key_value.kernel)[0, 0]
    own, of_attended = (
        masked(conv.kernel, c, parts) for conv in (layer.own_conv, layer.attended_conv)
    )
    queries, keys, kept, y = [], [], [], np.zeros_like(x)
    for i, (r, s) in enumerate(np.ndindex(HEIGHT, WIDTH)):
        where = np.array([r / HEIGHT - 0.5, s / WIDTH - 0.5]) @ place
        q = x[r, s] @ query + values(layer.query.bias) + where[: c * h * d]
        kv = np.append(x[r, s], image[r, s]) @ key_value + where[c * h * d :]
        queries.append(q.reshape(c, h, d))
        keys.append(kv[: h * d].reshape(h, d))
        kept.append(kv[h * d :].reshape(h, d))
        found = np.zeros((c, h, d))
        for colour, head in np.ndindex(c, h):
            weights = [np.exp(queries[i][colour, head] @ keys[j][head] / d**0.5) for j in range(i)]
            for j in range(i):
                found[colour, head] += weights[j] / sum(weights) * kept[j][head]
        pre = x[r, s] @ own + values(layer.own_conv.bias) + found.reshape(-1) @ of_attended
        gated = np.maximum(pre, 0)
        if parts == 2:
            gated = np.tanh(pre[:6]) / (1 + np.exp(-pre[6:]))
        y[r, s] = x[r, s] + gated @ masked(layer.output_conv.kernel, c)
        y[r, s] += values(layer.output_conv.bias)
    return y


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("gate", ["tanh_sigmoid", "relu"])
def test_the_layer_is_that_of_the_equations(colours, gate):
    layer, x, image = make(colours, gate)
    for found, *one in zip(layer(x, image), x, image, strict=True):
        np.testing.assert_allclose(found, by_loops(layer, *one), atol=1e-12)


def jacobian(layer, inputs, index):
    """Which outputs depend on which values of one of the inputs [positions, p, positions, …]."""
    inputs = [tf.constant(x[:1]) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs[index])
        y = tf.reshape(layer(*inputs), (POSITIONS, -1))
    return tape.jacobian(y, inputs[index]).numpy().reshape(POSITIONS, 6, POSITIONS, -1) != 0


@pytest.mark.parametrize("colours", [1, 3])
def test_a_position_sees_all_earlier_ones_and_of_itself_no_later_colour(colours):
    layer, x, image = make(colours)
    of_x, of_image = (jacobian(layer, (x, image), index) for index in (0, 1))
    for i, j in np.ndindex(POSITIONS, POSITIONS):
        assert of_image[i, :, j].all() == of_image[i, :, j].any() == (j < i)
        if i != j:
            assert of_x[i, :, j].all() == of_x[i, :, j].any() == (j < i)
        else:
            groups = np.arange(6) * colours // 6
            np.testing.assert_array_equal(of_x[i, :, j], groups[:, None] >= groups)


def test_the_first_position_attends_to_nothing():
    layer, x, image = make()
    for weight in (layer.key_value.kernel, layer.place.kernel, layer.attended_conv.kernel):
        before = layer(x, image).numpy()
        weight.assign(2 * weight + 1)
        after = layer(x, image).numpy()
        np.testing.assert_array_equal(after[:, 0, 0], before[:, 0, 0])
        assert (after[:, 0, 1] != before[:, 0, 1]).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_sums_the_small_weights_of_many_positions(dtype):
    number = 4096  # whose weights are below the steps of these types at 1
    keys, seen = tf.zeros((1, number, 4), dtype), tf.ones((1, number), tf.bool)
    kept = tf.reshape(tf.cast(tf.range(number) % 4, dtype), (1, number, 1))
    found = attend(tf.zeros((1, 1, 4), dtype), [(keys, kept, seen)])
    assert found.dtype == dtype
    assert float(found[0, 0, 0]) == pytest.approx(1.5, rel=0.01)


def test_gradients_of_half_precision_are_finite_where_nothing_is_seen():
    queries, keys, seen = tf.ones((2, 1, 2), "float16"), tf.ones((2, 3, 2), "float16"), [[False]]
    with tf.GradientTape() as tape:
        tape.watch([queries, keys])
        found = attend(queries, [(keys, keys, tf.constant(seen))])
    assert all(np.isfinite(g).all() for g in tape.gradient(found, [queries, keys]))


def test_attention_over_parts_is_that_over_the_whole():
    random = np.random.default_rng(0)
    queries, keys, kept = (random.normal(size=(2, n, 3)) for n in (4, 7, 7))
    seen = random.random((4, 7)) < 0.5
    seen[1] = False
    whole = attend(tf.constant(queries), [(keys, kept, seen)])
    cut = [(keys[:, s], kept[:, s], seen[:, s]) for s in (slice(0, 5), slice(5, 7))]
    np.testing.assert_allclose(attend(tf.constant(queries), cut), whole, atol=1e-12)
    np.testing.assert_array_equal(whole[:, 1], 0)


def test_dropout_is_of_training_only():
    layer, x, image = make(dropout=0.5)
    np.testing.assert_array_equal(layer(x, image), layer(x, image))
    assert not np.array_equal(layer(x, image, training=True), layer(x, image))


def test_a_layer_is_made_again_from_its_config_and_is_a_part_of_a_functional_model():
    layer, x, image = make(dtype="float32")
    again = CausalAttention.from_config(layer.get_config())
    again(x, image)
    again.set_weights(layer.get_weights())
    inputs = [keras.Input(a.shape[1:]) for a in (x, image)]
    for other in (again, keras.Model(inputs, layer(*inputs))):
        found = other(x, image) if other is again else other([x, image])
        np.testing.assert_array_equal(found, layer(x, image))


# The model.


def model_of(**arguments):
    keras.utils.set_random_seed(0)
    model = GatedPixelCNN((4, 5, 3), 4, **SMALL | ATTENTION | {"layers": 5} | arguments)
    model.build()
    return model


def test_attention_follows_every_kth_block_but_the_last():
    for every, wanted in ((0, []), (1, [0, 1, 2, 3]), (2, [1, 3]), (3, [2]), (4, [3])):
        model = model_of(attention_every=every)
        found = [i for i, layer in enumerate(model.attentions) if layer is not None]
        assert found == wanted
        names = {path_of(w).split("/")[0] for w in model.weights}
        assert {n for n in names if "attention" in n} == {f"attention_{i}" for i in wanted}


def test_a_model_without_attention_has_the_weights_that_it_had():
    plain, off = model_of(attention_every=0), model_of(attention_every=0, attention_heads=7)
    wanted = [(path_of(w), w.shape) for w in plain.weights]
    assert [(path_of(w), w.shape) for w in off.weights] == wanted
    found = [(path_of(w), w.shape) for w in model_of().weights]
    assert [(path, shape) for path, shape in found if "attention" not in path] == wanted


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attention_every": 5}, r"attention_every must be 0 \(none\) or 1…4, .* 5 layers"),
        ({"attention_every": -1}, r"attention_every must be .*; got -1"),
        ({"attention_heads": 0}, "attention_heads must be at least 1, got 0"),
        ({"attention_features": 0}, "attention_features must be at least 1, got 0"),
        (
            {"image_shape": (256, 200, 3)},
            r"51200 positions of 256×200 images takes 62\.9 GB .*2 attention_heads, 3 colour",
        ),
    ],
    ids=["no block after", "negative", "no heads", "no features", "too many positions"],
)
def test_arguments_that_make_no_sense_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        GatedPixelCNN(
            **{"image_shape": (4, 5, 3), "levels": 4}
            | SMALL
            | ATTENTION
            | {"layers": 5}
            | arguments
        )


def test_the_estimate_of_memory_is_that_of_the_largest_tensor():
    """The weights of one image, which the limit is about."""
    model = model_of(attention_heads=2)
    images = images_of(model, 1)
    graph = tf.function(model.parameters_for, autograph=False).get_concrete_function(images).graph
    sizes = [
        4 * int(np.prod(tensor.shape))
        for operation in graph.get_operations()
        for tensor in operation.outputs
        if tensor.dtype == tf.float32 and tensor.shape.is_fully_defined()
    ]
    assert max(sizes) == 4 * 2 * 3 * 20**2 < MOST_BYTES


@pytest.mark.parametrize("gate", ["tanh_sigmoid", "relu"])
@pytest.mark.parametrize("shape", [(16, 16, 1), (12, 16, 3)], ids=["gray", "colour"])
def test_initial_weights_keep_the_signal_and_add_to_it_what_a_block_adds(shape, gate):
    """1/L of E[x²] of the horizontal stack: of blocks and attentions up to e² in all."""
    layers = 12
    arguments = {"image_shape": shape, "levels": 256, "features": 24, "gate": gate}
    model = GatedPixelCNN(layers=layers, attention_every=1, **arguments)
    model.build()
    x = model.scale(images_of(model, 2))
    vertical = horizontal = x
    for block, attention in zip(model.blocks[:-1], model.attentions[:-1], strict=True):
        vertical, horizontal, _ = block(vertical, horizontal)
        after = attention(horizontal, x)
        added = float(tf.reduce_mean((after - horizontal) ** 2))
        assert 0.2 / layers < added / float(tf.reduce_mean(horizontal**2)) < 3 / layers
        horizontal = after
    assert 1 < float(tf.reduce_mean(horizontal**2)) < 8


@pytest.mark.parametrize("jit", [False, True])
def test_a_batch_that_is_cut_into_parts_draws_the_same_images(jit):
    model = model_of(layers=2)
    randomise(model, 0, 1.0)
    whole = model.sample(17, seed=4, jit=jit).numpy()  # two parts on two processors
    one = [model.sample(1, seed=4, example_seeds=[i], jit=False).numpy()[0] for i in (0, 8, 16)]
    np.testing.assert_array_equal(whole[[0, 8, 16]], one)
