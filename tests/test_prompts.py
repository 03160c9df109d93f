import keras
import numpy as np
import pytest
from PIL import Image
from scripts import prompts

from gated_pixelcnn import visualization
from gated_pixelcnn.cli.tasks import interpolate
from gated_pixelcnn.data.photos import read_images
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.models.families.gated_pixelcnn import GatedPixelCNN

NAMES = ["shirt", "bag", "boot"]


def model_of(condition, **arguments):
    keras.utils.set_random_seed(0)
    model = GatedPixelCNN((6, 5, 1), 4, features=8, layers=2, condition=condition, **arguments)
    model.build()
    for weight in model.trainable_variables:
        weight.assign(np.random.default_rng(len(weight.shape)).normal(size=weight.shape) * 0.7)
    return model


@pytest.fixture(scope="module")
def labelled():
    return model_of("label", condition_size=3)


@pytest.fixture(scope="module")
def autoencoder():
    return model_of("image", code_size=4, encoder_features=4)


@pytest.fixture
def photos(tmp_path):
    """Two image files."""
    paths = []
    for name in "ab":
        array = np.random.default_rng(ord(name)).integers(0, 256, (6, 5)).astype(np.uint8)
        paths.append(str(tmp_path / f"{name}.png"))
        Image.fromarray(array).save(paths[-1])
    return paths


def sampled(model, wanted, seed=0):
    return np.asarray(
        model.sample(
            condition=wanted.condition, example_seeds=wanted.example_seeds, seed=seed, jit=False
        )
    )


def test_a_row_goes_from_one_class_to_the_other_with_the_same_random_numbers(labelled):
    wanted = prompts(labelled, NAMES, interpolate=["bag,2", "0,bag"], num=10)
    assert (wanted.rows, wanted.num) == (2, 10)
    assert wanted.example_seeds.tolist() == [0, 1] * 5
    drawn = sampled(labelled, wanted)
    for image, label, example_seed in [(0, 1, 0), (8, 2, 0), (1, 0, 1), (9, 1, 1)]:
        alone = labelled.sample(condition=[label], example_seeds=example_seed, jit=False)
        np.testing.assert_array_equal(drawn[image], alone[0])
    np.testing.assert_allclose(wanted.condition[4], [0, 0.5, 0.5])


def test_a_row_goes_from_the_code_of_one_image_to_that_of_the_other(autoencoder, photos):
    wanted = prompts(autoencoder, interpolate=[",".join(photos)], num=3)
    images = np.stack([read_images(path, (6, 5, 1), 4)[0] for path in photos])
    codes = np.asarray(autoencoder.encode(images))
    np.testing.assert_allclose(
        wanted.condition, [codes[0], codes.mean(axis=0), codes[1]], rtol=1e-5
    )
    drawn = sampled(autoencoder, wanted)
    alone = autoencoder.sample(condition=images, example_seeds=[0, 0], jit=False)
    np.testing.assert_array_equal(drawn[[0, 2]], alone)


def test_the_spherical_way_keeps_the_length_and_the_linear_one_is_straight():
    start, end = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    for t in (0, 0.25, 0.5, 1):
        assert np.linalg.norm(interpolate.spherical(start, end, t)) == pytest.approx(1)
        angle = np.arctan2(*interpolate.spherical(start, end, t)[1::-1])
        assert angle == pytest.approx(t * np.pi / 2)
        np.testing.assert_allclose(interpolate.linear(start, end, t), [1 - t, t, 0])
    np.testing.assert_allclose(interpolate.spherical(start, 3 * end, 1), 3 * end, atol=1e-12)
    np.testing.assert_allclose(interpolate.spherical(start, start, 0.3), start)
    np.testing.assert_allclose(interpolate.spherical(start, -start, 0.25), [0.5, 0, 0])


def test_images_like_others_stand_in_rows_beside_them(autoencoder, photos, tmp_path):
    wanted = prompts(autoencoder, like=str(tmp_path), num=6)
    originals = np.stack([read_images(path, (6, 5, 1), 4)[0] for path in photos])
    np.testing.assert_array_equal(wanted.condition, originals[[0, 1] * 3])
    np.testing.assert_array_equal(wanted.shown[:, 0], visualization.to_bytes(originals, 4))
    assert wanted.rows == 2 and wanted.example_seeds.tolist() == list(range(6))


def test_several_images_are_completed_like_one(autoencoder, photos, tmp_path):
    wanted = prompts(autoencoder, given=str(tmp_path), keep_rows=3, like=photos[1])
    originals = np.stack([read_images(path, (6, 5, 1), 4)[0] for path in photos])
    np.testing.assert_array_equal(wanted.given, originals[[0, 1] * 4])
    np.testing.assert_array_equal(wanted.condition, originals[[1] * 8])
    np.testing.assert_array_equal(wanted.known[:, 0, 0], [True] * 3 + [False] * 3)


def test_rows_of_classes_are_named(labelled):
    assert prompts(labelled, NAMES, label="all").names == NAMES
    assert prompts(labelled, label="2,0").names == ["2", "0"]
    assert prompts(labelled, NAMES, label="2").names is None


def test_names_are_written_beside_their_rows():
    grid = np.zeros((40, 30, 3), np.uint8)
    captioned = visualization.captioned(grid, ["coat", ""])
    margin = captioned[:, :-30]
    np.testing.assert_array_equal(captioned[:, -30:], grid)
    assert (margin[:20] == 255).any() and (margin[20:] == visualization.UNDRAWN).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"interpolate": ["bag"]}, "needs two ends with a comma between them, .*got 'bag'"),
        ({"interpolate": ["bag,"]}, "needs two ends"),
        ({"interpolate": ["bag,hat"]}, "--interpolate: hat is neither"),
        ({"interpolate": ["0,1"], "label": "0"}, "leave out --label"),
        ({"interpolate": ["0,1"], "saved_model": "a"}, "--interpolate needs --workdir"),
        ({"like": "a.png", "label": "0"}, "not conditioned on an image"),
    ],
)
def test_prompts_that_a_model_of_classes_cannot_use_are_refused(labelled, values, message):
    with pytest.raises(UserError, match=message):
        prompts(labelled, NAMES, **values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "conditioned on an image: give one, a directory or an npz file by --like"),
        ({"label": "0"}, "this model is conditioned on an image"),
        ({"interpolate": ["a.png"]}, "needs two ends"),
        ({"interpolate": ["a.npz,b.png"]}, "a.npz is not one"),
        ({"interpolate": ["missing.png,b.png"]}, "missing.png"),
    ],
)
def test_prompts_that_a_model_of_images_cannot_use_are_refused(autoencoder, values, message):
    with pytest.raises(UserError, match=message):
        prompts(autoencoder, **values)


def test_an_unconditional_model_has_no_ways_between():
    with pytest.raises(UserError, match="neither on a class nor on an image"):
        prompts(model_of(None), interpolate=["0,1"])
