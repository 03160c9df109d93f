"""Source npz: what is read, and what is refused."""

import pathlib
import tracemalloc

import numpy as np
import pytest
from small_data import bytes_of, load, write_npz

from gated_pixelcnn import data
from gated_pixelcnn.errors import UserError

SHARED = pathlib.Path(__file__).parent.parent.parent / "shared" / "data"


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
        ({"x_train": GOOD[..., :2]}, {"grayscale": True}, ["gray", "2"]),
    ],
)
def test_bad_npz_gets_one_clear_sentence(tmp_path, arrays, options, words):
    source = write_npz(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError) as error:
        load(source, **options)
    assert all(word in str(error.value) for word in words), error.value
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int32, np.int64, np.uint64])
@pytest.mark.parametrize("values", ["auto", "levels"])
def test_codes_of_any_integer_type_are_read_as_they_are(tmp_path, dtype, values):
    codes = bytes_of((6, 5, 4)).astype(dtype) + 200
    source = write_npz(tmp_path / "a.npz", x_train=codes, x_test=codes[:2])
    bunch = load(source, levels=500, values=values, validation=0)
    assert bunch.levels == 500 and bunch.train.images.dtype == np.uint16
    np.testing.assert_array_equal(bunch.train.images[..., 0], codes)
    batch, *_ = next(iter(bunch.train.eval_batches(4)))
    assert batch.dtype == np.uint16
    np.testing.assert_array_equal(batch, codes[:4, ..., None])
    assert data.describe(data.DataConfig(source=f"npz:{tmp_path / 'a.npz'}", levels=500)) == (
        bunch.info
    )


CODES = bytes_of((6, 4, 4)).astype(int) + 200


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x_train": CODES - 300}, ["0..499", "from -", "x_train"]),
        ({"x_train": CODES, "x_test": CODES + 300}, ["x_test", "0..499", "set data.levels="]),
        ({"x_train": (CODES * 0 + 32_767).astype(np.int16)}, ["set data.levels=32768"]),
        ({"x_train": CODES + 0.5}, ["float64", "codes are saved as integers"]),
        ({"x_train": CODES.astype(float)}, ["float64", "codes are saved as integers"]),
        ({"x_train": CODES + 65_536}, ["0..499"]),
        ({"x_train": CODES, "levels": np.array(512)}, ["512 levels", "set data.levels=512"]),
    ],
)
def test_bad_codes_get_one_clear_sentence(tmp_path, arrays, words):
    with pytest.raises(UserError) as error:
        load(write_npz(tmp_path / "a.npz", **arrays), levels=500)
    assert all(word in str(error.value) for word in words), error.value
    assert "set data.levels=6" not in str(error.value)  # there are no more than 65,536


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


@pytest.mark.parametrize("options", [{}, {"levels": 16}, {"grayscale": True}, {"image_size": 24}])
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
