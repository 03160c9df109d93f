"""Two models that share an image between them: the bound, its terms, and how it is drawn from."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import gated_pixelcnn as gpc
from gated_pixelcnn import configs, sampling
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.models.families.auxiliary import AuxiliaryModel
from gated_pixelcnn.models.request import Request
from gated_pixelcnn.models.transforms import Grayscale, Half

SMALL = {"family": "gated_pixelcnn", "features": 6, "layers": 2, "first_kernel_size": 3}


def build(image_shape=(4, 6, 1), levels=4, dtype="float32", seed=0, **changes):
    """A model with random weights, biases too, of a size that makes dependence visible."""
    keras.utils.set_random_seed(1)
    model = AuxiliaryModel(
        image_shape,
        levels,
        dtype=dtype,
        **{"prior": SMALL, "conditional": SMALL, "embedding_features": 3, **changes},
    )
    model.build()
    random = np.random.default_rng(seed)
    for weight in model.trainable_variables:
        fan = np.prod(weight.shape[:-1]) or 1
        weight.assign(random.normal(size=weight.shape) * (1.5 / np.sqrt(fan)))
    return model


LABEL = {"condition": "label", "condition_size": 3}
NESTED = {
    "image_shape": (8, 8, 1),
    "prior": {"family": "auxiliary", "embedding_features": 2, "prior": SMALL, "conditional": SMALL},
}

RESNET = {"embedding": "resnet", "embedding_blocks": 1, "levels": 5}
PLUS_PLUS = {"family": "pixelcnn_pp", "features": 4, "blocks": 1, "scales": 1, "dropout": 0.0}


def both(family, **arguments):
    """Both submodels of one family."""
    part = {"family": family, "features": 6, "first_kernel_size": 3, "layers": 2, **arguments}
    return {"prior": part, "conditional": part}


KINDS = {
    "unconditional": {},
    "label": LABEL,
    "label-map": LABEL | {"spatial_features": 2},
    "vector": {"condition": "vector", "condition_size": 2},
    "colour": LABEL | {"image_shape": (4, 2, 3), "levels": 3},
    "three-scales": LABEL | NESTED,
    "gray": LABEL
    | RESNET
    | {"transform": "grayscale", "image_shape": (6, 4, 3)}
    | {"prior": PLUS_PLUS, "conditional": PLUS_PLUS | {"scales": 2}},
    "pyramid": RESNET | {"image_shape": (4, 6, 3), "prior": PLUS_PLUS, "conditional": PLUS_PLUS},
    "pixelcnn": LABEL | both("pixelcnn"),
    "row_lstm": both("row_lstm", layers=1),
    "diagonal_bilstm": both("diagonal_bilstm", layers=1),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def with_kinds(*quick):
    """Parametrizes by kind; those that are not `quick` are left to `make test-full`."""
    slow = pytest.mark.slow
    return pytest.mark.parametrize(
        "kind",
        [pytest.param(kind, marks=() if name in quick else slow) for name, kind in KINDS.items()],
        ids=KINDS,
    )


def images_of(model, num, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, model.levels, (num, *model.image_shape)).astype(np.uint8)


def condition_of(model, num):
    if model.condition_kind == "vector":
        return np.random.default_rng(1).normal(size=(num, model.condition_size)).astype(np.float32)
    return None if model.condition_kind is None else np.arange(num) % model.condition_size


# The view


def test_half_is_the_rounded_mean_of_squares():
    image = np.array([[0, 1, 3, 3], [1, 0, 2, 3], [7, 7, 0, 0], [7, 7, 0, 1]], np.uint8)
    # Means 0.5, 2.75, 7 and 0.25.
    found = Half((4, 4, 1), 8)(image[None, ..., None])
    assert found.numpy()[0, ..., 0].tolist() == [[1, 3], [7, 0]]
    white = np.full((1, 4, 4, 3), 255, np.uint8)
    assert (Half((4, 4, 3), 256)(white).numpy() == 255).all()


# The bound


@every_kind
def test_the_bound_is_the_prior_of_the_view_and_the_conditional_given_it(kind):
    model = build(**kind)
    images, condition = images_of(model, 5), condition_of(model, 5)
    view = model.transform(images)
    prior = model.prior.log_prob(view, condition)
    rest = model.conditional.log_prob(images, model.maps(view, condition))
    terms = model.log_prob_terms(images, condition)
    np.testing.assert_allclose(terms, np.stack([prior, rest], axis=1), rtol=1e-5)
    np.testing.assert_allclose(model.log_prob(images, condition), prior + rest, rtol=1e-5)
    assert model.is_lower_bound and len(model.terms) == 2


def marginal(model):
    """Exact log p(x) of all images of a tiny model: the sum over all views; with the images."""
    shape, view_shape = model.image_shape, model.transform.image_shape
    images, views = (
        np.array(
            list(itertools.product(range(model.levels), repeat=int(np.prod(s)))), np.uint8
        ).reshape(-1, *s)
        for s in (shape, view_shape)
    )
    joint = [
        model.prior.log_prob(view[None])
        + model.conditional.log_prob(images, np.repeat(model.maps(view[None]), len(images), 0))
        for view in views
    ]
    return images, np.logaddexp.reduce(np.array(joint, np.float64))


def test_the_bound_is_below_the_exact_log_probability_which_sums_to_one():
    model = build((2, 2, 1), 3)
    images, exact = marginal(model)
    assert np.exp(exact).sum() == pytest.approx(1, abs=1e-5)
    bound = model.log_prob(images).numpy()
    assert (bound < exact).all()
    assert np.exp(bound.astype(np.float64)).sum() < 1


def test_images_are_drawn_from_the_marginal():
    model = build((2, 2, 1), 2, seed=10)
    for weight in model.trainable_variables:  # nothing is rare, and x depends strongly on its view
        strong = "embedding" in weight.path or "condition/" in weight.path
        weight.assign(weight * (4 if strong else 0.6))
    images, exact = marginal(model)
    num = 20_000
    drawn = model.sample(num, seed=3, jit=False).numpy().reshape(num, -1)
    counts = np.bincount(np.ravel_multi_index(drawn.T, (2,) * 4), minlength=len(images))
    expected = np.exp(exact) * num
    assert expected.min() > 5
    statistic = np.sum((counts - expected) ** 2 / expected)
    freedom = len(images) - 1
    assert statistic < freedom + 4.5 * np.sqrt(2 * freedom) + 8  # beyond the 99.99 % quantile


# Who sees what


def test_the_prior_sees_the_view_alone_and_the_conditional_no_later_value():
    model = build(dtype="float64")
    images = images_of(model, 1)
    view = model.transform(images)
    # Another image of the same view: two values of a square exchanged.
    other = images.copy()
    row, column = np.argwhere(images[0, :-1, :, 0] != images[0, 1:, :, 0])[0]
    row -= row % 2
    if images[0, row, column, 0] == images[0, row + 1, column, 0]:
        row += 2
    other[0, [row, row + 1], column] = images[0, [row + 1, row], column]
    np.testing.assert_array_equal(model.transform(other), view)
    both = model.log_prob_terms(np.concatenate([images, other])).numpy()
    assert both[0, 0] == both[1, 0] and both[0, 1] != both[1, 1]
    # The maps being what they are, values before the first that differs keep their probabilities.
    maps = np.repeat(model.maps(view), 2, axis=0)
    values = model.conditional.value_log_prob(np.concatenate([images, other]), maps).numpy()
    values = values.reshape(2, -1)
    first = row * images.shape[2] + column
    np.testing.assert_array_equal(values[0, :first], values[1, :first])


def test_every_value_depends_on_the_view_and_on_the_label():
    model = build(condition="label", condition_size=2)
    images = np.repeat(images_of(model, 1), 2, axis=0)
    views = images_of(model.prior, 2, seed=5)
    labels = np.array([0, 1])
    for maps in (model.maps(views, labels[[0, 0]]), model.maps(views[[0, 0]], labels)):
        found = model.conditional(images, maps).numpy()
        assert (np.abs(found[0] - found[1]).max(axis=-1) > 0).all()
    prior = model.prior(model.transform(images), labels).numpy()
    assert (np.abs(prior[0] - prior[1]).max(axis=-1) > 0).all()


# Sampling


@with_kinds("three-scales", "gray")
def test_a_sample_is_drawn_in_stages_from_example_seeds_of_their_own(kind):
    check_stages(build(**kind), jit=False)


@with_kinds("unconditional")
def test_a_sample_is_drawn_in_stages_with_xla(kind):
    check_stages(build(**kind), jit=True)


def check_stages(model, jit):
    """Fails where a sample is not what the submodels draw."""
    condition = condition_of(model, 4)
    found = model.sample(4, condition, seed=3, jit=jit)
    views = views_of(model, condition, jit)
    wanted = model.conditional.sample(4, model.maps(views, condition), seed=3, jit=jit)
    np.testing.assert_array_equal(found, wanted)
    assert not np.array_equal(views, model.prior.sample(4, condition, seed=3, jit=jit))


def views_of(model, condition, jit, far=2**32):
    """What the prior draws: from example seeds that a user cannot name."""
    example_seeds = tf.range(4, dtype=tf.int64) + far
    options = sampling.SamplingOptions(tf.constant(1.0))
    request = Request(4, condition, 3, options, None, None, example_seeds, jit)
    if not isinstance(model.prior, AuxiliaryModel):
        return model.prior.draw(request)[-1]
    views = views_of(model.prior, condition, jit, far + 2**32)
    maps = model.prior.maps(views, condition)
    return model.prior.conditional.draw(request._replace(condition=maps))[-1]


# Training with less memory


def test_rematerialisation_changes_no_gradient():
    model = build()
    images = images_of(model, 2)
    gradients = []
    for model.remat in (False, True):
        assert model.prior.remat == model.conditional.remat == model.remat

        @tf.function(autograph=False)
        def gradient():
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(model.training_loss(images, None, training=True))
            return tape.gradient(loss, [weight.value for weight in model.trainable_variables])

        gradients.append(gradient())
    for plain, again in zip(*gradients, strict=True):
        np.testing.assert_allclose(again, plain, rtol=1e-4, atol=1e-6)


# Arguments


def test_submodels_are_configured_by_sections_of_their_own():
    config = gpc.get_config("multiscale28", ["model.prior.features=7", "model.prior.layers=1"])
    assert (config.model.prior.features, config.model.conditional.features) == (7, 32)
    for key, message in (
        ("model.prior.featurs=3", r"did you mean 'model.prior.features'\?"),
        ("model.prior.family=gated_pixelcnn", "model.prior.family belongs to the preset"),
        ("model.prior=3", "'model.prior' is a section .* give its keys, such as 'model.prior."),
        ("model.prior.condition=label", "there is no configuration key 'model.prior.condition'"),
    ):
        with pytest.raises(UserError, match=message):
            gpc.get_config("multiscale28", [key])
    with pytest.raises(UserError, match="model.prior.family is 'nothing'"):
        configs.complete({"model": {"family": "auxiliary", "prior": {"family": "nothing"}}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_shape": (5, 4, 1)}, r"images of 5x4 .* cannot be halved: both must be even"),
        ({"transform": "hal"}, r"transform is 'hal'; did you mean 'half'\?"),
        ({"condition": "spatial", "condition_size": 2}, "must be None, 'label' or 'vector'"),
        ({"spatial_features": 2}, "need a condition"),
        ({"embedding_features": 0}, "embedding_features must be at least 1"),
        ({"prior": {"family": "embedding"}}, "family of prior must be one of"),
        ({"prior": {"family": ["embedding"]}}, "family of prior must be one of"),
        ({"prior": None}, "prior must be a dict of a family and its arguments"),
        ({"prior": SMALL | {"levels": 3}}, "without those that the whole sets"),
        ({"prior": SMALL | {"spatial_features": 2}}, r"prior \(.*\): .* need a condition"),
        ({"conditional": SMALL | {"layers": 0}}, "conditional: layers must be at least 1"),
        ({"conditional": SMALL | {"nothing": 0}}, "conditional: .*nothing"),
        ({"transform": ["half"]}, "transform is "),
        ({"image_shape": (4, 4)}, r"must be \(height, width, channels\)"),
        (
            NESTED | {"image_shape": (4, 6, 1)},
            r"prior \(of the small image of 4x6\): images of 2x3 .* cannot be halved",
        ),
    ],
)
def test_mistakes_are_told_in_one_sentence(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


def test_the_gray_view_is_the_luma_of_an_image_in_16_levels():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3)).astype(np.uint8)
    y = np.round(images @ np.array([0.299, 0.587, 0.114]) + 1e-9)
    np.testing.assert_array_equal(Grayscale((4, 5, 3), 256)(images)[..., 0], y // 16)
    few = Grayscale((1, 1, 3), 5)  # as many grays as levels, where these are fewer
    pixels = np.array([[4, 4, 4], [0, 4, 0]], np.uint8).reshape(2, 1, 1, 3)
    assert few.levels == 5 and few(pixels).numpy().ravel().tolist() == [4, 2]


def test_images_without_three_colours_have_no_gray_view():
    with pytest.raises(ValueError, match="images of 1 colours have no grayscale view"):
        Grayscale((4, 5, 1), 256)
