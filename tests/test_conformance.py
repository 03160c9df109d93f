"""What every family must hold: causality, probabilities, conditions and training.

What it must hold when images are drawn and models are saved is in test_conformance_sampling.py.
"""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from conformance import (
    CASES,
    FEWER,
    IN_TURN,
    PLAIN,
    build,
    cases,
    computed,
    condition_of,
    density,
    dependencies,
    earlier,
    exact,
    is_colour,
    is_colour_of_a_main_family,
    is_of_the_first_family,
    is_one_of_a_main_family,
    is_quick,
    of_families,
    reloaded,
    tiny_model,
)
from families import EXACT, FAMILIES, MAIN, images_of
from family import CONDITIONS

BY_CONDITION = [
    (name, "gray", c) for name in EXACT for c in CONDITIONS if FAMILIES[name].depends_on(c)
]
OTHERS = [case for case in FEWER if not FAMILIES[case[0]].is_exact]
# Weights that only training needs: averages of codebooks, the auxiliary term of AGAVE.
OF_TRAINING = {"agave": ("network/log_scales",)}
OF_CODEBOOKS = ("quantizer/counts", "quantizer/sums")
every_condition = cases(BY_CONDITION, lambda case: case[0] in MAIN)

# 1 and 2: causality, no blind spot


@cases(exact(CASES), lambda case: case in IN_TURN and is_quick(case))
def test_parameters_depend_on_all_earlier_values_and_on_no_others(case):
    check_dependencies(case, build(case, dtype="float64"))


@cases(exact(CASES), is_one_of_a_main_family)
def test_a_reloaded_model_depends_on_all_earlier_values_and_on_no_others(case, tmp_path):
    check_dependencies(case, reloaded(build(case, dtype="float64"), tmp_path))


def check_dependencies(case, model):
    """Fails where parameters see a later value or, of a family without blind spot, not all."""
    seen, allowed = dependencies(model), earlier(model)
    assert np.argwhere(seen & ~allowed).tolist() == []
    if not FAMILIES[case[0]].has_blind_spot:
        assert np.argwhere(~seen & allowed).tolist() == []


# 3: normalised


@of_families(
    ((2, 2, 1), 3, "categorical"),
    ((2, 3, 1), 2, "bernoulli"),
    ((1, 2, 3), 2, "categorical"),
    ((1, 2, 3), 2, "independent"),
    ((2, 1, 3), 3, "logistic"),
    ((1, 2, 3), 3, "mixture"),
    ((2, 2, 1), 4, "mixture"),
)
def test_probabilities_of_all_images_sum_to_one(family, shape, levels, likelihood):
    model = tiny_model(family, shape, levels, likelihood)
    everything = np.array(list(itertools.product(range(levels), repeat=int(np.prod(shape)))))
    log_prob = model.log_prob(everything.reshape(-1, *shape).astype(np.uint8))
    assert np.exp(log_prob.numpy().astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)


@cases(density(PLAIN), is_colour_of_a_main_family)
def test_no_log_probability_hides_a_weight_that_is_not_a_number(case):
    model = build(case)
    images = images_of(model, 2)
    for weight in model.weights:
        kept = np.array(weight)
        unread = weight.path.endswith(OF_TRAINING.get(model.family, OF_CODEBOOKS))
        if unread or not np.issubdtype(kept.dtype, np.floating):
            continue
        weight.assign(np.full(kept.shape, np.nan))
        assert not np.isfinite(model.log_prob(images)).any(), weight.path
        weight.assign(kept)
    assert np.isfinite(model.log_prob(images)).all()


@cases(density(PLAIN), is_colour_of_a_main_family)
def test_log_probabilities_and_gradients_change_no_weight(case):
    """A mask is never written into a kernel: replicas could not, and loading would not."""
    model = build(case)
    images, before = images_of(model, 2), [np.array(weight) for weight in model.weights]
    model.log_prob(images)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.training_loss(images, None, training=True))
    tape.gradient(loss, model.trainable_variables)
    for kept, weight in zip(before, model.weights, strict=True):
        if "seed_generator" not in weight.path:
            np.testing.assert_array_equal(weight, kept, weight.path)


# 5: conditions


