"""Image files: what is read exactly, and what is refused because something would be lost."""

import struct

import numpy as np
import pytest
from PIL import Image
from test_exported_image_files import png, png_of_16_bits
from test_pictures import random_images

from gated_pixelcnn import data
from gated_pixelcnn.data import image_reading, photos
from gated_pixelcnn.data.config import DataConfig, ImageRules
from gated_pixelcnn.errors import UserError

COLOURS = random_images(1, (4, 6, 3))[0]
GRAYS = random_images(1, (4, 6, 1))[0][..., 0]
ALPHA = (np.arange(24).reshape(4, 6) * 11).astype(np.uint8)  # 0…253
RULES = ImageRules(frames="all")
OPAQUE = np.full((4, 6), 255, np.uint8)


def with_alpha(pixels, alpha=ALPHA):
    return Image.fromarray(np.dstack([pixels, alpha]))


def palette(pixels, **options):
    return Image.fromarray(pixels).quantize(64, dither=Image.Dither.NONE, **options)


def frames(path, *images):
    images[0].save(path, save_all=True, append_images=images[1:])


def ways(path, channels, **options):
    """Yields three readers of a file: training in memory, streamed, and a user's image.

    The training images are the file and a noise image beside it, that they are not blank.
    """
    path.parent.mkdir(exist_ok=True)
    rules = {name: options[name] for name in ("alpha", "frames") if name in options}
    reading = photos.Reading(rules=ImageRules(**rules, option="--"))
    yield lambda: photos.read_images(path, (4, 6, channels), 256, reading)
    for limit in (0, 1000):
        config = data.DataConfig(
            source=f"folder:{path.parent}", validation=0, memory_limit_mb=limit, **options
        )
        yield lambda config=config: data.load(config).train.take(9)[0]


@pytest.fixture
def path(tmp_path):
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder" / "a"


def assert_read(path, expected, **options):
    for read in ways(path, expected.shape[-1], **options):
        np.testing.assert_array_equal(read(), expected)


def assert_refused(path, channels, message, **options):
    for read in ways(path, channels, **options):
        with pytest.raises(UserError, match=message) as error:
            read()
        assert path.name in str(error.value) and "\n" not in str(error.value)


TRANSPARENT = {
    "RGBA.png": lambda path: with_alpha(COLOURS).save(path),
    "RGBA.webp": lambda path: with_alpha(COLOURS).save(path, lossless=True, exact=True),
    "RGBA.tiff": lambda path: with_alpha(COLOURS).save(path),
    "LA.png": lambda path: with_alpha(GRAYS).save(path),
    "RGB with tRNS.png": lambda path: Image.fromarray(COLOURS).save(
        path, transparency=tuple(map(int, COLOURS[0, 0]))
    ),
    "L with tRNS.png": lambda path: Image.fromarray(GRAYS).save(
        path, transparency=int(GRAYS[0, 0])
    ),
    "palette.png": lambda path: palette(COLOURS).save(path, transparency=3),
    "palette.gif": lambda path: palette(COLOURS).save(path, transparency=3),
}


