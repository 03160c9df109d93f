"""Image files in requests of SavedModels: decoded as those of training, or refused."""

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from exported import KINDS, MAX_IMAGES, encoded, picture

from gated_pixelcnn.data import image_reading, preprocessing
from gated_pixelcnn.data.config import ImageRules
from gated_pixelcnn.serving.decoding import decode

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from request_trials.making import jpeg_that_claims, png_that_claims  # noqa: E402

QUICK = ("label", "vector", "spatial", "image")
LEFT = [pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS if kind not in QUICK]
every_kind = pytest.mark.parametrize("kind", [*QUICK, *LEFT])


def interlaced(pixels):
    """A PNG file of gray bytes [H, W], interlaced (Adam7), which PIL cannot write."""
    rows = b""
    steps = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
    for top, left, down, right in [*steps, (1, 0, 2, 1)]:
        part = pixels[top::down, left::right]
        rows += b"".join(b"\0" + row.tobytes() for row in part if part.size)
    return png(pixels.shape, 8, 0, rows, interlace=1)


def png_of_16_bits(pixels):
    """A PNG file of [H, W, 1 or 3] whose high bytes are the pixels, the low ones noise."""
    low = np.random.default_rng(1).integers(0, 256, pixels.shape)
    numbers = (pixels * 256 + low).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in numbers)
    return png(pixels.shape, 16, 2 if pixels.shape[-1] == 3 else 0, rows)


def png(shape, depth, colour_type, rows, interlace=0, transparent=None):
    """A PNG file of packed rows; of gray the number that is transparent."""

    def chunk(kind, data):
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    sizes = (shape[1], shape[0], depth, colour_type, 0, 0, interlace)
    header, data = struct.pack(">IIBBBBB", *sizes), zlib.compress(rows)
    extra = b"" if transparent is None else chunk(b"tRNS", struct.pack(">H", transparent))
    chunks = chunk(b"IHDR", header) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def image_files(shape):
    """name → bytes of files of the size."""
    gray, colour = picture((*shape[:2], 1)), picture((*shape[:2], 3))
    grays = {
        "gray PNG": encoded(gray, "PNG"),
        "black and white PNG": encoded(gray.convert("1"), "PNG"),
        "opaque gray PNG": encoded(gray.convert("LA"), "PNG"),
        "gray palette PNG": encoded(gray.convert("RGB").quantize(16), "PNG"),
        "interlaced PNG": interlaced(np.asarray(gray)),
        "gray JPEG": encoded(gray, "JPEG"),
    }
    if shape[-1] == 1:
        return grays
    return grays | {
        "colour PNG": encoded(colour, "PNG"),
        "palette PNG": encoded(colour.quantize(16), "PNG"),
        "opaque PNG": encoded(colour.convert("RGBA"), "PNG"),
        "colour JPEG": encoded(colour, "JPEG"),
        "colour JPEG, no subsampling": encoded(colour, "JPEG", subsampling=0),
        "progressive JPEG": encoded(colour, "JPEG", progressive=True),
    }


@pytest.mark.parametrize("kind", ["none", "label", "map", "spatial", "vector"])
def test_image_files_are_decoded_like_those_of_training(exported, kind, tmp_path):
    it = exported(kind)
    shape, levels = it.model.image_shape, it.model.levels
    files = image_files(shape)
    images = []
    for file in files.values():
        (tmp_path / "file").write_bytes(file)
        pixels = image_reading.read(tmp_path / "file", 0, shape[-1], ImageRules())
        images.append(preprocessing.levels_table(levels)[pixels])
    for index, name in enumerate(files):
        condition = it.condition(1)
        found = it.call("log_prob_bytes", image_bytes=np.array([files[name]], object), **condition)
        expected = it.call("log_prob", images=images[index][None], **condition)
        for output in ("log_prob", "bits_per_dim"):
            np.testing.assert_allclose(found[output], expected[output], rtol=1e-5, err_msg=name)
    some = np.array(list(files.values())[:MAX_IMAGES], object)
    found = it.call("log_prob_bytes", image_bytes=some, **it.condition(len(some)))
    expected = it.call("log_prob", images=np.stack(images[: len(some)]), **it.condition(len(some)))
    np.testing.assert_allclose(found["log_prob"], expected["log_prob"], rtol=1e-5)


