"""Folders: the files that count, and the splits or classes that sub-folders stand for."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from gated_pixelcnn import data
from gated_pixelcnn.data import folders, photos
from gated_pixelcnn.errors import UserError


def make(root, *names):
    """Writes an image file of each name, all of them different."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        number = len(list(root.rglob("*")))
        pixels = np.random.default_rng(number).integers(0, 256, (2, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(path)


def arranged(root, layout="auto", known=()):
    found = folders.arrange(folders.find(root), layout, known)
    files = {split: [str(file) for file in part.files] for split, part in found.parts.items()}
    return found.layout, files, found


def load(root, **options):
    options = {"validation": 0} | options
    return data.load(data.DataConfig(source=f"folder:{root}", **options))


# Splits and classes


def test_classes_that_look_the_same_are_refused(tmp_path):
    composed, taken_apart = "caf\u00e9", "cafe\u0301"
    make(tmp_path, f"{composed}/1.png", f"{taken_apart}/1.png", "tea/1.png")
    with pytest.raises(UserError, match="two classes called caf.* rename one"):
        load(tmp_path)
    shutil.rmtree(tmp_path / composed)
    make(tmp_path, "TEA/1.png")  # other words, to those who tell cases apart
    assert load(tmp_path).num_classes == 3


@pytest.mark.parametrize(
    "train, validation, test",
    [
        ("train", "val", "test"),
        ("Training", "VALID", "Testing"),
        ("TRAIN", "validation", "Test"),
        ("training", "Dev", "TEST"),
    ],
)
def test_splits_are_known_by_many_names_in_any_case(tmp_path, train, validation, test):
    names = [f"{folder}/{name}.png" for folder in (train, validation, test) for name in "ab"]
    make(tmp_path, *names)
    layout, files, _ = arranged(tmp_path)
    assert layout == "splits"
    assert files == {"train": names[:2], "validation": names[2:4], "test": names[4:]}
    assert load(tmp_path).test.num_images == 2


AMBIGUOUS = {
    "a class called train": (["train/1.png", "car/1.png", "bus/1.png"], r"\(train\) beside .*bus"),
    "a class called test": (["test/1.png", "car/1.png"], r"\(test\) beside .*car"),
    "images beside splits": (["train/1.png", "1.png"], r"\(train\) beside 1 images"),
    "no training images": (["test/1.png", "val/1.png"], "but none of training images"),
    "two of one split": (["train/1.png", "val/1.png", "dev/1.png"], "two folders of validation"),
    "the same in another case": (["train/1.png", "Train/2.png"], "two folders of train"),
    "names with a year": (["train2017/1.png", "val2017/1.png"], "named like splits, but"),
    "names of several words": (["TrainImages/1.png", "TestImages/1.png"], "named like splits, but"),
    "names made of two words": (["trainset/1.png", "testset/1.png"], "named like splits, but"),
    "short names": (["Trn/1.png", "xtest/1.png"], "named like splits, but"),
    "no name of training images": (["valdata/1.png", "testimgs/1.png"], "named like splits, but"),
    "names with a year in one more folder": (
        ["all/train2017/1.png", "all/val2017/1.png"],
        "train2017, val2017. inside of others",
    ),
    "such names inside of classes": (
        ["a/TrainSet/1.png", "a/TestSet/1.png", "b/TrainSet/1.png", "b/TestSet/1.png"],
        "inside of others",
    ),
    "such names inside of a split": (["train/train_x/1.png", "train/test_x/1.png"], "inside of"),
    "the splits in one more folder": (["all/train/1.png", "all/test/1.png"], "inside of others"),
    "splits inside of classes": (
        ["a/train/1.png", "b/train/1.png", "b/test/1.png"],
        "inside of others",
    ),
    "splits inside of a split": (["train/train/1.png", "train/test/1.png"], "inside of others"),
    "images beside classes": (["1.png", "a/1.png"], "1 images beside sub-folders"),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_sub_folders_that_fit_no_reading_are_named(tmp_path, name):
    files, message = AMBIGUOUS[name]
    make(tmp_path, *files)
    with pytest.raises(UserError, match=message) as error:
        load(tmp_path)
    assert "\n" not in str(error.value)
    assert "data.layout=" in str(error.value) or "keep one" in str(error.value)


def test_the_layout_can_be_decided_by_hand(tmp_path):
    make(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/1.png", "other/b/1.png", "2.png")
    layout, files, found = arranged(tmp_path, "splits")
    assert files == {"train": ["train/a/1.png", "train/b/1.png"], "test": ["test/a/1.png"]}
    assert found.left_out == {"other": "not a split", "2.png": "not in a split"}
    (tmp_path / "2.png").unlink()
    _, files, found = arranged(tmp_path, "classes")
    assert found.parts["train"].classes == ["other", "test", "train", "train"]
    _, files, found = arranged(tmp_path, "flat")
    assert found.parts["train"].classes is None and len(files["train"]) == 4
    assert load(tmp_path, layout="classes").class_names == ("other", "test", "train")
    with pytest.raises(UserError, match="needs a sub-folder train or training .* has a, b"):
        arranged(tmp_path / "train", "splits")
    with pytest.raises(UserError, match="data.layout=classes needs sub-folders"):
        arranged(tmp_path / "train" / "a", "classes")
    with pytest.raises(UserError, match="data.layout is 'class'; did you mean 'classes'"):
        data.DataConfig(layout="class")


def test_what_was_found_is_told(tmp_path):
    make(tmp_path, "train/a/1.png", "train/a/2.png", "train/b/1.png", "test/b/1.png")
    make(tmp_path, "train/.cache/1.png", "train/@eaDir/1.png")
    (tmp_path / "notes.txt").write_text("")
    first, second, third = load(tmp_path).report()
    assert "(splits): 3 train, 1 validation and test images, 2x3x1, values are bytes" in first
    assert second == "2 classes of training: a 2, b 1"
    assert third == (
        "left out: not the ending of an image: notes.txt; hidden: train/.cache; not data, but of a "
        "system: train/@eaDir"
    )


def test_folders_are_ordered_by_their_numbers(tmp_path):
    make(tmp_path, *(f"{name}/1.png" for name in ("10", "2", "1", "b", "a")))
    make(tmp_path, "1/10.png", "1/9.png")
    bunch = load(tmp_path)
    assert bunch.class_names == ("1", "2", "10", "a", "b")
    assert bunch.train.labels.tolist() == [0, 0, 0, 1, 2, 3, 4]
    _, files, _ = arranged(tmp_path)
    assert files["train"][:4] == ["1/1.png", "1/9.png", "1/10.png", "2/1.png"]


# Labels by name


def test_labels_of_a_split_are_by_the_names_of_the_training_classes(tmp_path):
    make(tmp_path, "train/a/1.png", "train/b/1.png", "train/c/1.png", "val/b/1.png")
    make(tmp_path, "test/C/1.png", "test/b/2.png")
    bunch = load(tmp_path)
    assert bunch.validation.labels.tolist() == [1]
    assert bunch.test.labels.tolist() == [2, 1]  # C is in order before b, and c in another case
    make(tmp_path, "val/d/1.png")
    with pytest.raises(UserError, match="validation images .* have classes .*: d$"):
        load(tmp_path)
    shutil.rmtree(tmp_path / "val")
    make(tmp_path, "val/e/1.png")
    with pytest.raises(UserError, match="validation images .* have classes .*: e$"):
        load(tmp_path)


def test_a_folder_of_one_class_has_labels_where_the_classes_are_known(tmp_path):
    make(tmp_path, "b/1.png", "b/2.png")
    assert load(tmp_path).num_classes == 0
    like = data.DataInfo((2, 3, 1), 256, 3, ("a", "b", "c"))
    config = data.DataConfig(source=f"folder:{tmp_path}", validation=0)
    assert data.load(config, like).class_names == ("b",)
    make(tmp_path, "test/1.png")
    like = data.DataInfo((2, 3, 1), 256, 2, ("b", "test"))  # no split, then
    assert data.load(config, like).train.labels.tolist() == [0, 0, 1]


def test_the_classes_of_a_run_keep_their_order(tmp_path):
    make(tmp_path, *(f"{name}/1.png" for name in ("10", "2", "1")))
    config = data.DataConfig(source=f"folder:{tmp_path}", validation=0)
    like = data.DataInfo((2, 3, 1), 256, 3, ("1", "10", "2"))
    bunch = data.load(config, like)
    assert bunch.class_names == like.class_names
    assert bunch.train.labels.tolist() == [0, 2, 1]


# Which files count


def test_the_same_files_are_passed_over_for_training_and_for_users(tmp_path):
    make(tmp_path, "a.png", ".b.png", "._a.png", ".ipynb_checkpoints/a.png", ".thumbnails/a.png")
    make(tmp_path, "@eaDir/a.png", "__MACOSX/._a.png", "__MACOSX/a.png", "$RECYCLE.BIN/a.png")
    (tmp_path / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("")
    os.mkfifo(tmp_path / "pipe.png")
    bunch = load(tmp_path)
    assert bunch.train.num_images == len(photos.read_images(tmp_path, (2, 3, 1), 256)) == 1
    assert {path: why.split()[0] for path, why in bunch.left_out.items()} == {
        **dict.fromkeys((".b.png", "._a.png", ".ipynb_checkpoints", ".thumbnails"), "hidden"),
        **dict.fromkeys(("@eaDir", "__MACOSX", "$RECYCLE.BIN", "Thumbs.db", "notes.txt"), "not"),
        **{"empty": "no", "pipe.png": "not"},
    }


def test_links_are_followed(tmp_path):
    make(tmp_path, "elsewhere/1.png", "elsewhere/2.png", "files/3.png", "photos/a/4.png")
    (tmp_path / "photos" / "b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "a" / "5.png").symlink_to(tmp_path / "files" / "3.png")
    bunch = load(tmp_path / "photos")
    assert bunch.class_names == ("a", "b")
    assert bunch.train.labels.tolist() == [0, 0, 1, 1]
    assert len(photos.read_images(tmp_path / "photos", (2, 3, 1), 256)) == 4


@pytest.mark.parametrize(
    "link, message",
    [
        (lambda root: (root / "a" / "up").symlink_to(root), "a/up is a link back to a folder"),
        (lambda root: (root / "gone.png").symlink_to("nowhere"), "link to nowhere, which is not"),
        (lambda root: (root / "gone").symlink_to(root / "x"), "gone is a link to .*x, which"),
        (
            lambda root: (root / "self.png").symlink_to("self.png"),
            "is a link that leads back to itself",
        ),
    ],
)
def test_links_that_lead_nowhere_or_back_are_told(tmp_path, link, message):
    make(tmp_path, "a/1.png", "b/1.png")
    link(tmp_path)
    for read in (load, lambda root: photos.read_images(root, (2, 3, 1), 256)):
        with pytest.raises(UserError, match=message):
            read(tmp_path)


def test_a_folder_may_end_like_an_image_and_an_image_have_any_name(tmp_path):
    make(tmp_path, "a.png/1.png", "b, c/ü 'x\".PNG")
    bunch = load(tmp_path)
    assert bunch.class_names == ("a.png", "b, c") and bunch.train.num_images == 2
