"""Configuration, levels, embedded data, fingerprints and held-out images."""

import json
import pathlib

import numpy as np
import pytest
from small_data import bytes_of, load, write_npz

import gated_pixelcnn as gpc
from gated_pixelcnn import configs, data
from gated_pixelcnn.data import fingerprint, preprocessing
from gated_pixelcnn.data.preprocessing import to_levels
from gated_pixelcnn.errors import UserError

# The configuration.


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"levels": 1}, ["data.levels", "2", "65536", "is 1"]),
        ({"levels": 65537}, ["data.levels", "65537"]),
        ({"levels": 2.0}, ["data.levels", "int", "2.0", "float"]),
        ({"grayscale": 1}, ["data.grayscale", "bool", "int"]),
        ({"image_size": -8}, ["data.image_size", "-8"]),
        ({"image_size": "8x"}, ["data.image_size", "'8x'", "48x64"]),
        ({"image_size": "8x8x8"}, ["data.image_size", "'8x8x8'"]),
        ({"image_size": "0x8"}, ["data.image_size", "a side of no pixels"]),
        ({"image_size": 8.0}, ["data.image_size", "int or str", "8.0"]),
        ({"resize": "pad"}, ["data.resize=pad needs data.image_size"]),
        ({"resize": "padd", "image_size": 8}, ["data.resize", "did you mean 'pad'"]),
        ({"crop": "1,2,3"}, ["data.crop", "top,bottom,left,right", "'1,2,3'"]),
        ({"crop": "1,2,3,-4"}, ["data.crop", "four margins", "-4"]),
        ({"validation": -2}, ["data.validation", "-2"]),
        ({"validation_seed": -1}, ["data.validation_seed", "-1"]),
        ({"memory_limit_mb": -1}, ["data.memory_limit_mb", "-1"]),
        ({"source": "tdfs:mnist"}, ["data.source", "tdfs:mnist", "did you mean 'tfds'"]),
        ({"source": "npz:"}, ["data.source", "needs a file"]),
    ],
)
def test_wrong_option_is_named_with_its_value(options, words):
    with pytest.raises(UserError) as error:
        data.DataConfig(**options)
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize(
    ("name", "value"), [("layout", "flat"), ("alpha", "drop"), ("frames", "all")]
)
def test_options_of_image_files_are_refused_elsewhere(name, value):
    with pytest.raises(UserError, match=f"data.{name}={value} is for folders of image files, but"):
        load("embedded:digits8", **{name: value})


# Levels.


@pytest.mark.parametrize("levels", [2, 3, 16, 17, 256])
def test_levels_are_equal_parts_of_the_bytes_and_all_occur(levels):
    values = np.arange(256, dtype=np.uint8)
    quantized = to_levels(values, levels, "bytes", source="")
    np.testing.assert_array_equal(quantized, np.floor(values * (levels / 256)))
    assert set(quantized) == set(range(levels))
    assert quantized.dtype == np.uint8


def test_two_levels_are_a_threshold_at_128():
    values = np.array([0, 127, 128, 255], np.uint8)
    assert to_levels(values, 2, "bytes", "").tolist() == [0, 0, 1, 1]


def test_resizing_averages_the_centre_square():
    image = np.zeros((4, 8, 1), np.uint8)
    image[:, :2] = 255  # outside of the centre square
    image[:2, 2:4, 0] = [[10, 20], [30, 41]]  # 25.25 on average
    image[2:, 4:6, 0] = [[10, 20], [30, 43]]  # 25.75
    square = preprocessing.to_size(image, (2, 2))
    assert square[..., 0].tolist() == [[25, 0], [0, 26]]


