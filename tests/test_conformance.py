"""What every family must hold: the conformance suite. A new family is one line of FAMILIES.

Every property is tested on images that are not square, with one and with three colours.
"""

import dataclasses
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from gated_pixelcnn import sampling
from gated_pixelcnn.models.diagonal_bilstm import DiagonalBiLSTMModel
from gated_pixelcnn.models.gated_pixelcnn import GatedPixelCNN
from gated_pixelcnn.models.pixelcnn import PixelCNN
from gated_pixelcnn.models.pixelcnn_pp import PixelCNNPP
from gated_pixelcnn.models.row_lstm import RowLSTMModel


@dataclasses.dataclass(frozen=True)
class Family:
    """A family at a size at which every output can reach every earlier value of a 4×5 image."""

    model: type
    arguments: dict
    has_blind_spot: bool = False  # then a test of its own compares it with theory, pixel by pixel
    weights: float = 1.5  # their size: smaller where nothing saturates
    values: tuple = ("bernoulli", "gray", "colour", "logistic", "mixture")
    even: bool = False  # whether height and width must be
    conditions: tuple = ()  # of its cases in turn; if empty, of all

    def fit(self, shape):
        """A shape of about this size that the family takes."""
        height, width, channels = shape
        return (height + height % 2, width + width % 2, channels) if self.even else shape

    def takes(self, shape, likelihood):
        """Whether the family has a model of these images, and is tested with such values."""
        categorical = "gray" if shape[-1] == 1 else "colour"
        values = categorical if likelihood == "categorical" else likelihood
        return self.fit(shape) == shape and values in self.values


SINGLE_STACK = {"has_blind_spot": True, "weights": 0.7}
SMALL = {"features": 12, "layers": 5, "kernel_size": 3, "first_kernel_size": 3}
PLUS_PLUS = {"features": 6, "blocks": 1, "scales": 3, "dropout": 0.0}
DIAGONAL = {"features": 12, "layers": 2, "first_kernel_size": 3}

FAMILIES = {
    "gated_pixelcnn": Family(GatedPixelCNN, SMALL),
    "pixelcnn": Family(PixelCNN, SMALL, **SINGLE_STACK),
    "row_lstm": Family(RowLSTMModel, SMALL | {"layers": 3}, **SINGLE_STACK),
    "diagonal_bilstm": Family(DiagonalBiLSTMModel, DIAGONAL, **SINGLE_STACK),
    "pixelcnn_pp": Family(
        PixelCNNPP,
        PLUS_PLUS,
        weights=0.7,
        values=("gray", "mixture"),  # 2×1 and 1×2 pixels at the last scale
        even=True,
        conditions=("spatial", "label-map"),  # maps go through the scales
    ),
}
# Options of the first family, for fewer kinds of values.
VARIANT = ("gray", "colour")
FAMILIES |= {
    "gated_pixelcnn-5x5": Family(GatedPixelCNN, SMALL | {"kernel_size": 5}, values=VARIANT),
    "pixelcnn-skips": Family(
        PixelCNN, SMALL | {"skips": True, "kernel_size": 5}, values=VARIANT, **SINGLE_STACK
    ),
    "row_lstm-skips": Family(
        RowLSTMModel,
        SMALL | {"layers": 3, "skips": True, "residual": False},
        values=("colour",),
        **SINGLE_STACK,
    ),
    "diagonal_bilstm-skips": Family(
        DiagonalBiLSTMModel,
        DIAGONAL | {"skips": True, "residual": False},
        values=("colour",),
        **SINGLE_STACK,
    ),
    "gated_pixelcnn-no-skips": Family(GatedPixelCNN, SMALL | {"skips": False}, values=VARIANT),
    "pixelcnn_pp-1-scale": Family(
        PixelCNNPP, PLUS_PLUS | {"scales": 1, "blocks": 2}, values=("mixture",), weights=0.7
    ),
    "pixelcnn_pp-2-scales": Family(
        PixelCNNPP, PLUS_PLUS | {"scales": 2}, values=("mixture",), weights=0.7, even=True
    ),
}

