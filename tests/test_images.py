import errno
import os

import numpy as np
import pytest
from PIL import Image

from gated_pixelcnn import images
from gated_pixelcnn.errors import UserError


def random_images(num=5, image_shape=(4, 6, 1), levels=256, seed=0):
    return np.random.default_rng(seed).integers(0, levels, (num, *image_shape)).astype(np.uint8)


# Pictures to look at.


def test_levels_are_stretched_to_all_bytes():
    for levels in range(2, 257):
        stretched = images.to_bytes(np.arange(levels), levels).astype(int)
        assert (stretched[0], stretched[-1]) == (0, 255)
        assert np.diff(stretched).min() >= 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("magnify", [1, 3])
def test_grid_shows_image_i_in_row_i_over_columns(channels, magnify):
    pictures = random_images(5, (4, 6, channels), 16)
    grid = images.grid(pictures, 16, columns=2, magnify=magnify)
    assert grid.shape == (3 * (4 * magnify + 2) + 2, 2 * (6 * magnify + 2) + 2, channels)
    shown = np.ones(grid.shape, bool)
    for i in range(5):
        top = 2 + (i // 2) * (4 * magnify + 2)
        left = 2 + (i % 2) * (6 * magnify + 2)
        here = slice(top, top + 4 * magnify), slice(left, left + 6 * magnify)
        for row in range(magnify):
            np.testing.assert_array_equal(
                grid[here][row::magnify, row::magnify], images.to_bytes(pictures[i], 16)
            )
        shown[here] = False
    assert (grid[shown] == images.UNDRAWN).all()


def test_grid_is_about_square_by_default():
    assert images.grid(random_images(10, (4, 4, 1)), 256).shape == (3 * 6 + 2, 4 * 6 + 2, 1)


def test_grid_shows_other_numbers_of_channels_beside_each_other():
    pictures = random_images(1, (4, 6, 2), 2)
    grid = images.grid(pictures, 2)
    np.testing.assert_array_equal(grid[2:6, 2:8, 0], pictures[0, ..., 0] * 255)
    np.testing.assert_array_equal(grid[2:6, 8:14, 0], pictures[0, ..., 1] * 255)


@pytest.mark.parametrize("shape", [(0, 4, 6, 1), (4, 6, 1)])
def test_grid_of_no_images_is_an_error(shape):
    with pytest.raises(ValueError, match="images must have the shape"):
        images.grid(np.zeros(shape, np.uint8), 256)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 120, 1), (5, 7, 3), (28, 28, 1), (64, 48, 3)])
def test_growing_draws_pixels_in_order_in_a_limited_number_of_frames(shape):
    pictures = random_images(2, shape, 2)
    frames = list(images.growing(pictures, 2, max_frames=120))
    assert 2 <= len(frames) <= 120
    assert (frames[0] == images.UNDRAWN).all()
    np.testing.assert_array_equal(frames[-1], pictures * 255)
    for frame, following in zip(frames[:-1], frames[1:], strict=True):
        drawn = (frame != images.UNDRAWN).reshape(2, -1, shape[-1])
        more = (following != images.UNDRAWN).reshape(2, -1, shape[-1])
        count = drawn.all(axis=(0, 2)).sum()
        assert drawn[:, :count].all() and not drawn[:, count:].any()
        assert more.sum() > drawn.sum()


def test_growing_shows_what_is_known_from_the_beginning():
    pictures = random_images(2, (5, 4, 1), 2)
    known = np.arange(5)[:, None, None] >= 3
    frames = list(images.growing(pictures, 2, known=np.broadcast_to(known, (5, 4, 1))))
    assert len(frames) == 1 + 3 * 4, "a frame shows a pixel that the one before does not"
    np.testing.assert_array_equal(frames[0][:, 3:], pictures[:, 3:] * 255)
    assert (frames[0][:, :3] == images.UNDRAWN).all()
    np.testing.assert_array_equal(frames[-1], pictures * 255)
    assert len(list(images.growing(pictures, 2, known=True))) == 1


