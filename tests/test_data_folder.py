"""Folders of image files."""

import re
import tracemalloc

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from gated_pixelcnn import data
from gated_pixelcnn.data.batches import input_error
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.evaluation.images import split_batches


def load(directory, **options):
    return data.load(data.DataConfig(source=f"folder:{directory}", validation=0, **options))


def write(path, shape=(6, 6, 3), seed=0, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    image = PIL.Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)
    return pixels


def test_flat_folder_has_no_labels_and_keeps_the_order_of_names(tmp_path):
    pixels = [write(tmp_path / f"{i}.png", seed=i) for i in (2, 0, 1)]
    (tmp_path / "notes.txt").write_text("not an image")
    bunch = load(tmp_path)
    np.testing.assert_array_equal(bunch.train.images, np.stack([pixels[i] for i in (1, 2, 0)]))
    assert (bunch.num_classes, bunch.train.has_labels, bunch.test) == (0, False, None)


def test_class_folders_give_labels_and_split_folders_are_respected(tmp_path):
    for split, count in {"train": 3, "test": 2, "val": 1}.items():
        for label, name in enumerate(("ape", "bee")):
            for i in range(count):
                write(tmp_path / split / name / f"{i}.png", seed=10 * count + label)
    bunch = load(tmp_path)
    assert bunch.class_names == ("ape", "bee")
    assert bunch.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert bunch.test.labels.tolist() == [0, 0, 1, 1]
    assert bunch.validation.labels.tolist() == [0, 1]
    assert bunch.info == data.describe(data.DataConfig(source=f"folder:{tmp_path}"))


def test_one_subfolder_is_no_class(tmp_path):
    write(tmp_path / "all" / "a.png")
    assert load(tmp_path).num_classes == 0


@pytest.mark.parametrize("options", [{}, {"grayscale": True}])
def test_gray_files_stay_gray_and_mixed_ones_become_colour_unless_gray(tmp_path, options):
    gray = write(tmp_path / "a.png", (6, 6))
    assert load(tmp_path).image_shape == (6, 6, 1)
    colour = write(tmp_path / "b.png")
    images = load(tmp_path, **options).train.images
    if options:
        assert images.shape[1:] == (6, 6, 1)
        np.testing.assert_array_equal(images[0, ..., 0], gray)
    else:
        np.testing.assert_array_equal(images[0], np.repeat(gray[..., None], 3, -1))
        np.testing.assert_array_equal(images[1], colour)


def test_several_sizes_need_an_image_size(tmp_path):
    write(tmp_path / "a.png", (8, 12, 3))
    write(tmp_path / "b.png", (6, 6, 3))
    with pytest.raises(UserError, match="2 different sizes .*8x12.*data.image_size"):
        load(tmp_path)
    assert load(tmp_path, image_size=4).image_shape == (4, 4, 3)
    with pytest.raises(UserError, match=r"1 of 2 .*smaller than data.image_size=7.*b.png \(6x6\)"):
        load(tmp_path, image_size=7)


def test_camera_orientation_is_applied(tmp_path):
    pixels = np.zeros((4, 8), np.uint8)
    pixels[0] = 255
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    PIL.Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=100)
    images = load(tmp_path).train.images
    assert images.shape == (1, 8, 4, 1)
    assert (images[0, 0, :, 0] > 128).tolist() == [False, False, False, True]


@pytest.mark.parametrize("memory_limit_mb", [1500, 0])
def test_margins_are_cut_off(tmp_path, memory_limit_mb):
    images = np.stack([write(tmp_path / f"{i}.png", (7, 9, 3), seed=i) for i in range(4)])
    options = {"crop": "2,1,0,5", "memory_limit_mb": memory_limit_mb}
    found = load(tmp_path, **options)
    np.testing.assert_array_equal(found.train.take(4)[0], images[:, 2:6, :4])
    with pytest.raises(UserError, match="smaller than data.image_size=5"):
        load(tmp_path, image_size=5, **options)