def test_images_come_to_a_size_that_is_not_square():
    """Of 4x8 pixels of which each quarter has one value, in two rows."""
    image = np.repeat([[0, 40, 80, 120], [100, 140, 180, 220]], 2, axis=1).astype(np.uint8)
    image = np.repeat(image, 2, axis=0)[..., None]
    assert image.shape == (4, 8, 1)
    for resize, size, wanted in (
        ("crop", (2, 2), [[40, 80], [140, 180]]),
        ("crop", (2, 4), [[0, 40, 80, 120], [100, 140, 180, 220]]),
        ("crop", (2, 1), [[60], [160]]),
        ("crop", (1, 2), [[70, 150]]),
        ("stretch", (2, 2), [[20, 100], [120, 200]]),
        ("stretch", (1, 4), [[50, 90, 130, 170]]),
        ("pad", (4, 4), [[0] * 4, [0, 40, 80, 120], [100, 140, 180, 220], [0] * 4]),
        ("pad", (3, 2), [[0, 0], [70, 150], [0, 0]]),
    ):
        found = preprocessing.to_size(image, size, resize)
        assert found[..., 0].tolist() == wanted, (resize, size)
    padded = preprocessing.to_size(image, (6, 10), "pad")
    np.testing.assert_array_equal(padded[1:5, 1:9], image)  # not enlarged
    assert padded.sum() == image.sum()
    for resize in ("crop", "stretch"):
        with pytest.raises(UserError, match="image_size=2x9 is larger than an image of 4x8"):
            preprocessing.to_size(image, (2, 9), resize)


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_a_height_and_a_width_are_those_of_the_model(tmp_path, resize):
    images = bytes_of((12, 9, 16, 3))
    source = write_npz(tmp_path / "a.npz", x_train=images)
    options = {"validation": 0, "image_size": "6x8", "resize": resize}
    bunch = load(source, **options)
    assert bunch.image_shape == (6, 8, 3)
    assert bunch.info == data.describe(data.DataConfig(source, **options))
    overrides = [f"data.{key}={value}" for key, value in options.items()]
    config = gpc.get_config("digits", overrides)
    assert (config.data.image_size, data.DataConfig(**config.data).size) == ("6x8", (6, 8))
    again = configs.complete(json.loads(config.to_json_best_effort()))
    assert again.data.image_size == "6x8"
    assert gpc.get_config("digits", ["data.image_size=7"]).data.image_size == 7


def test_margins_are_cut_off_before_anything_else(tmp_path):
    images = bytes_of((12, 9, 8, 3))
    source = write_npz(tmp_path / "a.npz", x_train=images)
    options = {"validation": 0, "crop": "1,2,3, 0"}
    found = load(source, **options)
    np.testing.assert_array_equal(found.train.take(12)[0], images[:, 1:7, 3:])
    assert found.image_shape == data.describe(data.DataConfig(source, **options)).image_shape
    options |= {"image_size": 4, "grayscale": True}
    found = load(source, **options)
    expected = preprocessing.to_gray(preprocessing.to_size(images[5, 1:7, 3:], (4, 4)))
    np.testing.assert_array_equal(found.train.take(12)[0][5], expected)
    assert found.image_shape == data.describe(data.DataConfig(source, **options)).image_shape
    with pytest.raises(UserError, match="image_size=8 is larger than an image of 8x7"):
        load(write_npz(tmp_path / "b.npz", x_train=images[:, :8]), crop="0,0,1,0", image_size=8)
    for crop in ("4,5,0,0", "0,0,4,4"):
        with pytest.raises(UserError, match=f"data.crop={crop} leaves nothing of an image of 9x8"):
            load(source, crop=crop)


def test_gray_is_the_luma_of_pil():
    import PIL.Image

    image = bytes_of((9, 7, 3))
    expected = np.asarray(PIL.Image.fromarray(image).convert("L"))
    np.testing.assert_array_equal(preprocessing.to_gray(image)[..., 0], expected)


# Embedded data.


def test_default_is_fashion_mnist_balanced_over_classes():
    bunch = load("embedded", validation=0)
    assert bunch.image_shape == (28, 28, 1)
    assert len(bunch.class_names) == bunch.num_classes == 10
    assert np.bincount(bunch.train.labels).tolist() == [400] * 10
    assert np.bincount(bunch.test.labels).tolist() == [100] * 10