# What the values are: (image shape, levels, likelihood).
VALUES = {
    "bernoulli": ((4, 5, 1), 2, "bernoulli"),
    "gray": ((5, 4, 1), 5, "categorical"),
    "colour": ((4, 5, 3), 4, "categorical"),
    "logistic": ((5, 4, 3), 6, "logistic"),
    "mixture": ((4, 5, 3), 6, "mixture"),
}

CONDITIONS = {
    "none": {},
    "label": {"condition": "label", "condition_size": 3},
    "vector": {"condition": "vector", "condition_size": 2},
    "spatial": {"condition": "spatial", "condition_size": 2},
    "label-map": {"condition": "label", "condition_size": 3, "spatial_features": 4},
    "vector-map": {"condition": "vector", "condition_size": 2, "spatial_features": 4},
    "image": {"condition": "image", "code_size": 2, "encoder_features": 4},
}


def in_turn():
    """The first kind of values of every family, then the second, …; conditions in turn."""
    any_of_them = itertools.cycle(CONDITIONS)
    for number in range(len(VALUES)):
        for name, family in FAMILIES.items():
            if number < len(family.values):
                own = family.conditions
                yield name, family.values[number], own[number] if own else next(any_of_them)


IN_TURN = list(in_turn())
# The first family with every condition.
CASES = [(next(iter(FAMILIES)), "colour", condition) for condition in CONDITIONS]
CASES = IN_TURN + [case for case in CASES if case not in IN_TURN]
PLAIN = [(family, values, "none") for family, values, _ in IN_TURN]

every_case = pytest.mark.parametrize("case", CASES, ids="/".join)
every_family_and_values = pytest.mark.parametrize("case", PLAIN, ids="/".join)
# Shared, see `model`: pytest runs all tests of one number in a row, so lists begin alike.
every_model = pytest.mark.parametrize("model", CASES, ids="/".join, indirect=True)
every_model_in_turn = pytest.mark.parametrize("model", IN_TURN, ids="/".join, indirect=True)
every_family = pytest.mark.parametrize(
    "model", IN_TURN[: len(FAMILIES)], ids="/".join, indirect=True
)
every_condition = pytest.mark.parametrize(
    "case",
    [(family, "gray", c) for family in FAMILIES for c in CONDITIONS if c != "none"],
    ids="/".join,
)


def build(case, dtype="float32", **changes):
    """The model of a case, with random weights (biases too) of a size that tells paths apart."""
    family, values, condition = case
    shape, levels, likelihood = VALUES[values]
    arguments = {
        **FAMILIES[family].arguments,
        **CONDITIONS[condition],
        "image_shape": FAMILIES[family].fit(shape),
        "levels": levels,
        "likelihood": likelihood,
        "components": 3,
        **changes,
    }
    keras.utils.set_random_seed(1)
    model = FAMILIES[family].model(dtype=dtype, **arguments)
    model.build()
    randomise(model, 0, FAMILIES[family].weights)
    return model


@pytest.fixture(scope="module")
def model(request):
    """The model of a case, to be left as it is: tests that share it share its graphs, too."""
    return build(request.param)


def randomise(model, seed, size=1.5):
    """Other weights for the same model, of a size relative to what they are summed over."""
    random = np.random.default_rng(seed)
    for weight in model.trainable_variables:
        fan = np.prod(weight.shape[:-1]) or 1
        weight.assign(random.normal(size=weight.shape) * (size / np.sqrt(fan)))


def reloaded(model, tmp_path):
    """The model after a round trip through a .keras file."""
    model.save(tmp_path / "model.keras")
    return keras.saving.load_model(tmp_path / "model.keras")


def images_of(model, num, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, model.levels, (num, *model.image_shape)).astype(np.uint8)


def condition_of(model, num, seed=0):
    random = np.random.default_rng(seed)
    size = model.condition_size
    return {
        None: None,
        "label": np.arange(num) % max(size, 1),
        "vector": random.normal(size=(num, size)).astype(np.float32),
        "spatial": random.normal(size=(num, *model.image_shape[:2], size)).astype(np.float32),
        "image": images_of(model, num, seed + 7),
    }[model.condition_kind]


# Training with less memory