def test_colours_become_gray_where_those_of_training_did(tmp_path):
    for name, file in image_files((5, 7, 3)).items():
        (tmp_path / "file").write_bytes(file)
        expected = image_reading.read(tmp_path / "file", 0, 1, ImageRules())
        found = decode(tf.constant([file]), (5, 7, 1), 256, gray=True)
        np.testing.assert_array_equal(found[0], expected, err_msg=name)


@pytest.mark.parametrize("form", ["colour PNG", "palette PNG", "opaque PNG", "colour JPEG"])
def test_colours_are_refused_where_those_of_training_were(form):
    with pytest.raises(tf.errors.InvalidArgumentError, match="image_bytes must be gray"):
        decode(tf.constant([image_files((5, 7, 3))[form]]), (5, 7, 1), 256)


def test_bytes_that_may_be_levels_are_refused():
    dark = np.full((5, 7, 3), 9, np.uint8)
    for levels, highest in ((10, 9), (256, 9), (10, 0), (10, 10)):
        file = tf.io.encode_png(np.minimum(dark + 1, highest).astype(np.uint8))
        if (levels, highest) == (10, 9):
            with pytest.raises(tf.errors.InvalidArgumentError, match="no value above 9, so it may"):
                decode(file[None], dark.shape, levels)
        else:
            assert decode(file[None], dark.shape, levels).numpy().max() == highest * levels // 256


def transparent(shape):
    image = picture((*shape[:2], 3)).convert("RGBA")
    image.putalpha(picture((*shape[:2], 1)))
    return encoded(image, "PNG")


COLOUR = KINDS["label"][0]
WRONG_FILES = {
    "empty": (b"", "must be whole PNG or JPEG files"),
    "text": (b"not an image, but long enough for a header", "must be whole PNG or JPEG files"),
    "GIF": (encoded(picture(COLOUR), "GIF"), "must be whole PNG or JPEG files"),
    "cut PNG": (encoded(picture(COLOUR), "PNG")[:-20], "Invalid PNG"),
    "PNG header": (encoded(picture(COLOUR), "PNG")[:40], "Invalid PNG"),
    "cut JPEG": (encoded(picture(COLOUR), "JPEG")[:-20], "Invalid JPEG"),
    "JPEG header": (encoded(picture(COLOUR), "JPEG")[:40], "Invalid JPEG"),
    "transparent": (transparent(COLOUR), "without transparent pixels"),
    "16 bits": (png_of_16_bits(np.zeros(COLOUR, int)), "8 bits per channel"),
    "CMYK": (encoded(picture(COLOUR).convert("CMYK"), "JPEG"), "RGB or gray images, not CMYK"),
    "turned": (encoded(picture((7, 5, 3)), "PNG"), r"images of 5x7 \(height x width\)"),
    "large JPEG": (encoded(picture((50, 70, 3)), "JPEG"), "images of 5x7"),
    "huge PNG": (png_that_claims(60_000, 60_000), r"images of 5x7 .*60000 60000"),
    "negative PNG": (png_that_claims(2**32 - 1, 2**32 - 1), "images of 5x7"),
    "huge JPEG": (
        jpeg_that_claims(encoded(picture(COLOUR), "JPEG"), 60_000, 60_000),
        r"images of 5x7 .*60000 60000",
    ),
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_an_image_file_that_is_wrong_is_an_error_that_says_why(served, name):
    file, message = WRONG_FILES[name]
    right = encoded(picture(COLOUR), "PNG")
    inputs = {"image_bytes": np.array([right, file], object), "label": np.int32([0, 1])}
    with pytest.raises(tf.errors.InvalidArgumentError, match=message) as error:
        served("label")("log_prob_bytes", inputs)
    assert "image_bytes" in error.value.message