def test_tiles_of_the_test_region_are_no_training_tiles():
    bunch = load("embedded:tiles32", validation=0)
    assert bunch.image_shape == (32, 32, 3)
    assert set(bunch.train.labels) == set(bunch.test.labels) == set(range(6))
    train = {image.tobytes() for image in bunch.train.images}
    assert len(train) == bunch.train.num_images
    assert not train & {image.tobytes() for image in bunch.test.images}


def test_digits_at_17_levels_are_the_native_values():
    stored = load("embedded:digits8", validation=0).train.images
    native = load("embedded:digits8", validation=0, levels=17).train.images
    np.testing.assert_array_equal(np.floor(native * (255 / 16) + 0.5), stored)
    assert set(np.unique(native)) == set(range(17))


def test_embedded_data_are_small_and_have_their_notice():
    folder = pathlib.Path(data.__file__).parent / "embedded"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 5_000_000
    notice = (folder / "NOTICE").read_text()
    assert "Copyright (c) 2017 Zalando SE" in notice
    assert all(f"{path.stem}.npz" in notice for path in folder.glob("*.npz"))


def test_unknown_embedded_name_suggests_the_nearest():
    with pytest.raises(UserError, match="did you mean 'fashion_mnist'"):
        load("embedded:fashon_mnist")


@pytest.mark.parametrize("source", ["embedded", "embedded:tiles32", "embedded:digits8"])
@pytest.mark.parametrize("options", [{}, {"grayscale": True, "image_size": 4, "labels": False}])
def test_describe_tells_what_load_gives(source, options):
    config = data.DataConfig(source=source, levels=16, **options)
    assert data.describe(config) == data.load(config).info


# Fingerprints.


def test_fingerprint_tells_changed_images_labels_and_order(tmp_path):
    images, labels = bytes_of((3000, 20, 20, 1)), np.arange(3000) % 7
    assert images.size > fingerprint.VALUES

    def fingerprint_of(images, labels, **options):
        arrays = {"x_train": images, "y_train": labels, "x_test": images[:6], "y_test": [0] * 6}
        return load(write_npz(tmp_path / "a.npz", **arrays), **options).fingerprint

    whole = fingerprint_of(images, labels)
    assert whole.startswith("train=3000:")
    assert " test=6:" in whole
    assert whole == fingerprint_of(images.astype(int), labels.astype(np.uint8))
    assert whole == fingerprint_of(images, labels, levels=4, validation=0, image_size=5)
    changed_image = images.copy()
    changed_image[1234] = images[1235]
    others = [
        fingerprint_of(changed_image, labels),
        fingerprint_of(images[::-1], labels[::-1]),
        fingerprint_of(images[:-1], labels[:-1]),
        fingerprint_of(images.reshape(3000, 40, 10, 1), labels),
        fingerprint_of(images, np.where(np.arange(3000) == 1234, 6, labels)),
    ]
    assert len({whole, *others}) == 1 + len(others)


def test_fingerprint_is_the_same_on_every_machine():
    assert load("embedded:digits8").fingerprint == (
        "train=1497:7188d3ea5644dc57 test=300:eecd13134a6ce0cd"
    )


# Holding out validation images.


def test_held_out_images_partition_the_training_images_by_seed(tmp_path):
    images = np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1)
    source = write_npz(tmp_path / "a.npz", x_train=images, y_train=np.arange(40))

    def held_out(seed):
        bunch = load(source, validation=7, validation_seed=seed)
        train, validation = bunch.train, bunch.validation
        assert train.images.ravel().tolist() == train.labels.tolist()
        assert validation.images.ravel().tolist() == validation.labels.tolist()
        assert sorted([*train.labels, *validation.labels]) == list(range(40))
        assert validation.num_images == 7
        return validation.labels.tolist()

    assert held_out(0) == held_out(0)
    assert held_out(0) != held_out(1)


def test_a_tenth_is_held_out_by_default_and_the_test_images_stand_in_for_none():
    bunch = load("embedded:digits8")
    assert bunch.validation.num_images == 149
    assert load("embedded:digits8", validation=0).validation.num_images == 300
