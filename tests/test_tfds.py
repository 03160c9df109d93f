"""TensorFlow Datasets by name: offline, on mocked data and on a real data set built on disk."""

import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from tfds_sets import TinyShapes, make_config

from gated_pixelcnn import data
from gated_pixelcnn.data import image_reading
from gated_pixelcnn.data.config import ImageRules
from gated_pixelcnn.data.sources import tfds as source
from gated_pixelcnn.errors import UserError


@pytest.fixture(scope="module", name="data_dir")
def make_data_dir(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("tfds"))
    TinyShapes(data_dir=directory).download_and_prepare()
    return directory


def numbers(batches):
    return [batch[0][:, 0, 0, 0].numpy().tolist() for batch in batches]


def test_data_set_on_disk_loads_without_downloading(data_dir):
    config = make_config("tiny_shapes", data_dir=data_dir, download=False, validation=10)
    bunch = data.load(config)
    assert [split.num_images for split in (bunch.train, bunch.validation, bunch.test)] == [
        30,
        10,
        6,
    ]
    assert bunch.class_names == ("even", "odd")
    assert bunch.info == data.describe(config)
    images = np.concatenate([bunch.train.images, bunch.validation.images])
    labels = np.concatenate([bunch.train.labels, bunch.validation.labels])
    assert sorted(images[:, 0, 0, 0]) == list(range(40))
    for image, label in zip(images, labels, strict=True):
        number = image[0, 0, 0]
        expected = np.random.default_rng(number).integers(0, 256, (6, 8, 3))
        np.testing.assert_array_equal(image.ravel()[1:], expected.ravel()[1:])
        assert label == number % 2


@pytest.fixture(scope="module", name="streamed")
def make_streamed(data_dir):
    config = make_config("tiny_shapes", data_dir=data_dir, memory_limit_mb=0, validation=9)
    return data.load(config)


def test_stream_has_the_same_prepared_images_as_memory(data_dir):
    options = {
        "data_dir": data_dir,
        "validation": 0,
        "image_size": 3,
        "grayscale": True,
        "levels": 16,
    }
    memory = data.load(make_config("tiny_shapes", **options))
    stream = data.load(make_config("tiny_shapes", memory_limit_mb=0, **options))
    assert memory.info == stream.info
    assert not hasattr(stream.train, "images")
    for name in ("train", "test"):
        expected, actual = getattr(memory, name), getattr(stream, name)
        assert expected.num_images == actual.num_images
        images, labels = actual.take(40)
        np.testing.assert_array_equal(images, expected.images)
        np.testing.assert_array_equal(labels, expected.labels)
        assert images.max() < 16


def test_stream_evaluates_every_image_once_and_holds_out_validation_images(streamed):
    train = numbers(streamed.train.eval_batches(7))
    validation = numbers(streamed.validation.eval_batches(7))
    assert [len(batch) for batch in train] == [7, 7, 7, 7, 3]
    assert [len(batch) for batch in validation] == [7, 2]
    assert sorted(sum(train + validation, [])) == list(range(40))
    assert (streamed.train.num_images, streamed.validation.num_images) == (31, 9)


def test_stream_shuffles_every_epoch_anew_and_labels_stay_with_their_images(streamed):
    batches = list(streamed.train.train_batches(6, seed=1).take(10))
    epochs = [sum(numbers(part), []) for part in (batches[:5], batches[5:])]
    assert [len(set(epoch)) for epoch in epochs] == [30, 30]
    assert epochs[0] != epochs[1]
    for images, labels in batches:
        np.testing.assert_array_equal(images[:, 0, 0, 0] % 2, labels)


def test_stream_batch_depends_on_seed_and_step_only(streamed):
    def batches(seed, start, count, flips=True):
        taken = streamed.train.train_batches(6, seed, start_step=start, flips=flips).take(count)
        return [images.numpy().tolist() for images, _ in taken]

    whole = batches(1, 0, 12)
    assert whole == batches(1, 0, 12)
    assert batches(1, 0, 5, flips=False) != batches(2, 0, 5, flips=False)
    for start in (1, 5, 8):
        assert whole[start:] == batches(1, start, 12 - start)


