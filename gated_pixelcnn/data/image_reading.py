"""The one reader of image files: for training, for evaluation, and for the images of a user.

What it gives is what the file shows, the way up that it is shown; what would be lost on the way to
8 bits of gray or RGB is refused, or allowed by the ImageRules.
"""

import contextlib
import os
import re
import struct
import warnings
from typing import NamedTuple

import numpy as np
import PIL.Image

from gated_pixelcnn.data import preprocessing
from gated_pixelcnn.data.config import ImageRules
from gated_pixelcnn.errors import UserError, first_line

# All that PIL was seen to raise of damaged files.
READ_ERRORS = (
    *(OSError, ValueError, SyntaxError, EOFError, PIL.Image.DecompressionBombError),
    *(TypeError, LookupError, ArithmeticError, struct.error),
)
# PIL knows more: of those EPS is a program, which it has Ghostscript run.
ENDINGS_OF = {
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
FORMATS = tuple(ENDINGS_OF)
ENDINGS = tuple(ending for endings in ENDINGS_OF.values() for ending in endings)
GRAY_MODES = ("1", "L", "LA")
PALETTE_MODES = ("P", "PA")
COLOUR_MODES = ("RGB", "RGBA")
BACKGROUNDS = {"white": 255, "black": 0}
_FEW_BITS = {"L;2": 85, "L;4": 17}  # of gray PNG files: what makes bytes of their values
ORIENTATION = 0x0112  # EXIF tag; from 5 on, height and width are exchanged
BITS_PER_SAMPLE = 258  # TIFF tag
# PIL's own exif_transpose writes the EXIF data anew, which fails where they are damaged.
TURNS = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}


class Header(NamedTuple):
    """One image of a file.

    Attributes:
      frame: Its number in the file.
      gray: Whether it has no colours.
      size: (height, width) that it is shown in.
    """

    frame: int
    gray: bool
    size: tuple[int, int]


def ends_like_an_image(name: str) -> bool:
    """Returns whether a file of this name is taken for an image."""
    return name.lower().endswith(ENDINGS)


def inspect(path, rules: ImageRules) -> list[Header]:
    """Tells what images are in a file; decodes it only where its header does not tell all.

    Args:
      path: The file.
      rules: What may be lost.

    Returns:
      The Header of each image that is taken of it.

    Raises:
      READ_ERRORS: If it is not an image file; UserError if something would be lost.
    """
    with _opened(path) as image:
        count = _frames(image)
        if count > 1 and rules.frames == "refuse":
            raise UserError(f"{count} images in one file: set {rules.option}frames=first or all")
        if count > 1 and rules.frames == "all" and image.format == "PPM":
            raise UserError("more than one Netpbm image in one file: divide it")
        found = []
        for frame in range(count if rules.frames == "all" else 1):
            image.seek(frame)
            turned = _orientation(image) >= 5
            gray = _checked_mode(image) in GRAY_MODES
            size = image.size if turned else image.size[::-1]
            # A palette, and all of a GIF, is gray if what it shows is.
            with_palette = image.mode in PALETTE_MODES or (image.format == "GIF" and not gray)
            if with_palette or (rules.alpha == "refuse" and image.has_transparency_data):
                pixels = _pixels(image, rules)
                gray = gray or (with_palette and bool((pixels == pixels[..., :1]).all()))
            found.append(Header(frame, gray, size))
        return found


def read(path, frame: int, channels: int, rules: ImageRules) -> np.ndarray:
    """Reads one image of a file.

    Args:
      path: The file.
      frame: Number of the image in it.
      channels: 1 (colours become gray, ITU-R 601) or 3 (gray is repeated).
      rules: What may be lost.

    Returns:
      uint8 [H, W, channels].

    Raises:
      READ_ERRORS: If it is not a whole image file; UserError if something would be lost.
    """
    with _opened(path) as image:
        image.seek(frame)
        turn = TURNS.get(_orientation(image))
        _checked_mode(image)
        pixels = _pixels(image, rules)
    if turn is not None:
        planes = (PIL.Image.fromarray(plane).transpose(turn) for plane in np.moveaxis(pixels, 2, 0))
        pixels = np.stack([np.asarray(plane) for plane in planes], axis=-1)
    if channels == 1:
        return preprocessing.to_gray(pixels)
    return np.broadcast_to(pixels, (*pixels.shape[:2], channels))


def read_prepared(path, frame: int, shape: tuple[int, int, int], config) -> np.ndarray:
    """Reads one image and brings it to the configured size.

    Args:
      path: The file.
      frame: Number of the image in it.
      shape: (H, W, C) that it must have in the end.
      config: The DataConfig.

    Returns:
      uint8 [H, W, C], the values of the file (or means of them).

    Raises:
      READ_ERRORS: As `read`; also if it has another shape.
    """
    image = preprocessing.prepare(read(path, frame, shape[-1], config.image_rules()), config)
    if image.shape != tuple(shape):
        raise UserError(f"its shape is {image.shape}, but was {tuple(shape)}")
    return image