def test_unreadable_files_are_named_and_counted(tmp_path):
    for i in range(9):
        write(tmp_path / f"good{i}.png", (30, 30, 3))
    whole = (tmp_path / "good0.png").read_bytes()
    (tmp_path / "truncated.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"^1 of 10 image .*truncated.png \(damaged"):
        load(tmp_path)
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("hello")
    with pytest.raises(UserError, match="^2 of 12 image files") as error:
        load(tmp_path)
    assert "empty.png (empty)" in str(error.value)
    assert "text.jpg (not an image)" in str(error.value)
    for i in range(8):
        (tmp_path / f"empty{i}.png").touch()
    with pytest.raises(UserError, match="and 5 more; remove, replace"):
        load(tmp_path)


def test_missing_empty_and_ambiguous_folders_are_refused(tmp_path):
    with pytest.raises(UserError, match="there is no directory"):
        load(tmp_path / "none")
    with pytest.raises(UserError, match="has no images"):
        load(tmp_path)
    write(tmp_path / "a.png")
    write(tmp_path / "class" / "b.png")
    with pytest.raises(UserError, match="1 images beside sub-folders .*class"):
        load(tmp_path)


def test_classes_that_training_does_not_know_are_refused(tmp_path):
    for path in ("train/a/1.png", "train/b/1.png", "test/a/1.png", "test/c/1.png"):
        write(tmp_path / path)
    with pytest.raises(UserError, match="test images .* have classes .*: c$"):
        load(tmp_path)
    assert load(tmp_path, labels=False).test.num_images == 2


def test_loading_takes_no_second_copy_of_the_images(tmp_path):
    for i in range(40):
        write(tmp_path / f"{i}.png", (200, 200, 3), seed=i)
    tracemalloc.start()
    bunch = load(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert bunch.train.images.nbytes <= peak < 1.5 * bunch.train.images.nbytes


def test_fingerprint_tells_added_renamed_and_changed_files_but_not_the_place(tmp_path):
    root = tmp_path / "here"
    for name in ("train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/2.png"):
        write(root / name, (9, 9, 3))
    whole = load(root).fingerprint
    assert whole.startswith("train=2:")
    assert " test=2:" in whole
    assert load(root, memory_limit_mb=0, image_size=3, levels=4).fingerprint == whole
    root = root.rename(tmp_path / "there")
    assert load(root).fingerprint == whole

    found = [whole]
    (root / "test/b/2.png").rename(root / "test/b/3.png")
    found.append(load(root).fingerprint)
    (root / "train/a/1.png").rename(root / "train/b/0.png")
    write(root / "train/a/1.png", (9, 9, 3))
    found.append(load(root).fingerprint)
    (root / "train/b/0.png").rename(root / "train/a/0.png")
    found.append(load(root).fingerprint)
    write(root / "train/a/1.png", (9, 9, 3), mode="L")
    found.append(load(root).fingerprint)
    assert len(set(found)) == 5


def test_big_folder_is_read_from_disk_with_the_same_batches(tmp_path):
    for i in range(14):
        write(tmp_path / "ab"[i % 2] / f"{i}.png", (9, 12, 3), seed=i)

    def batches(memory_limit_mb):
        config = data.DataConfig(
            source=f"folder:{tmp_path}",
            image_size=6,
            levels=16,
            validation=3,
            memory_limit_mb=memory_limit_mb,
        )
        bunch = data.load(config)
        assert hasattr(bunch.train, "images") == (memory_limit_mb > 0)
        train = bunch.train.train_batches(4, seed=0, start_step=1, flips=True).take(4)
        return [*train, *bunch.validation.eval_batches(2)]

    for from_memory, from_disk in zip(batches(1), batches(0), strict=True):
        for expected, actual in zip(from_memory, from_disk, strict=True):
            np.testing.assert_array_equal(expected, actual)


@pytest.mark.parametrize("damage", ["truncated", "empty", "gone", "other size"])
def test_file_that_breaks_after_it_was_opened_is_named_in_one_sentence(tmp_path, damage):
    for i in range(4):
        write(tmp_path / f"{i}.png", (30, 30, 3), seed=i)
    path = tmp_path / "2.png"
    if damage == "truncated":  # the header is all that is looked at when a folder is opened
        path.write_bytes(path.read_bytes()[:1000])
    train = load(tmp_path, memory_limit_mb=0).train
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "gone":
        path.unlink()
    elif damage == "other size":
        write(path, (29, 30, 3))

    with pytest.raises(tf.errors.OpError) as raised:
        list(train.train_batches(2, seed=0).take(2))
    message = str(input_error(raised.value))
    assert re.fullmatch(rf"image file {path} cannot be used \(.+\); remove or replace it", message)
    for read in (train.take, lambda num: list(split_batches(train, num))):
        with pytest.raises(UserError) as error:
            read(4)
        assert str(error.value) == message
