"""Configuration, levels, embedded data, npz files, and the batches of a split."""

import gc
import pathlib
import subprocess
import sys
import tracemalloc
import weakref

import numpy as np
import pytest

from gated_pixelcnn import data
from gated_pixelcnn.data import fingerprint, preprocessing
from gated_pixelcnn.data.batches import ArraySplit
from gated_pixelcnn.data.preprocessing import to_levels
from gated_pixelcnn.errors import UserError

SHARED = pathlib.Path(__file__).parent.parent.parent / "shared" / "data"


def load(source, **options):
    return data.load(data.DataConfig(source=source, **options))


def write_npz(path, **arrays):
    np.savez(path, **arrays)
    return f"npz:{path}"


def bytes_of(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


# The configuration.


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"levels": 1}, ["data.levels", "2", "256", "is 1"]),
        ({"levels": 257}, ["data.levels", "257"]),
        ({"levels": 2.0}, ["data.levels", "int", "2.0", "float"]),
        ({"gray": 1}, ["data.gray", "bool", "int"]),
        ({"image_size": -8}, ["data.image_size", "-8"]),
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
    square = preprocessing.to_square(image, 2)
    assert square[..., 0].tolist() == [[25, 0], [0, 26]]


def test_margins_are_cut_off_before_anything_else(tmp_path):
    images = bytes_of((12, 9, 8, 3))
    source = write_npz(tmp_path / "a.npz", x_train=images)
    options = {"validation": 0, "crop": "1,2,3, 0"}
    found = load(source, **options)
    np.testing.assert_array_equal(found.train.take(12)[0], images[:, 1:7, 3:])
    assert found.image_shape == data.describe(data.DataConfig(source, **options)).image_shape
    options |= {"image_size": 4, "gray": True}
    found = load(source, **options)
    expected = preprocessing.to_gray(preprocessing.to_square(images[5, 1:7, 3:], 4))
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
@pytest.mark.parametrize("options", [{}, {"gray": True, "image_size": 4, "labels": False}])
def test_describe_tells_what_load_gives(source, options):
    config = data.DataConfig(source=source, levels=16, **options)
    assert data.describe(config) == data.load(config).info


# The files of the project's machine: skipped elsewhere.


@pytest.mark.parametrize(
    ("name", "levels", "shape", "counts"),
    [
        ("binarized_mnist", 2, (28, 28, 1), (50_000, 10_000, 10_000)),
        ("orl_faces32", 256, (32, 32, 1), (300, None, None)),
        ("tiny_imagenet32", 256, (32, 32, 3), (11_000, 1_000, 1_000)),
    ],
)
def test_npz_files_of_real_images_load(name, levels, shape, counts):
    path = SHARED / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    bunch = load(f"npz:{path}", levels=levels, validation=0)
    splits = (bunch.train, bunch.validation, bunch.test)
    assert tuple(split and split.num_images for split in splits) == counts
    assert bunch.image_shape == shape
    assert bunch.train.images.max() < levels
    with np.load(path) as raw:
        np.testing.assert_array_equal(bunch.train.images, raw["x_train"])
        np.testing.assert_array_equal(bunch.train.labels, raw["y_train"])


# npz files.


def test_npz_accepts_images_without_a_channel_axis_and_keras_label_columns(tmp_path):
    images, labels = bytes_of((6, 5, 4)), np.array([[2], [0], [1], [2], [1], [0]])
    bunch = load(write_npz(tmp_path / "a.npz", x_train=images, y_train=labels), validation=0)
    np.testing.assert_array_equal(bunch.train.images, images[..., None])
    assert bunch.train.labels.tolist() == [2, 0, 1, 2, 1, 0]
    assert bunch.num_classes == 3
    assert bunch.validation is None
    assert bunch.test is None


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64])
def test_binarized_images_are_taken_as_they_are(tmp_path, dtype):
    images = (bytes_of((6, 5, 4)) > 100).astype(dtype)
    bunch = load(write_npz(tmp_path / "a.npz", x_train=images), levels=2)
    assert set(np.unique(bunch.train.images)) == {0, 1}


def test_images_of_fewer_levels_are_taken_as_they_are_if_the_levels_match(tmp_path):
    images = bytes_of((6, 5, 4)) % 16
    source = write_npz(tmp_path / "a.npz", x_train=images)
    bunch = load(source, levels=16, validation=0)
    np.testing.assert_array_equal(bunch.train.images[..., 0], images)


def test_own_validation_images_are_used_and_nothing_is_held_out(tmp_path):
    arrays = {f"x_{split}": bytes_of((n, 4, 4), n) for split, n in dict(train=9, val=3).items()}
    bunch = load(write_npz(tmp_path / "a.npz", **arrays), validation=5)
    assert bunch.train.num_images == 9
    np.testing.assert_array_equal(bunch.validation.images[..., 0], arrays["x_val"])
    assert bunch.test is bunch.validation


GOOD = bytes_of((6, 4, 4, 3))


