"""One image file: what its header says, and its pixels."""

import os

import numpy as np
import PIL.Image
import PIL.ImageOps

from gated_pixelcnn.data import images as image_ops
from gated_pixelcnn.errors import UserError

READ_ERRORS = (OSError, ValueError, SyntaxError, EOFError, PIL.Image.DecompressionBombError)
# PIL knows more: of those EPS is a program, which it has Ghostscript run.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
ORIENTATION = 0x0112  # EXIF tag; from 5 on, height and width are exchanged


def read_image(path, shape: tuple[int, int, int], config) -> np.ndarray:
    """Reads one image file.

    Args:
      path: The file.
      shape: (H, W, C) that it must have in the end; C is 1 (gray) or 3.
      config: The DataConfig, for the size to bring it to.

    Returns:
      uint8 [H, W, C].

    Raises:
      READ_ERRORS: If it is not a whole image file, or has another shape.
    """
    mode = "L" if shape[-1] == 1 else "RGB"
    with PIL.Image.open(path, formats=FORMATS) as image:
        turned = PIL.ImageOps.exif_transpose(image) if _has_orientation(image) else image
        array = np.asarray(turned if turned.mode == mode else turned.convert(mode))
    image = image_ops.to_size(array.reshape(*array.shape[:2], shape[-1]), config)
    if image.shape != tuple(shape):
        raise UserError(f"its shape is {image.shape}, but was {tuple(shape)}")
    return image


def why_unreadable(path, error) -> str:
    """Returns in a few words why `read_image` or `inspect` of a file raised one of READ_ERRORS."""
    if not os.path.exists(path):
        return "it is gone"
    if os.path.getsize(path) == 0:
        return "empty"
    if isinstance(error, UserError):
        return str(error)
    return "not an image" if isinstance(error, PIL.UnidentifiedImageError) else f"damaged: {error}"


def inspect(path):
    """Reads the header of one image file.

    Args:
      path: The file.

    Returns:
      PIL's name of the mode, and the size (height, width) that the image is shown in.

    Raises:
      READ_ERRORS: If it is not an image file.
    """
    with PIL.Image.open(path, formats=FORMATS) as image:
        width, height = image.size
        turned = _has_orientation(image) and image.getexif().get(ORIENTATION, 1) >= 5
        return image.mode, (width, height) if turned else (height, width)


def _has_orientation(image):
    # Of a PNG, PIL can tell it only after decoding the whole image; cameras do not write PNG.
    return image.format != "PNG"
