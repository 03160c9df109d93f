"""Levels or bytes: one decision for a data set, for all who read its images or others for it."""

import dataclasses
import io
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from PIL import Image

import gated_pixelcnn as gpc
from gated_pixelcnn import data
from gated_pixelcnn.cli import evaluate
from gated_pixelcnn.cli.labels import parse_labels
from gated_pixelcnn.data import photos, preprocessing
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.progress import Progress
from gated_pixelcnn.runs import directory as run_directory
from gated_pixelcnn.serving.decoding import decode
from gated_pixelcnn.training import train

NO_FLAGS = SimpleNamespace(values=None, alpha=None, frames=None)
LIMITS = [1000, 0]  # in memory, streamed


def write(folder, images):
    folder.mkdir(exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i}.png")
    return folder


def images_of(highest, num=6):
    images = np.random.default_rng(highest).integers(0, highest + 1, (num, 4, 3)).astype(np.uint8)
    images[-1, 0, 0] = highest  # the last image is the first that tells
    images[:-1] = np.minimum(images[:-1], min(highest, 1))
    return images


def config_of(folder, levels, limit=1000, **options):
    options = {"validation": 0} | options
    return data.DataConfig(
        source=f"folder:{folder}", levels=levels, memory_limit_mb=limit, **options
    )