def test_stream_does_not_depend_on_the_global_seed(streamed):
    def images(global_seed):
        tf.random.set_seed(global_seed)  # as a run does with its own seed, which is mostly 0
        return [batch[0].numpy() for batch in streamed.train.train_batches(6, seed=3).take(7)]

    np.testing.assert_array_equal(images(0), images(1))


def test_stream_shards_together_are_the_global_batch(streamed):
    options = {"batch_size": 6, "seed": 0, "start_step": 3, "flips": True}
    whole = list(streamed.train.train_batches(**options).take(4))
    shards = [
        list(streamed.train.train_batches(num_shards=3, shard_index=i, **options).take(4))
        for i in range(3)
    ]
    for batch, *parts in zip(whole, *shards, strict=True):
        for expected, *pieces in zip(batch, *parts, strict=True):
            np.testing.assert_array_equal(expected, np.concatenate(pieces))


def test_binarized_images_stream_as_they_are(tmp_path):
    class Binary(TinyShapes):
        name = "binary_shapes"

        def _generate_examples(self, start, stop):
            for key, example in super()._generate_examples(start, stop):
                yield key, example | {"image": example["image"] // 128}

    Binary(data_dir=str(tmp_path)).download_and_prepare()
    options = {"data_dir": str(tmp_path), "memory_limit_mb": 0}
    images, _ = data.load(make_config("binary_shapes", levels=2, **options)).train.take(9)
    assert set(np.unique(images)) == {0, 1}
    with pytest.raises(UserError, match="set data.levels=2"):
        data.load(make_config("binary_shapes", **options))


def test_images_that_need_no_preparation_do_not_pass_through_python(tmp_path, monkeypatch):
    class Unknown(TinyShapes):
        """Squares that do not tell their size, as those of downsampled_imagenet."""

        name = "unknown_shapes"

        def _info(self):
            features = tfds.features.FeaturesDict({"image": tfds.features.Image()})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _generate_examples(self, start, stop):
            for key, example in super()._generate_examples(start, stop):
                yield key, {"image": example["image"][:, :6]}

    def fail(*_):
        raise AssertionError("nothing to do")

    Unknown(data_dir=str(tmp_path)).download_and_prepare()
    options = {"data_dir": str(tmp_path), "validation": 0, "image_size": 6}
    monkeypatch.setattr(source.preprocessing, "prepare", fail)
    memory = data.load(make_config("unknown_shapes", **options)).train
    stream = data.load(make_config("unknown_shapes", memory_limit_mb=0, **options)).train
    np.testing.assert_array_equal(stream.take(40)[0], memory.images)
    with pytest.raises(UserError, match="nothing to do"):
        data.load(make_config("unknown_shapes", **(options | {"image_size": 5})))


@pytest.mark.slow
def test_loading_takes_no_second_copy_of_the_images(tmp_path, monkeypatch):
    def make_ready(builder, *_):
        info = tfds.core.SplitInfo(name="train", shard_lengths=[6000], num_bytes=0)
        builder.info.set_splits(tfds.core.SplitDict([info]))

    monkeypatch.setattr(source, "_make_ready", make_ready)
    config = make_config("cifar10", data_dir=str(tmp_path), validation=0)
    with tfds.testing.mock_data(num_examples=6000):
        data.load(config)  # what is imported and cached once is no copy of the images
        tracemalloc.start()
        bunch = data.load(config)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert bunch.train.images.nbytes <= peak < 1.2 * bunch.train.images.nbytes


def test_fingerprint_is_name_version_and_counts(data_dir):
    for limit in (0, 1000):
        config = make_config("tiny_shapes", data_dir=data_dir, memory_limit_mb=limit, validation=3)
        assert data.load(config).fingerprint == "tiny_shapes/1.0.0 train=40 test=6"


# The data sets that the presets name, with mocked content.


@pytest.mark.parametrize(
    ("name", "splits", "shape", "num_classes", "options"),
    [
        ("mnist", "train test", (28, 28, 1), 10, {}),
        ("binarized_mnist", "train validation test", (28, 28, 1), 0, {"levels": 2}),
        ("fashion_mnist", "train test", (28, 28, 1), 10, {}),
        ("cifar10", "train test", (32, 32, 3), 10, {}),
        ("downsampled_imagenet/32x32", "train validation", (4, 4, 3), 0, {"image_size": 4}),
        ("downsampled_imagenet/64x64", "train validation", (4, 4, 3), 0, {"image_size": 4}),
        ("imagenet_resized/32x32", "train validation", (32, 32, 3), 1000, {}),
        ("celeb_a", "train validation test", (218, 178, 3), 0, {}),
        ("celeb_a", "train validation test", (64, 64, 3), 0, {"image_size": 64}),
    ],
)
@pytest.mark.parametrize("memory_limit_mb", [1500, 0])
def test_known_names_load_with_the_right_shape_classes_and_splits(
    tmp_path, monkeypatch, name, splits, shape, num_classes, options, memory_limit_mb
):
    config = make_config(
        name, data_dir=str(tmp_path), memory_limit_mb=memory_limit_mb, validation=0, **options
    )
    described = data.describe(config)  # before anything is on disk
    assert (described.image_shape, described.num_classes) == (shape, num_classes)

    def make_ready(builder, *_):
        infos = [
            tfds.core.SplitInfo(name=split, shard_lengths=[20], num_bytes=0)
            for split in splits.split()
        ]
        builder.info.set_splits(tfds.core.SplitDict(infos))

    monkeypatch.setattr(source, "_make_ready", make_ready)
    with tfds.testing.mock_data(num_examples=20):
        bunch = data.load(config)
        images, labels = bunch.train.take(20)
    assert bunch.info == described
    assert (images.dtype, images.shape) == (np.uint8, (20, *shape))
    assert 0 < np.ptp(images) < config.levels
    assert (labels is not None) == bunch.train.has_labels == (num_classes > 0)
    assert (bunch.validation is bunch.test) == (splits.count(" ") == 1)


# JPEG files.


class Photos(TinyShapes):
    """The same images as JPEG files, in gray and in colour."""

    name = "photos"
    CHANNELS = 3

    def _info(self):
        image = tfds.features.Image(shape=(6, 8, self.CHANNELS), encoding_format="jpeg")
        features = tfds.features.FeaturesDict({"image": image})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _generate_examples(self, start, stop):
        for key, example in super()._generate_examples(start, stop):
            yield key, {"image": example["image"][..., : self.CHANNELS]}


class GrayPhotos(Photos):
    name = "gray_photos"
    CHANNELS = 1


@pytest.mark.parametrize("builder", [Photos, GrayPhotos])
@pytest.mark.parametrize("memory_limit_mb", [1500, 0])
def test_jpeg_images_are_those_that_the_files_give_alone(tmp_path, builder, memory_limit_mb):
    builder = builder(data_dir=str(tmp_path / "tfds"))
    builder.download_and_prepare()
    encoded = builder.as_dataset(split="train", decoders={"image": tfds.decode.SkipDecoding()})
    for number, example in enumerate(encoded):
        (tmp_path / f"{number:02}.jpg").write_bytes(example["image"].numpy())
    config = make_config(
        builder.name,
        data_dir=str(tmp_path / "tfds"),
        validation=0,
        memory_limit_mb=memory_limit_mb,
    )
    found = data.load(config).train.take(40)[0]
    alone = [
        image_reading.read(tmp_path / f"{number:02}.jpg", 0, builder.CHANNELS, ImageRules())
        for number in range(40)
    ]
    np.testing.assert_array_equal(found, alone)