def why_unreadable(path, error) -> str:
    """Returns in a few words why one of READ_ERRORS was raised for a file."""
    if isinstance(error, UserError):
        return str(error)
    if not os.path.exists(path):
        return "there is no such file"
    if os.path.isdir(path):
        return "it is a directory"
    if os.path.getsize(path) == 0:
        return "empty"
    if isinstance(error, PIL.Image.DecompressionBombError):
        return f"more than {2 * PIL.Image.MAX_IMAGE_PIXELS // 10**6} megapixels: make it smaller"
    if isinstance(error, PIL.UnidentifiedImageError):
        return "not an image"
    return f"damaged: {first_line(error) if type(error) is not OSError else error}"


@contextlib.contextmanager
def _opened(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PIL, about large images and damaged metadata
        with PIL.Image.open(path, formats=FORMATS) as image:
            yield image


def _frames(image):
    """Number of images in an open file."""
    if image.format == "MPO":  # a JPEG file: beside the photo a small copy, a map of depth or gain
        kinds = [entry["Attribute"]["MPType"] for entry in image.mpinfo[0xB002]]
        return 1 + sum(kind.startswith("Multi-Frame") for kind in kinds[1:])
    if image.format == "PPM":  # of which PIL sees the first image only
        return 1 + _begins_another_image(image)
    return getattr(image, "n_frames", 1)


def _begins_another_image(image):
    """Returns whether an open file of raw Netpbm has one more image behind the first."""
    _, (left, top, right, bottom), offset, arguments = image.tile[0]
    raw, highest = arguments if isinstance(arguments, tuple) else (arguments, 255)
    bits = (right - left) * {"1": 1, "L": 8, "RGB": 24}.get(image.mode, 0)
    if image.tile[0][0] == "ppm_plain" or not bits:
        return False
    rows = (bits + 7) // 8 * (bottom - top) * (1 + (image.mode != "1" and highest > 255))
    image.fp.seek(offset + rows)
    return bool(re.match(rb"\s*P[1-7]\s", image.fp.read(16)))


def _checked_mode(image):
    """PIL's mode of an image that is not decoded yet; raises a UserError if it has no 8 bits."""
    if image.mode not in GRAY_MODES + PALETTE_MODES + COLOUR_MODES:
        raise UserError(f"mode {image.mode}: convert it to RGB or gray of 8 bits")
    bits = 8
    if image.format == "TIFF":
        bits = max(image.tag_v2.get(BITS_PER_SAMPLE, (1,)))
    elif image.tile:  # of PIL, how the pixels lie in the file: "RGB;16B"; of PPM, the highest value
        arguments = image.tile[0].args
        raw, *more = (arguments,) if isinstance(arguments, str) else arguments or ("",)
        deep = ";16" in str(raw) and image.format != "BMP"  # of which it is all colours together
        if deep or (image.format == "PPM" and more and more[0] > 255):
            bits = 16
    if bits > 8:
        raise UserError(f"{bits} bits per channel: convert it to 8 bits")
    return image.mode


def _pixels(image, rules):
    """Decodes an image: uint8 [H, W, 1] for a gray mode, else [H, W, 3]."""
    factor = _FEW_BITS.get(image.tile[0].args) if image.format == "PNG" and image.tile else None
    image.load()
    transparent = image.info.get("transparency")
    if factor and isinstance(transparent, int):  # PIL makes bytes of the pixels only
        image.info["transparency"] = transparent * factor % 256
    gray = image.mode in GRAY_MODES
    if not image.has_transparency_data:
        pixels = np.asarray(image.convert("L" if gray else "RGB"))
        return pixels.reshape(*pixels.shape[:2], -1)
    pixels = np.asarray(image.convert("LA" if gray else "RGBA"))
    pixels, alpha = pixels[..., :-1], pixels[..., -1:]
    if alpha.min(initial=255) == 255 or rules.alpha == "drop":
        return pixels
    if rules.alpha == "refuse":
        raise UserError(f"transparent pixels: set {rules.option}alpha=drop, white or black")
    alpha = alpha.astype(np.uint32)
    behind = BACKGROUNDS[rules.alpha] * (255 - alpha)
    return ((pixels * alpha + behind + 127) // 255).astype(np.uint8)


def _orientation(image):
    """The EXIF orientation of an image that is not decoded yet, 1 where there is none."""
    # A TIFF is turned by PIL itself. Of a PNG whose EXIF data come after its pixels, PIL could tell
    # only after decoding them.
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return 1
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # of every kind, and no reason to refuse the pixels
        return 1
    return found if found in TURNS else 1