@pytest.mark.parametrize(
    ("arrays", "options", "words"),
    [
        ({"x_trian": GOOD}, {}, ["no array x_train", "x_trian"]),
        ({"x_train": GOOD / 255}, {}, ["float64", "multiply by 255"]),
        ({"x_train": GOOD.astype(int) + 1}, {}, ["0..255", "256"]),
        ({"x_train": GOOD.astype(int) - 1}, {}, ["0..255", "-1"]),
        ({"x_train": GOOD[0, 0]}, {}, ["shape (4, 3)"]),
        ({"x_train": GOOD[:0]}, {}, ["shape (0, 4, 4, 3)"]),
        ({"x_train": bytes_of((6, 3, 32, 32))}, {}, ["32 colours", "last axis"]),
        ({"x_train": GOOD, "y_train": np.zeros(5, int)}, {}, ["6 images", "5 labels"]),
        ({"x_train": GOOD, "y_train": np.zeros((6, 10))}, {}, ["y_train", "(6, 10)", "argmax"]),
        ({"x_train": GOOD, "y_train": np.full(6, -1)}, {}, ["y_train", "-1"]),
        ({"x_train": GOOD, "y_train": np.full(6, 65_536)}, {}, ["y_train", "at most 65535"]),
        (
            {"x_train": GOOD, "y_train": np.zeros(6, int), "x_test": GOOD},
            {},
            ["no y_test", "data.labels"],
        ),
        ({"x_train": GOOD, "x_test": GOOD[:, :3]}, {}, ["(3, 4, 3)", "(4, 4, 3)"]),
        (
            {"x_train": GOOD, "y_train": np.arange(6), "class_names": np.array(["a"])},
            {},
            ["class_names", "6"],
        ),
        ({"x_train": GOOD % 2}, {}, ["binarized", "data.levels=2", "256"]),
        ({"x_train": GOOD // 4}, {"levels": 2}, ["blank", "data.levels=2", "63"]),
        ({"x_train": GOOD}, {"validation": 6}, ["data.validation=6", "6 training images"]),
        ({"x_train": GOOD}, {"image_size": 5}, ["image_size=5", "4x4"]),
        ({"x_train": GOOD[..., :2]}, {"gray": True}, ["gray", "2"]),
    ],
)
def test_bad_npz_gets_one_clear_sentence(tmp_path, arrays, options, words):
    source = write_npz(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError) as error:
        load(source, **options)
    assert all(word in str(error.value) for word in words), error.value
    assert "\n" not in str(error.value)


def test_missing_truncated_damaged_foreign_and_pickled_files_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(UserError, match="there is no file"):
        load(f"npz:{path}")
    source = write_npz(path, x_train=bytes_of((50, 8, 8)))
    whole = path.read_bytes()
    for content in (whole[:1000], whole[:1500] + b"?" + whole[1501:], b"", b"not a zip file"):
        path.write_bytes(content)
        with pytest.raises(UserError, match="cannot be read"):
            load(source)
    write_npz(path, x_train=np.array([{}, None], object))
    with pytest.raises(UserError, match="pickled"):
        load(source)
    np.save(tmp_path / "b.npy", GOOD)
    with pytest.raises(UserError, match="one array"):
        load(f"npz:{tmp_path / 'b.npy'}")


@pytest.mark.parametrize("options", [{}, {"levels": 16}, {"gray": True}, {"image_size": 24}])
def test_loading_takes_no_second_copy_of_the_images(tmp_path, options):
    images = bytes_of((4000, 32, 32, 3))
    source = write_npz(tmp_path / "a.npz", x_train=images)
    made = np.prod(data.describe(data.DataConfig(source=source, **options)).image_shape) * 4000
    needed = images.nbytes + (made if made < images.nbytes else 0)
    size = images.nbytes
    del images
    tracemalloc.start()
    bunch = load(source, **options)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert bunch.train.num_images == 3600
    assert needed <= peak < needed + size / 4


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


# Batches.


NUM = 23


@pytest.fixture(scope="module", name="numbered")
def make_numbered():
    """Image i has i as its every value but the last column, and the label 100 + i."""
    images = np.empty((NUM, 2, 3, 1), np.uint8)
    images[:] = np.arange(NUM)[:, None, None, None]
    images[:, :, -1] = 255
    return ArraySplit(images, np.arange(NUM) + 100)


def steps(split, count, *args, **options):
    batches = split.train_batches(*args, **options).take(count).as_numpy_iterator()
    return [tuple(part.tolist() for part in batch) for batch in batches]


def test_each_epoch_is_a_new_permutation_and_labels_stay_with_their_images(numbered):
    batches = list(numbered.train_batches(5, seed=3).take(8).as_numpy_iterator())
    for images, labels in batches:
        assert (images.dtype, images.shape) == (np.uint8, (5, 2, 3, 1))
        assert (labels.dtype, labels.shape) == (np.int32, (5,))
        np.testing.assert_array_equal(images[:, 0, 0, 0], labels - 100)
    epochs = [np.concatenate([labels for _, labels in batches[i : i + 4]]) for i in (0, 4)]
    assert [len(set(epoch)) for epoch in epochs] == [20, 20]
    assert epochs[0].tolist() != epochs[1].tolist()


def test_batch_of_a_step_depends_on_seed_and_step_only(numbered):
    whole = steps(numbered, 14, 5, seed=3, flips=True)
    assert whole == steps(numbered, 14, 5, seed=3, flips=True)
    assert steps(numbered, 4, 5, seed=3) != steps(numbered, 4, 5, seed=4)
    for start in (1, 4, 7, 12):
        assert whole[start:] == steps(numbered, 14 - start, 5, seed=3, start_step=start, flips=True)


@pytest.mark.parametrize("shards", [2, 3])
def test_shards_together_are_the_global_batch(numbered, shards):
    options = {"seed": 1, "start_step": 2, "flips": True}
    whole = steps(numbered, 5, 6, **options)
    parts = [
        steps(numbered, 5, 6, num_shards=shards, shard_index=index, **options)
        for index in range(shards)
    ]
    for batch, *pieces in zip(whole, *parts, strict=True):
        images, labels = zip(*pieces, strict=True)
        assert (sum(images, []), sum(labels, [])) == batch


def test_flips_mirror_about_half_of_the_images_left_to_right(numbered):
    plain = numbered.train_batches(20, seed=0).take(20).as_numpy_iterator()
    flipped = numbered.train_batches(20, seed=0, flips=True).take(20).as_numpy_iterator()
    mirrored = []
    for (before, _), (after, _) in zip(plain, flipped, strict=True):
        which = np.any(before != after, axis=(1, 2, 3))
        np.testing.assert_array_equal(after[which], before[which, :, ::-1])
        mirrored.append(tuple(which))
    assert 150 < np.sum(mirrored) < 250  # of 400: five standard deviations
    assert len(set(mirrored)) == 20  # others in every step


@pytest.mark.parametrize("batch_size", [1, 5, 23, 50])
def test_evaluation_sees_every_image_once_in_order(numbered, batch_size):
    batches = list(numbered.eval_batches(batch_size).as_numpy_iterator())
    np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), numbered.images)
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), numbered.labels)
    assert {len(x) for x, _ in batches[:-1]} <= {batch_size}


