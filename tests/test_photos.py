"""Images that a user gives: what is read, and what is refused."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageOps
from test_pictures import random_images

from gated_pixelcnn import data
from gated_pixelcnn.data import image_reading, photos
from gated_pixelcnn.data.config import DataConfig, ImageRules
from gated_pixelcnn.errors import UserError


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
        (1, lambda d: garbage(d / "a.png"), "a.png .*not an image"),
        (3, lambda d: truncated(d / "a.png"), "a.png cannot be used .*damaged"),
        (1, lambda d: save(d / "a.png", "L", (4, 6)), "4x6 pixels .* the 6x4 that are needed"),
        (1, lambda d: save(d / "a.png", "RGB"), "has colours, but gray images are needed"),
        (1, lambda d: save(d / "a.png", "I;16"), "mode I;16"),
        (3, lambda d: save(d / "a.tif", "CMYK"), "mode CMYK"),
        (3, lambda d: save(d / "a.png", "RGBA", colour=(1, 2, 3, 9)), "transparent"),
        (2, lambda d: save(d / "a.png", "L"), "2 channels; give an npz"),
        (1, lambda d: d, "has no images"),
    ],
)
def test_image_that_does_not_fit_is_one_clear_sentence(tmp_path, channels, make, message):
    with pytest.raises(UserError, match=message) as error:
        photos.read_images(make(tmp_path), (4, 6, channels), 256)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("mode, channels", [("1", 1), ("L", 1), ("RGB", 3), ("P", 3), ("RGBA", 3)])
def test_modes_without_loss_are_read(tmp_path, mode, channels):
    pixels = random_images(1, (4, 6, channels), 2)[0] * 255
    picture = Image.fromarray(pixels[..., 0] if channels == 1 else pixels).convert(mode)
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(
        photos.read_images(tmp_path / "a.png", (4, 6, channels), 256)[0], pixels
    )


def test_bytes_become_levels_as_in_the_data_pipeline(tmp_path):
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(tmp_path / "a.png")
    found = photos.read_images(tmp_path / "a.png", (16, 16, 1), 5)[0]
    np.testing.assert_array_equal(found.ravel(), np.arange(256) * 5 // 256)


def test_folder_is_read_in_the_order_of_names(tmp_path):
    pictures = random_images(3)
    for name, picture in zip(("b.png", "a.png", "c.PNG"), pictures, strict=True):
        Image.fromarray(picture[..., 0]).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    found = photos.read_images(tmp_path, (4, 6, 1), 256)
    np.testing.assert_array_equal(found, pictures[[1, 0, 2]])


def test_bad_files_of_a_folder_are_named_and_counted(tmp_path):
    save(tmp_path / "a.png", "L")
    garbage(tmp_path / "b.png")
    garbage(tmp_path / "c.png")
    with pytest.raises(UserError, match="b.png .*not an image.* .*1 more of its 3 files"):
        photos.read_images(tmp_path, (4, 6, 1), 256)


@pytest.mark.parametrize("key", ["images", "x_test"])
@pytest.mark.parametrize("top, levels", [(4, 4), (256, 256), (256, 4)])
def test_npz_holds_levels_or_bytes_as_the_run_says_or_the_file(tmp_path, key, top, levels):
    pictures = random_images(levels=top)
    np.savez(tmp_path / "a.npz", **{key: pictures})
    np.savez(tmp_path / "b.npz", **{key: pictures}, levels=top)
    expected = pictures if top == levels else pictures // (256 // levels)
    reading = photos.Reading("levels" if top == 4 else "bytes")
    found = photos.read_images(tmp_path / "a.npz", (4, 6, 1), levels, reading)
    np.testing.assert_array_equal(found, expected)
    if top == levels:
        found = photos.read_images(tmp_path / "b.npz", (4, 6, 1), levels)
        np.testing.assert_array_equal(found, expected)
    else:
        with pytest.raises(UserError, match="of 256 levels, but 4 are needed"):
            photos.read_images(tmp_path / "b.npz", (4, 6, 1), levels)


def test_colours_of_npz_become_gray_where_those_of_the_run_did(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3), np.uint8)
    np.savez(tmp_path / "a.npz", images=colours)
    found = photos.read_images(
        tmp_path / "a.npz", (4, 6, 1), 16, photos.Reading(run=DataConfig(grayscale=True))
    )
    expected = [np.asarray(Image.fromarray(image).convert("L")) // 16 for image in colours]
    np.testing.assert_array_equal(found[..., 0], expected)
    with pytest.raises(UserError, match="shape .*, but images of the shape .* are needed"):
        photos.read_images(tmp_path / "a.npz", (4, 6, 1), 16)


def test_values_by_hand_go_before_the_levels_of_npz(tmp_path):
    pictures = random_images(2, (4, 6, 1))
    np.savez(tmp_path / "a.npz", images=pictures, levels=np.array([10]))
    by_hand = photos.Reading(values="bytes", by_hand=True)
    found = photos.read_images(tmp_path / "a.npz", (4, 6, 1), 10, by_hand)
    np.testing.assert_array_equal(found, pictures.astype(int) * 10 // 256)
    np.savez(tmp_path / "a.npz", images=pictures // 26, levels=np.array([10]))
    found = photos.read_images(tmp_path / "a.npz", (4, 6, 1), 10)
    np.testing.assert_array_equal(found, pictures // 26)
    np.savez(tmp_path / "a.npz", images=pictures, levels=np.array([10, 10]))
    with pytest.raises(UserError, match="levels of .* must be one whole number"):
        photos.read_images(tmp_path / "a.npz", (4, 6, 1), 10)


def test_npz_of_black_images_is_read(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 4, 6), np.uint8))
    assert not photos.read_images(tmp_path / "a.npz", (4, 6, 1), 256).any()


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"pictures": random_images()}, "no array images or x_test, only pictures"),
        ({"images": random_images(2, (6, 4, 1))}, r"shape \[2, 6, 4, 1\], but .* \[N, 4, 6, 1\]"),
        ({"images": random_images()[:0]}, r"shape \(0, 4, 6, 1\)"),
        ({"images": random_images() / 255}, "must be integers 0..255, but is float64"),
        ({"images": random_images().astype(str)}, "must be integers 0..255, but is <U3"),
        ({"images": random_images().astype(int) - 1}, "from -1"),
        ({"images": random_images().astype(int) + 1}, "to 256"),
    ],
)
def test_npz_that_does_not_fit_is_one_clear_sentence(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=message):
        photos.read_images(tmp_path / "a.npz", (4, 6, 1), 256)


@pytest.mark.parametrize("size", [0, 10, 100, 200])
def test_corrupt_npz_is_one_clear_sentence(tmp_path, size):
    np.savez_compressed(tmp_path / "a.npz", images=random_images())
    data = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(data[:size])
    with pytest.raises(UserError, match="a.npz"):
        photos.read_images(tmp_path / "a.npz", (4, 6, 1), 256)


def test_damaged_npz_is_one_clear_sentence_or_harmless(tmp_path):
    pictures = random_images()
    np.savez_compressed(tmp_path / "a.npz", images=pictures)
    data = (tmp_path / "a.npz").read_bytes()
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 255
        (tmp_path / "a.npz").write_bytes(damaged)
        try:
            found = photos.read_images(tmp_path / "a.npz", (4, 6, 1), 256)
        except UserError as error:
            assert "a.npz" in str(error)
        else:
            np.testing.assert_array_equal(found, pictures)


def test_absent_npz_is_one_clear_sentence(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        photos.read_images(tmp_path / "a.npz", (4, 6, 1), 256)


def test_image_of_another_size_is_to_be_resized(tmp_path):
    save(tmp_path / "a.png", "L", (12, 8))
    with pytest.raises(
        UserError, match="is 12x8 pixels .* of 6x4 are needed: resize it to that size"
    ):
        photos.read_images(tmp_path / "a.png", (4, 6, 1), 256)


def test_mask_keeps_what_is_white(tmp_path):
    kept = random_images(1, (4, 6, 1), 2)[0].astype(bool)
    Image.fromarray(kept[..., 0].astype(np.uint8) * 255).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(photos.read_mask(tmp_path / "mask.png", (4, 6, 3)), kept)
    with pytest.raises(UserError, match="6x4 pixels"):
        photos.read_mask(tmp_path / "mask.png", (6, 4, 3))


def test_damaged_exif_data_are_no_reason_to_refuse_a_photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    for exif in (b"Exif\0\0II*\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"nonsense"):
        for ending in ("png", "webp"):
            path = tmp_path / f"a.{ending}"
            Image.fromarray(pixels).save(
                path, exif=exif, **({"lossless": True} if ending == "webp" else {})
            )
            np.testing.assert_array_equal(photos.read_images(path, (4, 6, 3), 256)[0], pixels)
            assert image_reading.inspect(path, ImageRules())[0].size == (4, 6)
            read = image_reading.read(path, 0, 3, ImageRules())
            np.testing.assert_array_equal(read, pixels)


@pytest.mark.parametrize("ending", ["tiff", "jpeg", "webp", "png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_taken_the_way_up_that_it_is_shown(ending, orientation, tmp_path):
    path, exif = tmp_path / f"a.{ending}", Image.Exif()
    exif[0x0112] = orientation
    pixels = np.arange(4)[:, None] * 40 + np.arange(6) * 10
    pixels = pixels.astype(np.uint8).repeat(8, 0).repeat(8, 1)  # that JPEG keeps what matters
    Image.fromarray(pixels).convert("RGB").save(path, exif=exif, quality=95)
    with Image.open(path) as image:
        shown = np.asarray(ImageOps.exif_transpose(image))
    assert (shown.shape[:2] == (32, 48)) == (orientation < 5)
    for found in (
        photos.read_images(path, shown.shape, 256)[0],
        image_reading.read(path, 0, 3, ImageRules()),
    ):
        np.testing.assert_array_equal(found, shown)
    assert photos.shape_of(path) == shown.shape
    assert image_reading.inspect(path, ImageRules())[0].size == shown.shape[:2]


@pytest.mark.parametrize(
    "options",
    [
        {"image_size": 8},
        {"crop": "2,1,0,5"},
        {"crop": "2,1,0,5", "image_size": 8, "grayscale": True},
        {"patch": 8},
        {"image_size": "8x11"},
        {"image_size": "20x24", "resize": "pad"},
        {"image_size": "9x28", "resize": "stretch", "grayscale": True},
        {"crop": "2,1,0,5", "image_size": 10, "patch": 6, "levels": 16},
    ],
)
def test_with_resize_a_file_gives_the_array_that_it_gave_in_training(tmp_path, options):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 21, 30, 3)).astype(np.uint8)
    for name, image in zip("ab", pixels, strict=True):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    config = DataConfig(source=f"folder:{tmp_path}", validation=0, **options)
    bunch = data.load(config)
    trained, _ = bunch.train.take(2)
    record = {"config": {"data": dataclasses.asdict(config), "model": {}}, "data": bunch.record()}
    flags, said = SimpleNamespace(values=None, alpha=None, frames=None), []
    with pytest.raises(UserError, match="are needed: resize it to that size, or give --resize"):
        photos.read_images(
            tmp_path, bunch.image_shape, bunch.levels, photos.Reading.of(record, flags)
        )
    reading = photos.Reading.of(record, flags, said.append)
    given = photos.read_images(tmp_path, bunch.image_shape, bunch.levels, reading)
    np.testing.assert_array_equal(given, trained)
    assert len(said) == 2 and ("margins 2,1,0,5" in said[0]) == ("crop" in options)


def test_a_file_that_is_too_small_without_the_margins_of_training_is_refused(tmp_path):
    save(tmp_path / "a.png", "L", (12, 8))
    reading = photos.Reading(run=DataConfig(crop="2,3,0,0"), resize=print)
    with pytest.raises(UserError, match="12x8 pixels .* 12x3 without the margins .* 6x4 that are"):
        photos.read_images(tmp_path / "a.png", (4, 6, 1), 256, reading)
    for options, message in (
        ({"crop": "4,4,0,0"}, "a.png cannot be used .*data.crop=4,4,0,0 leaves nothing"),
        ({"image_size": 9, "patch": 4}, "a.png cannot be used .*data.image_size=9 is larger than"),
    ):
        reading = photos.Reading(run=DataConfig(**options), resize=print)
        with pytest.raises(UserError, match=message):
            photos.read_images(tmp_path / "a.png", (4, 4, 1), 256, reading)