# Files to write.


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("levels", [2, 4, 16, 256])
def test_saved_image_is_read_back(tmp_path, channels, levels):
    image = random_images(1, (4, 6, channels), levels)[0]
    path = tmp_path / "new" / "image.png"
    images.save_png(path, images.to_bytes(image, levels))
    np.testing.assert_array_equal(images.read_image(path, image.shape, levels), image)
    assert os.listdir(path.parent) == ["image.png"]


def test_gif_holds_the_frames_and_repeats(tmp_path):
    pictures = random_images(1, (3, 4, 1), 2)
    frames = [frame[0] for frame in images.growing(pictures, 2)]
    path = tmp_path / "growing.gif"
    images.save_gif(path, frames)
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
        images.save_png(path, np.zeros((2, 2, 1), np.uint8))
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["image.png"]


def test_path_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "image.png", tmp_path):
        with pytest.raises(UserError, match="cannot write"):
            images.save_png(path, np.zeros((2, 2, 1), np.uint8))


# Files to read.


def save(path, mode, size=(6, 4), colour=None):
    Image.new(mode, size, colour or 0).save(path)
    return path


def truncated(path):
    Image.fromarray(random_images(1, (4, 6, 3))[0]).save(path)
    path.write_bytes(path.read_bytes()[:60])
    return path


def garbage(path):
    path.write_bytes(b"not an image at all")
    return path


@pytest.mark.parametrize(
    "channels, make, message",
    [
        (1, lambda d: d / "absent.png", "there is no file .*absent.png"),
        (1, lambda d: garbage(d / "a.png"), "a.png is not an image"),
        (3, lambda d: truncated(d / "a.png"), "a.png cannot be read"),
        (1, lambda d: save(d / "a.png", "L", (4, 6)), "4x6 pixels .* the 6x4 that are needed"),
        (1, lambda d: save(d / "a.png", "RGB"), "mode RGB, but gray images are needed"),
        (3, lambda d: save(d / "a.png", "L"), "mode L, but RGB images are needed"),
        (1, lambda d: save(d / "a.png", "I;16"), "mode I;16"),
        (3, lambda d: save(d / "a.tif", "CMYK"), "mode CMYK"),
        (3, lambda d: save(d / "a.png", "RGBA", colour=(1, 2, 3, 9)), "transparent"),
        (2, lambda d: save(d / "a.png", "L"), "2 channels; give an npz"),
        (1, lambda d: d, "no image file in"),
    ],
)
def test_image_that_does_not_fit_is_one_clear_sentence(tmp_path, channels, make, message):
    with pytest.raises(UserError, match=message) as error:
        images.read_images(make(tmp_path), (4, 6, channels), 256)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("mode, channels", [("1", 1), ("L", 1), ("RGB", 3), ("P", 3), ("RGBA", 3)])
def test_modes_without_loss_are_read(tmp_path, mode, channels):
    pixels = random_images(1, (4, 6, channels), 2)[0] * 255
    picture = Image.fromarray(pixels[..., 0] if channels == 1 else pixels).convert(mode)
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(
        images.read_image(tmp_path / "a.png", (4, 6, channels), 256), pixels
    )