@every_family_and_values
def test_rematerialisation_changes_no_gradient_and_computes_blocks_again(case):
    model = build(case)
    images = images_of(model, 2)
    gradients, convolutions = {}, {}
    for model.remat in (False, True):

        @tf.function(autograph=False)
        def gradient():
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(model.training_loss(images, None, training=True))
            weights = [weight.value for weight in model.trainable_variables]
            return tape.gradient(loss, weights)

        gradients[model.remat] = gradient()
        operations = gradient.get_concrete_function().graph.get_operations()
        convolutions[model.remat] = sum(op.type == "Conv2D" for op in operations)
    for plain, again in zip(gradients[False], gradients[True], strict=True):
        np.testing.assert_allclose(again, plain, rtol=1e-4, atol=1e-6)
    assert convolutions[True] > 1.5 * convolutions[False]


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
@every_family_and_values
def test_half_precision_keeps_weights_and_log_probabilities_in_float32(case, dtype):
    exact, half = build(case), build(case, dtype)
    images = images_of(exact, 3)
    assert all(weight.dtype == "float32" for weight in half.trainable_variables)
    nats = half.value_log_prob(images)
    assert nats.dtype == tf.float32
    np.testing.assert_allclose(nats, exact.value_log_prob(images), rtol=0.03, atol=0.15)
    assert not np.array_equal(nats, exact.value_log_prob(images))


# 1 and 2: causality, no blind spot


def dependencies(model, seeds=3):
    """Which parameters depend on which input values: booleans [groups, values].

    A group is a position and, where colours have parameters of their own, a colour. The Jacobian is
    taken in one backward pass: the image stands in the batch once for every group, and each copy is
    asked for one group. The union over some seeds is taken, for a dead ReLU hides a path.
    """
    height, width, channels = model.image_shape
    groups, values = height * width * model.colours, height * width * channels

    @tf.function
    def gradient(x, condition, projection):
        condition = model.map_condition(condition)
        with tf.GradientTape() as tape:
            tape.watch(x)
            parameters = model.likelihood.parameters(model.parameter_map(x, condition))
            parameters = tf.reshape(parameters, (groups, groups, -1))
            wanted = tf.linalg.diag_part(tf.transpose(parameters, [2, 0, 1]))
            total = tf.reduce_sum(wanted * projection[: tf.shape(wanted)[0]])
        return tape.gradient(total, x)

    seen = np.zeros((groups, values), bool)
    for seed in range(seeds):
        randomise(model, seed)
        random = np.random.default_rng(seed)
        image = tf.constant(random.uniform(-1, 1, (1, *model.image_shape)))
        projection = tf.constant(random.normal(size=(1000, 1)))
        condition = condition_of(model, 1, seed)
        if condition is not None:
            condition = np.repeat(condition, groups, axis=0)
        jacobian = gradient(tf.repeat(image, groups, axis=0), condition, projection).numpy()
        seen |= jacobian.reshape(groups, values) != 0
    return seen


