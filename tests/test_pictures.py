"""Grids, frames and files of images to look at."""

import errno
import os

import numpy as np
import pytest
from PIL import Image

from gated_pixelcnn import visualization
from gated_pixelcnn.data import photos
from gated_pixelcnn.errors import UserError


def random_images(num=5, image_shape=(4, 6, 1), levels=256, seed=0):
    return np.random.default_rng(seed).integers(0, levels, (num, *image_shape)).astype(np.uint8)


def test_levels_are_stretched_to_all_bytes():
    for levels in range(2, 257):
        stretched = visualization.to_bytes(np.arange(levels), levels).astype(int)
        assert (stretched[0], stretched[-1]) == (0, 255)
        assert np.diff(stretched).min() >= 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("magnify", [1, 3])
def test_grid_shows_image_i_in_row_i_over_columns(channels, magnify):
    images = random_images(5, (4, 6, channels), 16)
    grid = visualization.grid(images, 16, columns=2, magnify=magnify)
    assert grid.shape == (3 * (4 * magnify + 2) + 2, 2 * (6 * magnify + 2) + 2, channels)
    shown = np.ones(grid.shape, bool)
    for i in range(5):
        top = 2 + (i // 2) * (4 * magnify + 2)
        left = 2 + (i % 2) * (6 * magnify + 2)
        here = slice(top, top + 4 * magnify), slice(left, left + 6 * magnify)
        for row in range(magnify):
            np.testing.assert_array_equal(
                grid[here][row::magnify, row::magnify], visualization.to_bytes(images[i], 16)
            )
        shown[here] = False
    assert (grid[shown] == visualization.UNDRAWN).all()


def test_grid_is_about_square_by_default():
    assert visualization.grid(random_images(10, (4, 4, 1)), 256).shape == (3 * 6 + 2, 4 * 6 + 2, 1)


def test_grid_shows_other_numbers_of_channels_beside_each_other():
    images = random_images(1, (4, 6, 2), 2)
    grid = visualization.grid(images, 2)
    np.testing.assert_array_equal(grid[2:6, 2:8, 0], images[0, ..., 0] * 255)
    np.testing.assert_array_equal(grid[2:6, 8:14, 0], images[0, ..., 1] * 255)


@pytest.mark.parametrize("shape", [(0, 4, 6, 1), (4, 6, 1)])
def test_grid_of_no_images_is_an_error(shape):
    with pytest.raises(ValueError, match="images must have the shape"):
        visualization.grid(np.zeros(shape, np.uint8), 256)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 120, 1), (5, 7, 3), (28, 28, 1), (64, 48, 3)])
def test_growing_draws_pixels_in_order_in_a_limited_number_of_frames(shape):
    images = random_images(2, shape, 2)
    frames = list(visualization.growing(images, 2, max_frames=120))
    assert 2 <= len(frames) <= 120
    assert (frames[0] == visualization.UNDRAWN).all()
    np.testing.assert_array_equal(frames[-1], images * 255)
    for frame, following in zip(frames[:-1], frames[1:], strict=True):
        drawn = (frame != visualization.UNDRAWN).reshape(2, -1, shape[-1])
        more = (following != visualization.UNDRAWN).reshape(2, -1, shape[-1])
        count = drawn.all(axis=(0, 2)).sum()
        assert drawn[:, :count].all() and not drawn[:, count:].any()
        assert more.sum() > drawn.sum()


def test_growing_shows_what_is_known_from_the_beginning():
    images = random_images(2, (5, 4, 1), 2)
    known = np.arange(5)[:, None, None] >= 3
    frames = list(visualization.growing(images, 2, known=np.broadcast_to(known, (5, 4, 1))))
    assert len(frames) == 1 + 3 * 4, "a frame shows a pixel that the one before does not"
    np.testing.assert_array_equal(frames[0][:, 3:], images[:, 3:] * 255)
    assert (frames[0][:, :3] == visualization.UNDRAWN).all()
    np.testing.assert_array_equal(frames[-1], images * 255)
    assert len(list(visualization.growing(images, 2, known=True))) == 1


# Files


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("levels", [2, 4, 16, 256])
def test_saved_image_is_read_back(tmp_path, channels, levels):
    image = random_images(1, (4, 6, channels), levels)[0]
    path = tmp_path / "new" / "image.png"
    visualization.save_png(path, visualization.to_bytes(image, levels))
    reading = photos.Reading(by_hand=True)
    np.testing.assert_array_equal(photos.read_images(path, image.shape, levels, reading)[0], image)
    assert os.listdir(path.parent) == ["image.png"]


def test_gif_holds_the_frames_and_repeats(tmp_path):
    images = random_images(1, (3, 4, 1), 2)
    frames = [frame[0] for frame in visualization.growing(images, 2)]
    path = tmp_path / "growing.gif"
    visualization.save_gif(path, frames)
    with Image.open(path) as gif:
        assert gif.n_frames == len(frames) and gif.info["loop"] == 0
        for index, frame in enumerate(frames):
            gif.seek(index)
            np.testing.assert_array_equal(np.asarray(gif.convert("L")), frame[..., 0])


def test_failed_write_keeps_the_file_that_was_there(tmp_path, monkeypatch):
    path = tmp_path / "image.png"
    path.write_bytes(b"before")

    def fails(self, file, *args, **kwargs):
        file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Image.Image, "save", fails)
    with pytest.raises(UserError, match="cannot write .*image.png .No space left"):
        visualization.save_png(path, np.zeros((2, 2, 1), np.uint8))
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["image.png"]


def test_path_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "image.png", tmp_path):
        with pytest.raises(UserError, match="cannot write"):
            visualization.save_png(path, np.zeros((2, 2, 1), np.uint8))
