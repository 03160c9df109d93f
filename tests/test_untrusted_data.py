"""Images and data sets of strangers: nothing in them is run, and what is wrong is told."""

import pickle
import shutil
import zipfile

import numpy as np
import pytest
from malicious import IMAGES, Malicious, pickled, write_giant

from gated_pixelcnn.data import DataConfig, image_reading, photos
from gated_pixelcnn.data import load as load_data
from gated_pixelcnn.data.config import ImageRules
from gated_pixelcnn.errors import UserError


@pytest.mark.parametrize("key", ["x_train", "y_train", "class_names"])
def test_pickles_in_data_are_not_run(tmp_path, marker, key):
    arrays = {"x_train": IMAGES, "y_train": np.zeros(2, int), "class_names": ["a"]}
    np.savez(tmp_path / "data.npz", **arrays | {key: pickled(marker)})
    with pytest.raises(UserError, match="pickled"):
        load_data(DataConfig(source=f"npz:{tmp_path / 'data.npz'}", levels=4))


def test_pickles_in_given_images_are_not_run(tmp_path, marker):
    np.savez(tmp_path / "given.npz", images=pickled(marker))
    (tmp_path / "bare.npz").write_bytes(pickle.dumps(Malicious(marker)))
    np.save(tmp_path / "array.npy", pickled(marker))
    shutil.move(tmp_path / "array.npy", tmp_path / "array.npz")
    for name in ("given.npz", "bare.npz", "array.npz"):
        with pytest.raises(UserError, match=f"{name} (cannot be read:|is not) .*npz file"):
            photos.read_images(tmp_path / name, (4, 4, 1), 4)


def test_entries_of_an_npz_file_that_are_no_arrays_are_told(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images", b"text")
        archive.writestr("x_train", b"text")
    with pytest.raises(UserError, match="a.npz"):
        photos.read_images(path, (4, 4, 1), 4)
    with pytest.raises(UserError, match="a.npz"):
        load_data(DataConfig(source=f"npz:{path}", levels=4))


def test_images_larger_than_memory_are_told(tmp_path):
    path = tmp_path / "a.npz"
    write_giant(path, "images", "|u1")
    with pytest.raises(UserError, match="a.npz cannot be read"):
        photos.read_images(path, (4, 4, 1), 4)
    write_giant(path, "x_train", "|u1")
    with pytest.raises(UserError, match="a.npz cannot be read"):
        load_data(DataConfig(source=f"npz:{path}", levels=4))


def test_a_picture_is_never_a_program(tmp_path):
    # PostScript, which PIL would have Ghostscript run, whatever the name of the file.
    path = tmp_path / "photo.png"
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n")
    with pytest.raises(UserError, match="photo.png .*not an image"):
        photos.read_images(path, (4, 4, 1), 4)
    for read in (
        lambda path: image_reading.inspect(path, ImageRules()),
        lambda path: image_reading.read(path, 0, 1, ImageRules()),
    ):
        with pytest.raises(image_reading.READ_ERRORS) as caught:
            read(path)
        assert image_reading.why_unreadable(path, caught.value) == "not an image"


def test_data_sets_of_communities_are_not_run():
    with pytest.raises(UserError, match="of a community, whose code would be run"):
        load_data(DataConfig(source="tfds:someone:mnist", levels=4))
