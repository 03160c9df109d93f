"""One image file: what its header says, and its pixels."""

import os
import warnings

import numpy as np
import PIL.Image

from gated_pixelcnn.data import images as image_ops
from gated_pixelcnn.errors import UserError

READ_ERRORS = (OSError, ValueError, SyntaxError, EOFError, PIL.Image.DecompressionBombError)
# PIL knows more: of those EPS is a program, which it has Ghostscript run.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
ORIENTATION = 0x0112  # EXIF tag; from 5 on, height and width are exchanged
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
        turned = upright(image)
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
        return image.mode, (width, height) if _orientation(image) >= 5 else (height, width)


def upright(image):
    """An open image the way up that it is shown; as it is stored if its EXIF data are damaged."""
    image.load()
    orientation = _orientation(image)
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image


def _orientation(image):
    """The EXIF orientation, 1 where there is none that can be read."""
    # Of a PNG, PIL can tell it only after decoding the whole image; cameras do not write PNG. A
    # TIFF is turned by PIL itself.
    if image.format in ("PNG", "TIFF"):
        return 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # of every kind, and no reason to refuse the pixels
        return 1
    return found if found in TURNS else 1
