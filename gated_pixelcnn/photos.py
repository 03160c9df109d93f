"""Images that a user gives: files of pictures and of masks, folders of them, arrays in npz files.

TensorFlow is not imported by importing this module.
"""

import os
import warnings
import zipfile
import zlib

import numpy as np
from PIL import Image

from gated_pixelcnn.data import images as data_images
from gated_pixelcnn.data.image_file import FORMATS, upright
from gated_pixelcnn.errors import UserError

EXTENSIONS = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
GRAY, COLOUR = ("1", "L", "LA"), ("RGB", "RGBA", "P", "PA")  # modes of PIL


def read_images(path, image_shape, levels, resize=None, gray_too=False):
    """Reads the images that a user gives.

    Args:
      path: an image file; a directory of image files, taken in the order of their names; or an npz
        file with an array `images` (as sample.py writes it) or `x_test`, [N, H, W, C] or [N, H, W],
        of values 0…levels-1 or of bytes.
      image_shape: (H, W, C) that they must have.
      levels: number of values. Bytes become floor(x * levels / 256), as in the data pipeline.
      resize: see `read_image`; images of an npz file are taken as they are.
      gray_too: see `read_image`; of image files.

    Returns:
      uint8 [N, H, W, C], values 0…levels-1.

    Raises:
      UserError: a file is missing, cannot be read, or does not fit.
    """
    if os.path.isdir(path):
        return _read_folder(path, image_shape, levels, resize, gray_too)
    if is_npz(path):
        return _read_npz(path, image_shape, levels)
    return read_image(path, image_shape, levels, resize, gray_too)[None]


def shape_of(path):
    """(H, W, C) of the first image of what `read_images` reads; raises UserError."""
    if os.path.isdir(path):
        path = os.path.join(path, _image_files(path)[0])
    if is_npz(path):
        return _npz_images(path)[1].shape[1:]
    picture = _decoded(path)
    return picture.height, picture.width, 1 if picture.mode in GRAY else 3


def read_image(path, image_shape, levels, resize=None, gray_too=False):
    """Reads an image file.

    Args:
      path: the file, gray (or black and white) if C is 1, RGB or with a palette if C is 3.
      image_shape: (H, W, C) that it must have.
      levels: number of values. Bytes become floor(x * levels / 256), as in the data pipeline.
      resize: None, or a function that is told in a sentence how a larger image is cut to its middle
        and averaged down to that size.
      gray_too: whether a gray image may stand for a colour image.

    Returns:
      uint8 [H, W, C], values 0…levels-1.

    Raises:
      UserError: the file is missing, cannot be read, or has another size or mode.
    """
    picture = _decoded(path)
    channels = image_shape[-1]
    modes = {1: GRAY, 3: COLOUR + GRAY if gray_too else COLOUR}.get(channels)
    if modes is None:
        raise UserError(
            f"{path} cannot be an image of {channels} channels; give an npz file with an array "
            "images"
        )
    _check_size(picture, path, image_shape, resize)
    if picture.mode not in modes:
        kind = "gray" if channels == 1 else "RGB or gray" if gray_too else "RGB"
        raise UserError(
            f"{path} has the mode {picture.mode}, but {kind} images are needed; convert it to mode "
            f"{'L' if channels == 1 else 'RGB'}"
        )
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        if picture.getchannel("A").getextrema()[0] < 255:
            raise UserError(f"{path} has transparent pixels; save it without transparency")
    pixels = _fitted(picture.convert("L" if channels == 1 else "RGB"), path, image_shape, resize)
    return data_images.levels_table(levels)[pixels.reshape(image_shape)]


def read_mask(path, image_shape, resize=None):
    """Reads a mask image.

    Args:
      path: an image file: white (from 128) where the given image is kept, black where it is drawn.
      image_shape: (H, W, C) of the images; the mask must have their size.
      resize: see `read_image`.

    Returns:
      Booleans [H, W, 1], True where the image is kept.

    Raises:
      UserError: the file is missing, cannot be read, or has another size.
    """
    picture = _decoded(path)
    _check_size(picture, path, image_shape, resize)
    return _fitted(picture.convert("L"), path, (*image_shape[:2], 1), resize) >= 128