@pytest.mark.parametrize("name", TRANSPARENT)
def test_transparent_pixels_are_refused_unless_allowed(path, name):
    path = path.with_name(name)
    TRANSPARENT[name](path)
    channels = 1 if name.startswith("L") else 3
    assert_refused(path, channels, r"transparent pixels: set (--|data\.)alpha=drop, white or black")
    with Image.open(path) as image:
        stored = np.asarray(image.convert("RGBA")).astype(float)
    share = stored[..., 3:] / 255
    colours = stored[..., :channels]
    assert share.min() < 1
    assert_read(path, colours[None].astype(np.uint8), alpha="drop")
    for alpha, behind in (("white", 255), ("black", 0)):
        laid = np.floor(colours * share + behind * (1 - share) + 0.5).astype(np.uint8)
        assert_read(path, laid[None], alpha=alpha)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_transparent_gray_of_few_bits_is_seen(path, bits):
    path = path.with_suffix(".png")
    stored = np.arange(24).reshape(4, 6) * 5 % 2**bits
    digits = (stored[..., None] >> np.arange(bits)[::-1]) & 1
    rows = b"".join(b"\0" + np.packbits(row).tobytes() for row in digits.reshape(4, -1))
    pixels = (stored * (255 // (2**bits - 1))).astype(np.uint8)
    for gray in {*stored.flat[:2], stored.max()}:
        path.write_bytes(png(stored.shape, bits, 0, rows, transparent=gray))
        assert_refused(path, 1, "transparent pixels")
        assert_read(path, pixels[None, ..., None], alpha="drop")
        white = np.where(stored == gray, 255, pixels).astype(np.uint8)
        if len(np.unique(white)) > 1:  # else blank, which is refused
            assert_read(path, white[None, ..., None], alpha="white")


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_netpbm_images_one_after_the_other_are_several(path, mode):
    path = path.with_suffix(".pnm")
    image = Image.fromarray(COLOURS).convert(mode)
    image.save(path, "PPM")
    one = path.read_bytes()
    channels = 3 if mode == "RGB" else 1
    pixels = np.asarray(image.convert("RGB" if mode == "RGB" else "L")).reshape(1, 4, 6, channels)
    assert_read(path, pixels)
    path.write_bytes(one + b"\n")
    assert_read(path, pixels)
    for between in (b"", b"\n"):
        path.write_bytes(one + between + one)
        assert_refused(path, channels, r"2 images in one file: set (--|data\.)frames=first")
        assert_refused(path, channels, "more than one Netpbm image", frames="all")
        assert_read(path, pixels, frames="first")


@pytest.mark.parametrize("pixels, channels", [(COLOURS, 3), (GRAYS, 1)])
def test_transparency_that_hides_nothing_is_no_reason_to_refuse(path, pixels, channels):
    path = path.with_suffix(".png")
    with_alpha(pixels, OPAQUE).save(path)
    assert_read(path, pixels.reshape(1, 4, 6, channels))


@pytest.mark.parametrize("ending", ["gif", "tiff", "png", "webp"])
def test_several_images_in_a_file_are_refused_unless_allowed(path, ending):
    path = path.with_suffix(f".{ending}")
    options = {"lossless": True} if ending == "webp" else {}
    pictures = [Image.fromarray(np.roll(COLOURS // 64 * 64, i, 0)) for i in range(3)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100, **options)
    expected = np.stack([np.asarray(picture) for picture in pictures])
    assert_refused(path, 3, r"3 images in one file: set (--|data\.)frames=first or all")
    assert_read(path, expected[:1], frames="first")
    assert_read(path, expected, frames="all")


def test_pages_of_several_sizes_are_several_images(path):
    path = path.with_suffix(".tiff")
    frames(path, Image.fromarray(COLOURS), Image.fromarray(COLOURS[:3]))
    headers = image_reading.inspect(path, ImageRules(frames="all"))
    assert [header.size for header in headers] == [(4, 6), (3, 6)]
    for read in ways(path, 3, frames="all"):
        with pytest.raises(UserError, match="smaller than the 6x4|2 different sizes"):
            read()


def test_a_photo_and_what_belongs_to_it_are_one_image_but_a_series_is_several(path):
    path = path.with_suffix(".jpg")
    frames(path.with_suffix(".mpo"), Image.fromarray(COLOURS), Image.fromarray(COLOURS[::-1]))
    path.with_suffix(".mpo").rename(path)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
        _, second = image.mpinfo[0xB002]
    assert_read(path, expected[None])
    size = struct.pack("<L", second["Size"])
    series = b"\x02\x00\x02\x00" + size  # of "Multi-Frame Image (Disparity)"
    path.write_bytes(path.read_bytes().replace(bytes(4) + size, series))
    assert_refused(path, 3, "2 images in one file")
    assert_read(path, expected[None], frames="first")


@pytest.mark.parametrize("ending", ["gif", "tiff", "png", "webp", "jpg", "bmp", "ppm"])
def test_a_file_that_is_cut_anywhere_is_refused_or_read_whole(path, ending):
    path = path.with_suffix(f".{ending}")
    options = {"lossless": True} if ending == "webp" else {}
    if ending in ("gif", "tiff", "png", "webp"):
        options |= {"save_all": True, "append_images": [Image.fromarray(COLOURS[::-1])]}
    Image.fromarray(COLOURS // 64 * 64).save(path, **options)
    content = path.read_bytes()
    whole = photos.read_images(path, (4, 6, 3), 256, photos.Reading(rules=RULES))
    for size in range(len(content)):
        path.write_bytes(content[:size])
        try:
            found = photos.read_images(path, (4, 6, 3), 256, photos.Reading(rules=RULES))
        except UserError as error:
            assert path.name in str(error)
        else:
            np.testing.assert_array_equal(found, whole[: len(found)])


def wide(path):
    path.write_bytes(png_of_16_bits(COLOURS.astype(int)))


LOST = {
    "16 bits of gray.png": (
        lambda path: Image.fromarray(GRAYS.astype(np.uint16) * 200).save(path),
        "mode I;16: convert",
    ),
    "16 bits of colour.png": (wide, "16 bits per channel: convert it to 8"),
    "16 bits.ppm": (
        lambda path: path.write_bytes(b"P6 6 4 65535\n" + COLOURS.tobytes() * 2),
        "16 bits per channel",
    ),
    "16 bits.pgm": (
        lambda path: path.write_bytes(b"P5 6 4 65535\n" + GRAYS.tobytes() * 2),
        "mode I: convert",
    ),
    "32 bits.tiff": (lambda path: Image.fromarray(GRAYS.astype(np.int32)).save(path), "mode I"),
    "float.tiff": (lambda path: Image.fromarray(GRAYS.astype(np.float32)).save(path), "mode F"),
    "print.jpg": (lambda path: Image.fromarray(COLOURS).convert("CMYK").save(path), "mode CMYK"),
    "print.tiff": (lambda path: Image.fromarray(COLOURS).convert("CMYK").save(path), "mode CMYK"),
    "lab.tiff": (lambda path: Image.new("LAB", (6, 4)).save(path), "mode LAB"),
}


@pytest.mark.parametrize("name", LOST)
def test_what_has_no_8_bits_of_gray_or_rgb_is_refused(path, name):
    path = path.with_name(name)
    write, message = LOST[name]
    write(path)
    for channels in (1, 3):
        assert_refused(path, channels, message)


EXACT = {
    "colour.png": (lambda path: Image.fromarray(COLOURS).save(path), COLOURS),
    "gray.png": (lambda path: Image.fromarray(GRAYS).save(path), GRAYS),
    "4 bits.png": (lambda path: palette(GRAYS // 16 * 17).convert("L").save(path, bits=4), None),
    "black and white.png": (
        lambda path: Image.fromarray(GRAYS > 127).save(path),
        (GRAYS > 127) * np.uint8(255),
    ),
    "black and white.pbm": (
        lambda path: Image.fromarray(GRAYS > 127).save(path),
        (GRAYS > 127) * np.uint8(255),
    ),
    "gray.gif": (lambda path: Image.fromarray(GRAYS).save(path), GRAYS),
    "gray in another order.gif": (lambda path: palette(GRAYS).save(path), GRAYS),
    "gray palette.png": (lambda path: palette(GRAYS).save(path), GRAYS),
    "palette.png": (lambda path: palette(COLOURS).save(path), COLOURS),
    "palette.gif": (lambda path: palette(COLOURS).save(path), COLOURS),
    "few grays.pgm": (
        lambda path: path.write_bytes(b"P5 6 4 15\n" + (GRAYS // 16).tobytes()),
        GRAYS // 16 * 17,
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_what_loses_nothing_is_read_exactly_gray_as_gray(path, name):
    path = path.with_name(name)
    write, expected = EXACT[name]
    write(path)
    if expected is None:
        with Image.open(path) as image:
            expected = np.asarray(image.convert("L"))
    expected = expected.reshape(1, 4, 6, -1)
    config = data.DataConfig(source=f"folder:{path.parent}")
    assert data.describe(config).image_shape == expected.shape[1:]
    assert_read(path, expected)


def test_gray_images_stand_for_colour_images_and_colours_become_gray_only_if_the_run_says(path):
    path = path.with_suffix(".png")
    Image.fromarray(GRAYS).save(path)
    expected = np.repeat(GRAYS[..., None], 3, -1)
    np.testing.assert_array_equal(photos.read_images(path, (4, 6, 3), 256)[0], expected)
    like = data.DataInfo((4, 6, 3), 256, 0, ())
    config = data.DataConfig(source=f"folder:{path.parent}", validation=0)
    np.testing.assert_array_equal(data.load(config, like).train.images[0], expected)
    Image.fromarray(COLOURS).save(path)
    with pytest.raises(UserError, match="has colours, but gray images are needed"):
        photos.read_images(path, (4, 6, 1), 256)
    config = data.DataConfig(source=f"folder:{path.parent}", validation=0, grayscale=True)
    np.testing.assert_array_equal(
        photos.read_images(path, (4, 6, 1), 256, photos.Reading(run=DataConfig(grayscale=True))),
        data.load(config).train.images,
    )


def test_every_known_ending_is_one_for_training_and_for_users(path):
    options = {"WEBP": {"lossless": True}}
    for kind, endings in image_reading.ENDINGS_OF.items():
        for ending in endings:
            file = path.parent / f"a{ending.upper()}"
            Image.fromarray(GRAYS).save(file, format=kind, **options.get(kind, {}))
    config = data.DataConfig(source=f"folder:{path.parent}", validation=0)
    trained = data.load(config).train.images
    given = photos.read_images(path.parent, trained.shape[1:], 256)
    np.testing.assert_array_equal(trained, given)
    assert len(trained) == len(image_reading.ENDINGS)


def test_a_bitmap_of_16_bits_for_all_colours_is_read(tmp_path):
    pixels = np.array([0xF800, 0x07E0, 0x001F, 0xFFFF], "<u2").tobytes()  # 5, 6 and 5 bits
    header = struct.pack("<2sIHHI", b"BM", 66 + 8, 0, 0, 66)
    header += struct.pack("<IiiHHIIiiII", 40, 4, -1, 1, 16, 3, 8, 0, 0, 0, 0)
    header += struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    (tmp_path / "a.bmp").write_bytes(header + pixels)
    images = data.load(data.DataConfig(source=f"folder:{tmp_path}", validation=0)).train.images
    colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]
    np.testing.assert_array_equal(images[0, 0], colours)
