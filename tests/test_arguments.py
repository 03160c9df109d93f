"""Arguments of the wrong kind are refused in one sentence, by every public method."""

import numpy as np
import pytest
import tensorflow as tf
from families import build, images_of

import gated_pixelcnn as gpc
from gated_pixelcnn.spec import ImageSpec, condition_spec
from gated_pixelcnn.spec.conditions import Vector

OBJECTS = np.array([[None]], object)
LABELS = np.arange(6) % 3


@pytest.fixture(scope="module")
def models():
    """A model with labels, one of several stages and one with latent variables."""
    return {
        "label": build(condition="label", condition_size=3),
        "auxiliary": build("auxiliary"),
        "vae": build("vae"),
    }


@pytest.mark.parametrize("name", ["label", "auxiliary", "vae"])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seed": None}, "seed must be an integer .*, got None"),
        ({"seed": 1.5}, "seed must be an integer .*, got 1.5"),
        ({"seed": 2.0}, "seed must be an integer .*, got 2.0"),
        ({"seed": "1"}, "seed must be an integer .*, got '1'"),
        ({"seed": True}, "seed must be an integer .*, got True"),
        ({"seed": 2**63}, "seed must be from .*, got 9223372036854775808"),
        ({"num": 2.0}, "num must be an integer of at least 1, got 2.0"),
        ({"num": 0}, "num must be at least 1, got 0"),
        ({"num": "2"}, "num must be an integer of at least 1, got '2'"),
        ({"num": np.float32(2)}, "num must be an integer of at least 1"),
        ({"temperature": None}, "temperature must be a number, got None"),
        ({"temperature": "1"}, "temperature must be a number, got '1'"),
        ({"temperature": [1.0]}, r"temperature must be a number, got \[1.0\]"),
        ({"temperature": True}, "temperature must be a number, got True"),
        ({"temperature": np.inf}, r"temperature must be 1e-06…1e\+06, got inf"),
        ({"jit": "no"}, "jit must be True or False, got 'no'"),
        ({"most_probable": 1}, "most_probable must be True or False, got 1"),
        ({"example_seeds": OBJECTS}, "example_seeds must be an array of numbers, got object"),
        ({"example_seeds": 0.5}, "example_seeds must be an integer or integers"),
    ],
    ids=str,
)
def test_every_method_that_samples_refuses_arguments_of_the_wrong_kind(
    models, name, wrong, message
):
    model = models[name]
    arguments = {"num": 6, "jit": False} | wrong
    if name == "label":
        arguments["condition"] = LABELS
    for method in (model.sample, model.sample_stages):
        with pytest.raises(ValueError, match=message):
            method(**arguments)


def test_integers_of_every_kind_are_integers(models):
    model = models["label"]
    wanted = model.sample(3, LABELS[:3], seed=2**40, jit=False)
    for integer in (np.int64, lambda x: np.array(x, np.int64), lambda x: tf.constant(x, tf.int64)):
        found = model.sample(integer(3), LABELS[:3], seed=integer(2**40), jit=False)
        np.testing.assert_array_equal(found, wanted)
    assert not np.array_equal(model.sample(3, LABELS[:3], seed=2**40 + 1, jit=False), wanted)


def test_booleans_and_seeds_of_every_kind_are_taken(models):
    wanted = models["label"].sample(3, LABELS[:3], example_seeds=[4, 5, 6], jit=False)
    found = models["label"].sample(
        3, LABELS[:3], example_seeds=tf.constant([4, 5, 6]), jit=np.False_
    )
    np.testing.assert_array_equal(found, wanted)


def test_latents_that_are_not_finite_are_refused(models):
    latents = np.full((1, *models["vae"].network.latent_shape), np.nan)
    for call in (
        lambda: models["vae"].sample_stages(stage=latents),
        lambda: models["vae"].show_latents(latents),
    ):
        with pytest.raises(ValueError, match="latents have values that are not finite"):
            call()