def earlier(model):
    """Which values come before a group of parameters in the order (row, column, colour)."""
    height, width, channels = model.image_shape
    values = np.arange(height * width * channels)
    return values < (np.arange(height * width * model.colours) * channels // model.colours)[:, None]


@every_case
@pytest.mark.parametrize("saved", [False, True], ids=["fresh", "reloaded"])
def test_parameters_depend_on_all_earlier_values_and_on_no_others(case, saved, tmp_path):
    model = build(case, dtype="float64")
    if saved:
        model = reloaded(model, tmp_path)
    seen, allowed = dependencies(model), earlier(model)
    assert np.argwhere(seen & ~allowed).tolist() == []
    if not FAMILIES[case[0]].has_blind_spot:
        assert np.argwhere(~seen & allowed).tolist() == []


# 3: normalised


def of_families(*laws):
    """Parametrizes by (shape, levels, likelihood) and the families that have such a model."""
    return pytest.mark.parametrize(
        ("family", "shape", "levels", "likelihood"),
        [
            (family, shape, levels, likelihood)
            for family in FAMILIES
            for shape, levels, likelihood in laws
            if FAMILIES[family].takes(shape, likelihood)
        ],
    )


@of_families(
    ((2, 2, 1), 3, "categorical"),
    ((2, 3, 1), 2, "bernoulli"),
    ((1, 2, 3), 2, "categorical"),
    ((2, 1, 3), 3, "logistic"),
    ((1, 2, 3), 3, "mixture"),
    ((2, 2, 1), 4, "mixture"),
)
def test_probabilities_of_all_images_sum_to_one(family, shape, levels, likelihood):
    model = build((family, "gray", "none"), image_shape=shape, levels=levels, likelihood=likelihood)
    everything = np.array(list(itertools.product(range(levels), repeat=int(np.prod(shape)))))
    log_prob = model.log_prob(everything.reshape(-1, *shape).astype(np.uint8))
    assert np.exp(log_prob.numpy().astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)


# 4: cached = naive


@every_case
def test_incremental_parameters_equal_those_of_the_parallel_pass(case):
    model = build(case, dtype="float64")
    images, condition = images_of(model, 2), condition_of(model, 2)
    expected = model(images, condition)
    view = model.incremental(2, model.map_condition(condition))
    scaled = model.scale(images)
    height, width, _ = model.image_shape
    state, finished = view.first_rows(), tf.zeros_like(scaled[:, 0])
    kept = view.first_kept()
    for row in range(height):
        state, context = view.row(state, finished, kept, row)
        finished = scaled[:, row]
        pixels = view.first_pixels(2)
        for column in range(width):
            found = []

            def draw(colour, raw, here=finished[:, column], found=found):
                found.append(raw)
                return here[:, colour : colour + 1] if model.colours > 1 else here

            pixels = view.pixel(pixels, context, column, draw)
            found = tf.stack(found, axis=1) if model.colours > 1 else found[0]
            wanted = expected[:, row, column]
            np.testing.assert_allclose(found, tf.reshape(wanted, found.shape), atol=1e-10)
        kept = view.kept(pixels)


@every_model
def test_fast_and_naive_sampling_draw_the_same_images(model):
    condition = condition_of(model, 4)
    noise = sampling.noise(3, tf.range(4), model)
    naive = tf.function(sampling.sample_naively, autograph=False)(model, noise, condition)
    for jit in (False, True):
        fast = model.sample(4, condition, seed=3, jit=jit)
        np.testing.assert_array_equal(fast, naive, f"jit={jit}")


@every_model_in_turn
def test_samples_depend_on_the_seed_and_not_on_the_batch(model):
    condition = condition_of(model, 4)
    whole = model.sample(4, condition, seed=7, jit=False).numpy()
    first, second = (None, None) if condition is None else np.split(condition, 2)
    cut = [
        model.sample(2, first, seed=7, streams=[0, 1], jit=False),
        model.sample(2, second, seed=7, streams=2, jit=False),
    ]
    np.testing.assert_array_equal(np.concatenate(cut), whole)
    assert not np.array_equal(model.sample(4, condition, seed=8, jit=False), whole)
    alike = None if condition is None else np.repeat(condition[:1], 4, axis=0)
    drawn = model.sample(4, alike, seed=7, jit=False).numpy()
    assert not np.array_equal(drawn[0], drawn[1])


@every_model_in_turn
def test_completion_keeps_known_values_and_draws_the_others(model):
    given, condition = images_of(model, 4, seed=5), condition_of(model, 4)
    free = model.sample(4, condition, seed=9, jit=False)
    known = np.random.default_rng(0).random(given.shape) < 0.5
    arguments = {"condition": condition, "given": given, "seed": 9, "jit": False}
    completed = model.sample(known=known, **arguments).numpy()
    np.testing.assert_array_equal(completed[known], given[known])
    assert not np.array_equal(completed[~known], given[~known])
    nothing = model.sample(known=np.zeros_like(known), **arguments)
    np.testing.assert_array_equal(nothing, free)


# 5: conditions


@every_condition
def test_every_weight_gets_a_gradient(case):
    model = build(case)
    images, condition = images_of(model, 6), condition_of(model, 6)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.training_loss(images, condition, training=True))
    weights = model.trainable_variables
    for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
        assert gradient is not None, weight.path
        if model.condition_kind == "label" and "condition/kernel" in weight.path:
            size = np.abs(gradient).sum(axis=(0, 1, 3))
            assert (size > 0).all(), weight.path  # of every class
        assert np.abs(gradient).max() > 0, weight.path


