"""Grids, frames and files of images to look at."""

import errno
import os

import numpy as np
import pytest
from PIL import Image

import gated_pixelcnn as gpc
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


def test_categories_have_colours_of_their_own_and_neighbours_differ():
    for num in (2, 64, 512):
        colours = visualization.palette(num)
        assert colours.shape == (num, 1, 1, 3) and colours.dtype == np.uint8
        assert (colours[0] == 0).all()
        assert len(np.unique(colours, axis=0)) == num
        steps = np.abs(np.diff(colours.astype(int), axis=0)).sum(axis=(1, 2, 3))
        assert steps.min() > 60
    assert visualization.look(gpc.ImageSpec((4, 4, 1), 300)) == 300
    shown = visualization.look(gpc.ImageSpec((4, 4, 1), 300, "categorical"))
    np.testing.assert_array_equal(shown, visualization.palette(300))


def tiles(num, side, columns, seed=0):
    """A picture of tiles of noise, and the tiles."""
    found = np.random.default_rng(seed).integers(0, 256, (num, side, side, 3)).astype(np.uint8)
    rows = [np.concatenate(row, axis=1) for row in found.reshape(-1, columns, side, side, 3)]
    return np.concatenate(rows), found


def test_tiles_are_read_row_by_row(tmp_path):
    picture, wanted = tiles(15, 4, 5)
    Image.fromarray(picture).save(tmp_path / "tiles.png")
    for num in (15, 13):  # those at the end may be too many
        found = visualization.tiles_of(tmp_path / "tiles.png", num)
        np.testing.assert_array_equal(found, wanted[:num])
    assert visualization.tiles_of(tmp_path / "tiles.png", 16).shape == (16, 2, 2, 3)


def test_tiles_that_are_too_few_or_none_are_refused(tmp_path):
    Image.fromarray(tiles(4, 2, 2)[0]).save(tmp_path / "tiles.png")
    with pytest.raises(UserError, match="tiles.png has 4x4 pixels: no 17 square tiles"):
        visualization.tiles_of(tmp_path / "tiles.png", 17)
    (tmp_path / "text.png").write_text("tiles")
    with pytest.raises(UserError, match="text.png cannot be used as tiles"):
        visualization.tiles_of(tmp_path / "text.png", 4)


@pytest.mark.parametrize("channels", [1, 2])
def test_maps_of_categories_are_made_of_their_tiles(channels):
    _, look = tiles(6, 3, 3)
    maps = random_images(2, (2, 4, channels), 6)
    shown = visualization.to_bytes(maps, look)
    assert shown.shape == (2, 6, 12 * channels, 3)
    for row, column, channel in np.ndindex(2, 4, channels):  # channels beside each other
        left = 3 * (4 * channel + column)
        here = shown[:, 3 * row : 3 * row + 3, left : left + 3]
        np.testing.assert_array_equal(here, look[maps[:, row, column, channel]])


def test_unknown_categories_are_gray_tiles():
    _, look = tiles(6, 3, 3)
    maps, known = random_images(2, (2, 4, 1), 6), np.array([[1, 0, 1, 0], [0, 0, 1, 1]], bool)
    shown = visualization.partly(maps, look, known[..., None])
    wide = np.kron(known, np.ones((3, 3), bool))
    assert (shown[:, ~wide] == visualization.UNDRAWN).all()
    np.testing.assert_array_equal(shown[:, wide], visualization.to_bytes(maps, look)[:, wide])


def test_unknown_pixels_are_gray():
    images, known = random_images(2, (4, 6, 3), 16), np.arange(4)[:, None, None] < 2
    shown = visualization.partly(images, 16, known)
    np.testing.assert_array_equal(shown[:, :2], visualization.to_bytes(images, 16)[:, :2])
    assert (shown[:, 2:] == visualization.UNDRAWN).all()


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
