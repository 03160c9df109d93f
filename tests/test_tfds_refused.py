"""TensorFlow Datasets that cannot be used: one clear sentence each."""

import urllib.request

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tfds_sets import TinyShapes, make_config

from gated_pixelcnn import data
from gated_pixelcnn.data.sources import tfds as source
from gated_pixelcnn.errors import UserError


@pytest.fixture(scope="module", name="data_dir")
def make_data_dir(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("tfds"))
    TinyShapes(data_dir=directory).download_and_prepare()
    return directory


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("mnits", {}, "no TFDS data set 'mnits'; did you mean 'mnist'"),
        ("downsampled_imagenet/33x33", {}, "33x33"),
        ("mnist", {"download": False}, "not in .*data.download is False"),
        ("downsampled_imagenet/32x32", {}, "image size .* not known .*set data.image_size"),
    ],
)
def test_unusable_names_get_one_clear_sentence(tmp_path, name, options, words):
    config = make_config(name, data_dir=str(tmp_path), **options)
    act = data.load if options else data.describe
    with pytest.raises(UserError, match=words) as error:
        act(config)
    assert "\n" not in str(error.value)


def test_offline_machine_is_told_at_once(tmp_path, monkeypatch):
    def offline(*_):
        raise OSError("Name or service not known")

    monkeypatch.setattr(urllib.request, "getproxies", dict)
    monkeypatch.setattr(source.socket, "getaddrinfo", offline)
    with pytest.raises(UserError, match="'mnist' is not in .*offline.*data.data_dir"):
        data.load(make_config("mnist", data_dir=str(tmp_path)))


def test_failed_download_is_a_user_error(tmp_path, monkeypatch):
    def fail(self):
        raise ConnectionError("reset by peer\nand more")

    monkeypatch.setattr(source, "_is_online", lambda: True)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(UserError, match="could not be downloaded .*reset by peer\\)$"):
        data.load(make_config("mnist", data_dir=str(tmp_path)))


def test_too_large_an_image_size_is_refused(data_dir):
    for limit in (0, 1000):
        config = make_config("tiny_shapes", data_dir=data_dir, image_size=7, memory_limit_mb=limit)
        with pytest.raises(UserError, match="image_size=7 is larger .*6x8"):
            data.load(config)


def test_holding_out_everything_is_refused(data_dir):
    for limit in (0, 1000):
        config = make_config("tiny_shapes", data_dir=data_dir, validation=40, memory_limit_mb=limit)
        with pytest.raises(UserError, match="data.validation=40 .*40 training images"):
            data.load(config)


def test_classes_cannot_be_held_out_of_images_that_are_read_in_order_only(data_dir):
    config = make_config("tiny_shapes", data_dir=data_dir, held_out_classes=2, memory_limit_mb=0)
    with pytest.raises(UserError, match="held_out_classes=2 .*raise data.memory_limit_mb"):
        data.load(config)


@pytest.mark.parametrize("memory_limit_mb", [1500, 0])
def test_values_that_are_no_levels_are_refused_where_they_are_taken_for_them(
    data_dir, memory_limit_mb
):
    options = {"data_dir": data_dir, "memory_limit_mb": memory_limit_mb, "levels": 16}
    assert data.load(make_config("tiny_shapes", **options)).values == "bytes"
    with pytest.raises(UserError, match="taken for levels 0..15"):
        data.load(make_config("tiny_shapes", values="levels", **options)).train.take(30)


class Mixed(TinyShapes):
    """Images of two sizes, without labels."""

    name = "mixed_shapes"

    def _info(self):
        features = {"image": tfds.features.Image()}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _generate_examples(self, start, stop):
        for key, example in super()._generate_examples(start, stop):
            yield key, {"image": example["image"][: 6 - key % 2]}


@pytest.mark.parametrize("memory_limit_mb", [1500, 0])
def test_margins_are_cut_off(data_dir, memory_limit_mb):
    options = {"data_dir": data_dir, "memory_limit_mb": memory_limit_mb, "validation": 0}
    whole = data.load(make_config("tiny_shapes", **options)).train.take(40)[0]
    cropped = data.load(make_config("tiny_shapes", crop="1,2,4,1", **options))
    np.testing.assert_array_equal(cropped.train.take(40)[0], whole[:, 1:4, 4:7])
    with pytest.raises(UserError, match="image_size=4 is larger than an image of 3x3"):
        data.load(make_config("tiny_shapes", crop="1,2,4,1", image_size=4, **options))


def test_images_of_several_sizes_need_an_image_size(tmp_path, monkeypatch):
    Mixed(data_dir=str(tmp_path)).download_and_prepare()
    options = {"data_dir": str(tmp_path)}
    with pytest.raises(UserError, match="data.image_size"):
        data.load(make_config("mixed_shapes", **options))
    streamed = make_config("mixed_shapes", memory_limit_mb=0, validation=0, **options)
    with pytest.raises(UserError, match="different shapes.*data.image_size$"):
        data.load(streamed)
    monkeypatch.setattr(source, "PROBED_IMAGES", 1)
    with pytest.raises(UserError, match="different shapes.*data.image_size$"):
        data.load(streamed).train.take(40)
    assert data.load(make_config("mixed_shapes", image_size=4, **options)).image_shape == (4, 4, 3)
    # 6 rows and 5, of which one is cut off: neither of the shape of the other.
    with pytest.raises(UserError, match="different shapes"):
        data.load(make_config("mixed_shapes", crop="1,0,0,0", **options))
    with pytest.raises(UserError, match="image_size=6 is larger than an image of 5x8"):
        data.load(make_config("mixed_shapes", image_size=6, labels=False, **options))