def _decoded(path):
    """An image file, decoded, the way up that it is shown."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as picture:
                picture.load()
                return upright(picture)
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except Image.UnidentifiedImageError:
        raise UserError(f"{path} is not an image that can be read") from None
    except Image.DecompressionBombError:
        most = 2 * Image.MAX_IMAGE_PIXELS // 10**6
        raise UserError(f"{path} has more than {most} megapixels: make it smaller") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(f"{path} cannot be read as an image ({error})") from error


def _check_size(picture, path, image_shape, resize):
    height, width = image_shape[:2]
    found = f"{path} is {picture.width}x{picture.height} pixels (width x height)"
    if picture.size == (width, height):
        return
    if picture.height < height or picture.width < width:
        more = ": --resize does not enlarge" if resize else ""
        raise UserError(f"{found}, smaller than the {width}x{height} that are needed{more}")
    if not resize:
        raise UserError(
            f"{found}, but images of {width}x{height} are needed: resize it to that size, or give "
            "--resize, which takes the middle of a larger one"
        )


def _fitted(picture, path, image_shape, resize):
    """The pixels of a picture of mode L or RGB, brought to the size: uint8 [H, W, C]."""
    height, width = image_shape[:2]
    pixels = np.asarray(picture).reshape(picture.height, picture.width, -1)
    if picture.size != (width, height):
        found = f"{picture.width}x{picture.height}"
        resize(f"resized: {path}, the middle of {found} to {width}x{height}")
    return data_images.to_middle(pixels, height, width)


def _image_files(path):
    """Names of the image files in a directory, in order."""
    names = sorted(name for name in os.listdir(path) if name.lower().endswith(EXTENSIONS))
    if not names:
        raise UserError(f"there is no image file in {path} (looked for {', '.join(EXTENSIONS)})")
    return names


def _read_folder(path, *how):
    names = _image_files(path)
    images, wrong = [], []
    for name in names:
        try:
            images.append(read_image(os.path.join(path, name), *how))
        except UserError as error:
            wrong.append(str(error))
    if wrong:
        more = f" (and {len(wrong) - 1} more of its {len(names)} files)" if len(wrong) > 1 else ""
        raise UserError(wrong[0] + more)
    return np.stack(images)


def is_npz(path):
    """Whether a path is taken for an npz file."""
    return str(path).lower().endswith(".npz")


def _npz_images(path):
    """The key and the images [N, H, W, C] of an npz file, of any type and values."""
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise UserError(f"{path} is not an npz file; save it by np.savez(file, images=array)")
        with archive:
            key = next((key for key in ("images", "x_test") if key in archive), None)
            if key is None:
                found = ", ".join(archive) or "nothing"
                raise UserError(f"{path} has no array images or x_test, only {found}")
            images = np.asarray(archive[key])  # of a stray file in the archive: its bytes
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except (
        *(OSError, EOFError, ValueError, RuntimeError, MemoryError),
        *(zipfile.BadZipFile, zlib.error),
    ) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} cannot be read as an npz file ({error})") from error
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or not len(images):
        raise UserError(
            f"{key} of {path} has the shape {list(images.shape)}; images are [N, H, W, C]"
        )
    return key, images


def _read_npz(path, image_shape, levels):
    key, images = _npz_images(path)
    if images.shape[1:] != tuple(image_shape):
        raise UserError(
            f"{key} of {path} has the shape {list(images.shape)}, but images of the shape "
            f"[N, {', '.join(map(str, image_shape))}] are needed"
        )
    if images.dtype.kind not in "biu":
        raise UserError(f"{key} of {path} must be integers 0…255, but is {images.dtype}")
    if images.min() < 0 or images.max() > 255:
        raise UserError(
            f"{key} of {path} must be integers 0…255, but is from {images.min()} to {images.max()}"
        )
    # Values below levels have been quantised before.
    highest = int(images.max())
    images = images.astype(np.uint8)
    return images if highest < levels else data_images.levels_table(levels)[images]