def test_images_and_flips_of_a_seed_stay_what_they_were(numbered):
    """A run of an earlier version must go on with the same batches."""
    (images, _), *_ = numbered.train_batches(8, seed=3, start_step=1, flips=True).take(1)
    assert images[:, 0, 1, 0].numpy().tolist() == [11, 8, 17, 3, 16, 18, 22, 2]
    flipped = images[:, 0, 0, 0].numpy() == 255
    assert flipped.tolist() == [True, False, True, True, False, True, False, False]


def test_images_in_memory_are_read_where_they_lie():
    images = np.zeros((40, 2, 2, 1), np.uint8)
    split = ArraySplit(images).subset(np.arange(30))
    train = iter(split.train_batches(5, seed=0))
    next(train)
    evaluation = iter(split.eval_batches(1))
    next(evaluation)
    images[:] = 9
    for batches in (train, evaluation):
        *_, (last,) = (next(batches) for _ in range(29))  # more than are prefetched
        assert np.all(last == 9)


def test_batches_need_no_other_reference_to_the_split_and_free_the_images():
    class Array(np.ndarray):
        """Unlike its base class, allows weak references."""

    images = np.zeros((20, 2, 2, 1), np.uint8).view(Array)
    alive = weakref.ref(images)
    train = iter(ArraySplit(images).train_batches(5, seed=0, flips=True))
    evaluation = iter(ArraySplit(images).subset(np.arange(20)).eval_batches(1))
    del images
    gc.collect()
    assert [len(next(train)[0]) for _ in range(20)] == [5] * 20
    assert len(list(evaluation)) == 20
    del train, evaluation
    gc.collect()
    assert alive() is None


def test_process_ends_while_batches_are_being_made():
    program = """
import numpy as np
from gated_pixelcnn.data.batches import ArraySplit
from gated_pixelcnn.data.preprocessing import to_levels

split = ArraySplit(np.zeros((200, 256, 256, 3), np.uint8))
iterators = [iter(split.train_batches(64, seed)) for seed in range(4)]
for batches in iterators:
    next(batches)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, capture_output=True)


def test_batches_without_labels_have_images_only(numbered):
    split = ArraySplit(numbered.images)
    (batch,) = split.train_batches(4, seed=0).take(1)
    assert len(batch) == 1
    images, labels = split.take(3)
    np.testing.assert_array_equal(images, numbered.images[:3])
    assert labels is None


def test_impossible_batch_sizes_are_refused(numbered):
    with pytest.raises(UserError, match="train.batch_size must be .* at most 23, .* but is 24"):
        numbered.train_batches(24, seed=0)
    with pytest.raises(UserError, match="train.batch_size=5 cannot be divided by 2"):
        numbered.train_batches(5, seed=0, num_shards=2)
    with pytest.raises(UserError, match="at least 1"):
        numbered.eval_batches(0)