@pytest.mark.parametrize(
    "wrong", [OBJECTS, np.array(["a"]), [[1], [2, 3]], np.zeros((6, 4, 4, 1), complex)], ids=str
)
def test_arrays_that_hold_no_numbers_are_refused(models, wrong):
    model, vae, auxiliary = (models[name] for name in ("label", "vae", "auxiliary"))
    images, known = images_of(model), np.ones((4, 4, 1), bool)
    calls = {
        "images": [
            lambda: model.log_prob(wrong, LABELS),
            lambda: model.value_log_prob(wrong, LABELS),
            lambda: model.log_prob_terms(wrong, LABELS),
            lambda: vae.importance_log_prob(wrong, 1),
            lambda: vae.encode_latents(wrong),
            lambda: gpc.evaluate(models["auxiliary"], wrong),
        ],
        "given": [lambda: model.sample(condition=LABELS, given=wrong, known=known)],
        "known": [lambda: model.sample(condition=LABELS, given=images, known=wrong)],
        "view": [lambda: auxiliary.sample_stages(stage=wrong)],
        "latents": [lambda: vae.sample_stages(stage=wrong), lambda: vae.show_latents(wrong)],
        "example_seeds": [lambda: vae.draw_latents(0, wrong)],
    }
    for name, refused in calls.items():
        for call in refused:
            with pytest.raises(ValueError, match=f"{name} must be an array of numbers"):
                call()
    if not all(isinstance(x, str) for x in wrong):  # which are names of classes
        with pytest.raises(ValueError, match="condition must be an array of numbers"):
            model.log_prob(images, wrong)


@pytest.mark.parametrize("wrong", [3, [[1]], [0.5]], ids=str)
def test_latents_are_drawn_for_a_list_of_seeds(models, wrong):
    with pytest.raises(ValueError, match=r"example_seeds must be integers \[N\], got"):
        models["vae"].draw_latents(0, wrong)


def test_no_image_at_all_is_refused(models):
    for name in ("auxiliary", "vae"):
        none = images_of(models[name])[:0]
        for method in (models[name].log_prob, models[name].log_prob_terms):
            with pytest.raises(ValueError, match="images must be at least one, got an array of"):
                method(none)


def test_given_images_that_do_not_fit_are_named(models):
    images = images_of(models["label"])
    for given in (images / 2, images[..., :0], images + 100):
        with pytest.raises(ValueError, match="^given must "):
            models["label"].sample(6, LABELS, given=given, known=True)


def test_ordered_images_have_at_most_four_channels():
    with pytest.raises(ValueError, match="at most 4 channels of ordered values, got .4, 4, 5."):
        ImageSpec((4, 4, 5), 16)
    assert ImageSpec((4, 4, 5), 16, "categorical").is_categorical


def test_numbers_of_draws_and_batches_are_integers(models):
    model, vae = models["auxiliary"], models["vae"]
    images = images_of(vae)
    for name, call in {
        "draws": lambda wrong: vae.importance_log_prob(images, wrong),
        "draw": lambda wrong: vae.encode_latents(images, wrong),
        "seed": lambda wrong: vae.draw_latents(wrong, [0]),
        "batch_size": lambda wrong: gpc.evaluate(model, images, batch_size=wrong),
    }.items():
        for wrong in (None, 1.5, 2.0, "2", True):
            with pytest.raises(ValueError, match=f"{name} must be an integer"):
                call(wrong)


@pytest.mark.parametrize("family", ["vae", "agave"])
@pytest.mark.parametrize("method", ["encode_latents", "show_latents", "importance_log_prob"])
def test_a_model_that_nobody_has_built_is_built_by_whatever_is_asked_first(family, method):
    model = build(family)
    images = images_of(model)
    first = {
        "encode_latents": lambda: model.encode_latents(images),
        "show_latents": lambda: model.show_latents(np.zeros((2, *model.network.latent_shape))),
        "importance_log_prob": lambda: model.importance_log_prob(images, 1),
    }
    first[method]()
    assert model.built
    assert model.sample(2, jit=False).shape == (2, *model.image_shape)


def test_an_export_takes_images_to_be_conditioned_on_in_the_type_of_its_own():
    for levels, dtype in ((256, tf.uint8), (1000, tf.uint16)):
        images = ImageSpec((4, 4, 1), levels)
        assert condition_spec("image", 2, images).served()["image"].dtype == dtype


def test_numbers_too_large_for_an_export_are_refused_before_it_runs():
    served = Vector(2, ImageSpec((4, 4, 1), 16), as_served=True)
    with pytest.raises(ValueError, match=r"vector condition must be numbers of at most 1e\+30"):
        served.check(np.array([[1e35, 0]]), 1)
    assert served.check(np.array([[1e29, 0]]), 1).shape == (1, 2)