@every_condition
def test_the_condition_changes_the_distribution_of_every_value(case):
    model = build(case, dtype="float64")
    images = np.repeat(images_of(model, 1), 2, axis=0)
    parameters = model(images, condition_of(model, 2)).numpy()
    assert (np.abs(parameters[0] - parameters[1]).max(axis=-1) > 0).all()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("condition", ["label", "label-map"])
def test_each_class_has_weights_of_its_own(family, condition):
    """A label is never a number: images of class 4 tell nothing of other classes' weights."""
    classes = 7  # a size that nothing else has
    model = build((family, "gray", condition), condition_size=classes)
    with tf.GradientTape() as tape:
        images = images_of(model, 3)
        loss = tf.reduce_mean(model.training_loss(images, np.array([4] * 3), training=True))
    weights = [weight for weight in model.trainable_variables if classes in weight.shape]
    assert weights
    for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
        rows = np.moveaxis(gradient.numpy(), tuple(weight.shape).index(classes), 0)
        touched = np.abs(rows).reshape(classes, -1).max(axis=1) > 0
        assert np.flatnonzero(touched).tolist() == [4], weight.path


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("label", [-1, 3])
def test_labels_out_of_range_are_refused(family, label):
    model = build((family, "gray", "label"))
    for call in (
        lambda: model.log_prob(images_of(model, 2), np.array([0, label])),
        lambda: model.sample(condition=np.array([0, label])),
    ):
        with pytest.raises(ValueError, match=r"labels must be 0…2 .* got"):
            call()


# 6: round trips


@every_model
def test_a_saved_model_is_the_same_model(model, tmp_path):
    other = reloaded(model, tmp_path)
    images, condition = images_of(model, 4), condition_of(model, 4)
    np.testing.assert_array_equal(
        other.log_prob(images, condition), model.log_prob(images, condition)
    )
    np.testing.assert_array_equal(
        other.sample(4, condition, seed=2, jit=False), model.sample(4, condition, seed=2, jit=False)
    )


@every_family
def test_an_exported_model_is_the_same_model_at_any_batch_size(model, tmp_path):
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


# 10: the sampling law


@of_families(
    ((1, 2, 1), 3, "categorical"),
    ((2, 2, 1), 2, "bernoulli"),
    ((1, 1, 3), 2, "categorical"),
    ((1, 1, 3), 3, "mixture"),
    ((2, 2, 1), 3, "mixture"),
    ((2, 1, 1), 3, "logistic"),
)
@pytest.mark.parametrize("complete", [False, True], ids=["free", "completion"])
def test_samples_follow_the_models_own_distribution(family, shape, levels, likelihood, complete):
    model = build((family, "gray", "none"), image_shape=shape, levels=levels, likelihood=likelihood)
    num, values = 20_000, int(np.prod(shape))
    everything = np.array(list(itertools.product(range(levels), repeat=values)))
    log_prob = model.log_prob(everything.reshape(-1, *shape).astype(np.uint8)).numpy()
    arguments = {}
    if complete:  # the first value is given: what follows has the conditional distribution
        first = np.zeros(shape, bool)
        first.flat[0] = True
        given = np.full((1, *shape), levels - 1, np.uint8)
        arguments = {"given": given, "known": first}
        log_prob = np.where(everything[:, 0] == levels - 1, log_prob, -np.inf)
    probability = np.exp(log_prob.astype(np.float64))
    probability /= probability.sum()
    drawn = model.sample(num, seed=11, jit=False, **arguments).numpy().reshape(num, -1)
    index = np.ravel_multi_index(drawn.T, (levels,) * values)
    counts = np.bincount(index, minlength=len(everything))
    assert counts[probability == 0].sum() == 0
    rare = probability * num < 5
    expected = np.append(probability[~rare], probability[rare].sum()) * num
    observed = np.append(counts[~rare], counts[rare].sum())
    kept = expected > 0
    statistic = np.sum((observed - expected)[kept] ** 2 / expected[kept])
    freedom = kept.sum() - 1
    # The chi-square distribution has mean k and variance 2k; this is beyond its 99.99 % quantile.
    assert statistic < freedom + 4.5 * np.sqrt(2 * freedom) + 8