@cases(BY_CONDITION + OTHERS, lambda case: case not in BY_CONDITION or case[0] in MAIN)
def test_every_weight_gets_a_gradient(case):
    model = build(case)
    images, condition = images_of(model, 6), condition_of(model, 6)
    if condition is None and model.takes_labels:  # those of an embedding
        condition = np.arange(6) // 2
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.training_loss(images, condition, training=True))
    weights = model.trainable_variables
    for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
        assert gradient is not None, weight.path
        if (
            case in BY_CONDITION
            and model.condition_kind == "label"
            and "condition/kernel" in weight.path
        ):
            size = np.abs(gradient).sum(axis=(0, 1, 3))
            assert (size > 0).all(), weight.path  # of every class
        assert np.abs(gradient).max() > 0, weight.path


@every_condition
def test_the_condition_changes_the_distribution_of_every_value(case):
    model = build(case, dtype="float64")
    images = np.repeat(images_of(model, 1), 2, axis=0)
    parameters = model(images, condition_of(model, 2)).numpy()
    assert (np.abs(parameters[0] - parameters[1]).max(axis=-1) > 0).all()


@pytest.mark.parametrize(
    "family", [f if f in MAIN else pytest.param(f, marks=pytest.mark.slow) for f in EXACT]
)
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


@pytest.mark.parametrize("family", [*EXACT, "auxiliary", "vq_prior", "code_hierarchy"])
@pytest.mark.parametrize("label", [-1, 3])
def test_labels_out_of_range_are_refused(family, label):
    model = build((family, FAMILIES[family].values[0], "label"))
    for call in (
        lambda: model.log_prob(images_of(model, 2), np.array([0, label])),
        lambda: model.sample(condition=np.array([0, label])),
    ):
        with pytest.raises(ValueError, match=r"labels must be 0…2 .* got"):
            call()


# Training with less memory


@cases(exact(PLAIN), lambda case: is_colour(case) and is_of_the_first_family(case))
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
    assert convolutions[True] >= 1.4 * convolutions[False]


@pytest.mark.parametrize(
    "dtype", ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)]
)
@cases(density(PLAIN), is_colour_of_a_main_family)
def test_half_precision_keeps_weights_and_log_probabilities_in_float32(case, dtype):
    exact, half = build(case), build(case, dtype)
    images = images_of(exact, 3)
    assert all(weight.dtype == "float32" for weight in half.trainable_variables)
    nats, wanted = computed(half, images), computed(exact, images).numpy()
    assert nats.dtype == (tf.float32 if FAMILIES[case[0]].is_exact else tf.float64)
    # On average: a value in the steep tail of a narrow mixture may be off by more.
    assert np.abs(nats - wanted).mean() < 0.05 + 0.03 * np.abs(wanted).mean()
    assert not np.array_equal(nats, wanted)
    if not FAMILIES[case[0]].is_exact:  # those are drawn from below, by their cached networks
        assert half.sample(2, jit=False).shape == (2, *half.image_shape)


@pytest.mark.parametrize("family", [*(f for f in EXACT if f in MAIN), "vae"])
def test_half_precision_rounds_no_mean_of_a_logistic(family):
    """bfloat16 has one number in 1/128 near 1: half a bin of 256 levels."""
    exact = FAMILIES[family].is_exact
    own = {"likelihood": "mixture", "components": 1} if exact else {}
    model = build((family, "gray", "none"), "mixed_bfloat16", levels=256, **own)
    layer = {"vae": lambda: model.network.resize[-1], "pixelcnn_pp": lambda: model.head}
    layer = layer.get(family, lambda: model.head.output_conv)()
    size = layer.length if hasattr(layer, "length") else layer.kernel
    size.assign(np.zeros(size.shape))
    level = 254
    of_mean = 1 if exact else 0  # after the logit of the component
    bias = np.zeros(layer.bias.shape)
    bias[of_mean] = 2 * level / 255 - 1
    layer.bias.assign(bias)
    drawn = model.sample(2, most_probable=True, jit=False)
    np.testing.assert_array_equal(drawn, np.full(drawn.shape, level))
    if exact:
        parameters = model(drawn)
        np.testing.assert_allclose(parameters[..., of_mean], bias[of_mean], rtol=1e-6)