def test_bytes_become_levels_as_in_the_data_pipeline(tmp_path):
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(tmp_path / "a.png")
    found = images.read_image(tmp_path / "a.png", (16, 16, 1), 5)
    np.testing.assert_array_equal(found.ravel(), np.arange(256) * 5 // 256)


def test_folder_is_read_in_the_order_of_names(tmp_path):
    pictures = random_images(3)
    for name, picture in zip(("b.png", "a.png", "c.PNG"), pictures, strict=True):
        Image.fromarray(picture[..., 0]).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    found = images.read_images(tmp_path, (4, 6, 1), 256)
    np.testing.assert_array_equal(found, pictures[[1, 0, 2]])


def test_bad_files_of_a_folder_are_named_and_counted(tmp_path):
    save(tmp_path / "a.png", "L")
    garbage(tmp_path / "b.png")
    garbage(tmp_path / "c.png")
    with pytest.raises(UserError, match="b.png is not an image .*1 more of its 3 files"):
        images.read_images(tmp_path, (4, 6, 1), 256)


@pytest.mark.parametrize("key", ["images", "x_test"])
@pytest.mark.parametrize("top, levels", [(4, 4), (256, 256), (256, 4)])
def test_npz_holds_levels_or_bytes(tmp_path, key, top, levels):
    pictures = random_images(levels=top)
    np.savez(tmp_path / "a.npz", **{key: pictures})
    expected = pictures if top == levels else pictures // (256 // levels)
    found = images.read_images(tmp_path / "a.npz", (4, 6, 1), levels)
    np.testing.assert_array_equal(found, expected)


def test_npz_of_black_images_is_read(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 4, 6), np.uint8))
    assert not images.read_images(tmp_path / "a.npz", (4, 6, 1), 256).any()


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"pictures": random_images()}, "no array images or x_test, only pictures"),
        ({"images": random_images(2, (6, 4, 1))}, r"shape \[2, 6, 4, 1\], but .* \[N, 4, 6, 1\]"),
        ({"images": random_images()[:0]}, r"shape \[0, 4, 6, 1\]"),
        ({"images": random_images() / 255}, "must be integers 0…255, but is float64"),
        ({"images": random_images().astype(str)}, "must be integers 0…255, but is <U3"),
        ({"images": random_images().astype(int) - 1}, "from -1"),
        ({"images": random_images().astype(int) + 1}, "to 256"),
    ],
)
def test_npz_that_does_not_fit_is_one_clear_sentence(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=message):
        images.read_images(tmp_path / "a.npz", (4, 6, 1), 256)


@pytest.mark.parametrize("size", [0, 10, 100, 200])
def test_corrupt_npz_is_one_clear_sentence(tmp_path, size):
    np.savez_compressed(tmp_path / "a.npz", images=random_images())
    data = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(data[:size])
    with pytest.raises(UserError, match="a.npz"):
        images.read_images(tmp_path / "a.npz", (4, 6, 1), 256)


def test_damaged_npz_is_one_clear_sentence_or_harmless(tmp_path):
    pictures = random_images()
    np.savez_compressed(tmp_path / "a.npz", images=pictures)
    data = (tmp_path / "a.npz").read_bytes()
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 255
        (tmp_path / "a.npz").write_bytes(damaged)
        try:
            found = images.read_images(tmp_path / "a.npz", (4, 6, 1), 256)
        except UserError as error:
            assert "a.npz" in str(error)
        else:
            np.testing.assert_array_equal(found, pictures)


def test_absent_npz_is_one_clear_sentence(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        images.read_images(tmp_path / "a.npz", (4, 6, 1), 256)


def test_image_of_another_size_is_to_be_resized(tmp_path):
    save(tmp_path / "a.png", "L", (12, 8))
    with pytest.raises(
        UserError, match="is 12x8 pixels .* of 6x4 are needed: resize it to that size"
    ):
        images.read_images(tmp_path / "a.png", (4, 6, 1), 256)


def test_looking_whether_a_file_can_be_written_leaves_it_as_it_is(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("old")
    images.check_writable(path)
    assert path.read_text() == "old"
    images.check_writable(tmp_path / "new" / "b.png")
    assert not list((tmp_path / "new").iterdir())
    for wrong in (tmp_path, path / "c.png"):
        with pytest.raises(UserError, match=f"cannot write {wrong} "):
            images.check_writable(wrong)


def test_mask_keeps_what_is_white(tmp_path):
    kept = random_images(1, (4, 6, 1), 2)[0].astype(bool)
    Image.fromarray(kept[..., 0].astype(np.uint8) * 255).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(images.read_mask(tmp_path / "mask.png", (4, 6, 3)), kept)
    with pytest.raises(UserError, match="6x4 pixels"):
        images.read_mask(tmp_path / "mask.png", (6, 4, 3))