def record_of(bunch, config):
    whole = gpc.get_config("digits")
    whole.data.update(dataclasses.asdict(config))
    found = run_directory.record(
        whole, bunch.image_shape, bunch.levels, 0, bunch.class_names, None, bunch.record()
    )
    return run_directory.checked_record(json.loads(json.dumps(found)))


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize(
    "highest, levels, decision", [(9, 10, "levels"), (10, 10, "bytes"), (1, 2, "levels")]
)
def test_all_readers_of_a_run_go_by_one_decision(tmp_path, highest, levels, decision, limit):
    stored = images_of(highest)
    stored[0] = np.arange(12).reshape(4, 3) % (highest + 1) * (25 if decision == "bytes" else 1)
    folder = write(tmp_path / "folder", stored)
    config = config_of(folder, levels, limit)
    bunch = data.load(config)
    assert bunch.values == decision
    expected = stored if decision == "levels" else (stored.astype(int) * levels // 256)
    np.testing.assert_array_equal(bunch.train.take(9)[0][..., 0], expected)

    record = record_of(bunch, config)
    reading = photos.Reading.of(record, NO_FLAGS)
    given = photos.read_images(folder, (4, 3, 1), levels, reading)
    np.testing.assert_array_equal(given[..., 0], expected)
    file = (folder / "0.png").read_bytes()
    served = decode(tf.constant([file]), (4, 3, 1), levels, record["data"]["values"])
    np.testing.assert_array_equal(served[0, ..., 0], expected[0])


@pytest.mark.parametrize("limit", LIMITS)
def test_evaluation_goes_by_the_decision_of_the_run(tmp_path, limit, monkeypatch):
    config = config_of(write(tmp_path / "a", images_of(9)), 10, limit)
    bunch = data.load(config)
    record = record_of(bunch, config)
    record["config"]["data"]["validation"] = 2
    model = SimpleNamespace(image_shape=(4, 3, 1), levels=10, condition_kind=None)
    few = write(tmp_path / "b", np.minimum(images_of(9), 1))  # of themselves: binarized

    def found(*arguments):
        given = flags.FlagValues()
        monkeypatch.setattr(evaluate, "FLAGS", given)
        evaluate.define_flags()
        given(["evaluate", *arguments])
        return evaluate._load_data(record, model).train.take(6)[0][..., 0]

    assert len(found()) == 4
    record["config"]["data"]["validation"] = 0
    np.testing.assert_array_equal(found(), images_of(9))
    record["config"]["data"]["validation"] = 2
    np.testing.assert_array_equal(found(f"--source=folder:{few}"), np.minimum(images_of(9), 1))
    bytes_ = write(tmp_path / "c", images_of(200))
    with pytest.raises(UserError, match="values up to 200, but they are taken for levels 0..9"):
        found(f"--source=folder:{bytes_}")
    by_hand = found(f"--source=folder:{bytes_}", "--values=bytes")  # all of them: none held out
    np.testing.assert_array_equal(by_hand, images_of(200).astype(int) * 10 // 256)

    record["data"]["values"] = "bytes"
    levels = write(tmp_path / "d", images_of(9))
    with pytest.raises(UserError, match="so it may hold levels, but the run was trained on bytes"):
        found(f"--source=folder:{levels}")
    assert found(f"--source=folder:{levels}", "--values=levels").max() == 9
    np.savez(tmp_path / "says.npz", x_train=images_of(9), levels=10)  # the file decides
    np.testing.assert_array_equal(found(f"--source=npz:{tmp_path}/says.npz"), images_of(9))

    (tmp_path / "e").mkdir()
    for split in ("train", "more"):
        shutil.copytree(bytes_, tmp_path / "e" / split)
    with pytest.raises(UserError, match="beside other .*: set --layout=splits"):
        found(f"--source=folder:{tmp_path}/e")
    assert len(found(f"--source=folder:{tmp_path}/e", "--layout=splits")) == 6


@pytest.mark.parametrize("limit", LIMITS)
def test_images_that_teach_nothing_are_refused_in_memory_and_streamed(tmp_path, limit):
    binary = write(tmp_path / "binary", images_of(1))
    with pytest.raises(UserError, match="no value above 1: they are binarized; set data.levels=2"):
        data.load(config_of(binary, 16, limit))
    dark = write(tmp_path / "dark", images_of(70))
    with pytest.raises(UserError, match="blank at data.levels=2, .* for bytes .*highest is 70"):
        data.load(config_of(dark, 2, limit))
    with pytest.raises(UserError, match="blank"):
        data.load(config_of(write(tmp_path / "black", images_of(0)), 2, limit))


@pytest.mark.parametrize("limit", LIMITS)
def test_the_decision_can_be_made_by_hand(tmp_path, limit):
    folder = write(tmp_path / "dark", images_of(100))
    config = config_of(folder, 128, limit)
    assert data.load(config).values == "levels"
    bunch = data.load(dataclasses.replace(config, values="bytes"))
    np.testing.assert_array_equal(bunch.train.take(9)[0][..., 0], images_of(100) // 2)
    with pytest.raises(UserError, match="taken for levels 0..15"):
        data.load(config_of(folder, 16, limit, values="levels")).train.take(9)


def test_no_more_images_are_read_than_the_decision_needs():
    def pieces():
        yield np.array([[0, 200]], np.uint8)
        raise AssertionError("not needed")

    config = data.DataConfig(levels=16)
    assert preprocessing.decide_values(config, {"train": pieces(), "test": pieces()}) == "bytes"


def test_a_users_image_that_may_be_either_is_not_guessed(tmp_path):
    file = write(tmp_path / "a", images_of(9, 1)) / "0.png"
    for path in (file, file.parent):
        with pytest.raises(UserError, match="no value above 9, so it may hold levels 0…9"):
            photos.read_images(path, (4, 3, 1), 10)
    by_hand = photos.Reading.of(
        {
            "config": {"data": {"grayscale": False, "alpha": "refuse", "frames": "refuse"}},
            "data": {},
        },
        SimpleNamespace(values="levels", alpha=None, frames=None),
    )
    found = photos.read_images(file, (4, 3, 1), 10, by_hand)
    np.testing.assert_array_equal(found[..., 0], images_of(9, 1))
    black = write(tmp_path / "b", images_of(0, 1)) / "0.png"
    assert not photos.read_images(black, (4, 3, 1), 10).any()


def test_a_mask_that_is_not_white_anywhere_is_refused(tmp_path):
    mask = write(tmp_path / "a", images_of(1, 1)) / "0.png"
    with pytest.raises(UserError, match="no value above 1, so it would keep nothing"):
        photos.read_mask(mask, (4, 3, 1))
    black = write(tmp_path / "b", images_of(0, 1)) / "0.png"
    assert not photos.read_mask(black, (4, 3, 1)).any()


def test_a_mask_is_of_bytes_whatever_the_model_is_of(tmp_path):
    mask = write(tmp_path / "a", np.full_like(images_of(1, 1), 255)) / "0.png"
    deep = photos.Reading(run=data.DataConfig(source="npz:a.npz", levels=65_536))
    assert photos.read_mask(mask, (4, 3, 1), deep).all()


def test_a_run_is_not_resumed_with_another_decision(tmp_path):
    config = config_of(write(tmp_path / "a", images_of(9)), 10)
    old = record_of(data.load(config), config)
    new = {**old, "data": old["data"] | {"values": "bytes"}}
    assert run_directory.differences(old, new) == [
        "values of the images: levels in the run, bytes now"
    ]
    assert run_directory.differences({**old, "data": {}}, new) == []  # of an earlier version
    with pytest.raises(ValueError, match="neither levels nor bytes"):
        run_directory.checked_record({**old, "data": {"values": "floats"}})


# Numbers of classes


def test_a_run_tells_what_it_found_and_warns_of_classes_that_it_does_not_learn(tmp_path):
    bunch = data.load(npz(tmp_path / "a.npz", train=[1, 3, 1], test=[3]))
    told = io.StringIO()
    with pytest.warns(UserWarning, match="no training image is of class 0, 2, of 4 classes"):
        train._tell(bunch, 0, Progress(told))
    assert "3 train, 1 validation and test images" in told.getvalue()
    assert "4 classes of training: 0 0, 1 2, 2 0, 3 1" in told.getvalue()


def npz(path, **arrays):
    images = np.random.default_rng(0).integers(0, 256, (30, 4, 3)).astype(np.uint8)
    parts = {f"x_{name}": images[: len(labels)] for name, labels in arrays.items()}
    np.savez(path, **parts, **{f"y_{name}": labels for name, labels in arrays.items()})
    return data.DataConfig(source=f"npz:{path}", validation=0)


def test_classes_are_those_of_the_training_images(tmp_path):
    config = npz(tmp_path / "a.npz", train=[1, 2, 3, 1], test=[3, 7, 7, 0])
    with pytest.raises(UserError, match=r"y_test .* has 3 labels that no training .*\(0, 7\)"):
        data.load(config)
    bunch = data.load(npz(tmp_path / "a.npz", train=[1, 2, 3, 1], test=[3]))
    assert bunch.class_names == ("0", "1", "2", "3")
    assert bunch.empty_classes == (0,)


def test_classes_without_training_images_are_left_out_of_all(tmp_path):
    bunch = data.load(npz(tmp_path / "a.npz", train=[1, 3, 1]))
    model = SimpleNamespace(condition_kind="label", condition_size=bunch.num_classes)
    empty = bunch.record()["empty_classes"]
    assert parse_labels("all", model.condition_size, bunch.class_names, empty) == [1, 3]
    with pytest.raises(UserError, match="--label: 0 is a class of which there was no image"):
        parse_labels("0", model.condition_size, bunch.class_names, empty)


def arrays(**changes):
    random = np.random.default_rng(0)
    images = random.integers(0, 8, (6, 4, 4, 1)).astype(np.uint8)
    return {"x_train": images, "y_train": np.arange(6) % 2} | changes


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x_validation", "array x_validation, which is not read: call it x_val"),
        ("Y_train", "array Y_train, which is not read: call it y_train"),
        ("x_testing", "array x_testing, which is not read: call it x_test"),
    ],
)
def test_arrays_of_a_split_by_another_name_are_refused(tmp_path, name, message):
    np.savez(tmp_path / "a.npz", **arrays(**{name: np.zeros((2, 4, 4, 1), np.uint8)}))
    with pytest.raises(UserError, match=message):
        data.load(data.DataConfig(source=f"npz:{tmp_path}/a.npz"))


def test_arrays_that_are_not_read_are_told(tmp_path):
    np.savez(tmp_path / "a.npz", **arrays(extra=np.zeros(3), y_test=np.zeros(2, int)))
    bunch = data.load(data.DataConfig(source=f"npz:{tmp_path}/a.npz"))
    assert bunch.report()[-1] == "left out: arrays that are not read: extra, y_test"


def test_what_an_npz_file_says_of_its_levels_holds_everywhere(tmp_path):
    np.savez(tmp_path / "a.npz", **arrays(levels=8))
    source = f"npz:{tmp_path}/a.npz"
    with pytest.raises(UserError, match="its values are of 8 levels, but data.levels is 16"):
        data.load(data.DataConfig(source=source, levels=16))
    bunch = data.load(data.DataConfig(source=source, levels=8))
    assert bunch.values == preprocessing.LEVELS and bunch.declared
    np.savez(tmp_path / "a.npz", **arrays(levels=7))
    with pytest.raises(UserError, match="values up to 7, but they are taken for levels 0..6"):
        data.load(data.DataConfig(source=source, levels=7))


def test_names_of_classes_in_an_npz_file_are_text_and_differ(tmp_path):
    source = data.DataConfig(source=f"npz:{tmp_path}/a.npz", levels=8)
    np.savez(tmp_path / "a.npz", **arrays(class_names=np.array([b"cat", b"dog"])))
    assert data.load(source).class_names == ("cat", "dog")
    for names, message in ((["a", "a"], "'a' is there several times"), (["a", " "], "is empty")):
        np.savez(tmp_path / "a.npz", **arrays(class_names=np.array(names)))
        with pytest.raises(UserError, match=message):
            data.load(source)
