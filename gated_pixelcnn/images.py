"""Images as people see them: grids of samples, PNG and GIF files, pictures and masks to complete.

TensorFlow is not imported by importing this module.
"""

import contextlib
import errno
import math
import os
import warnings
import zipfile
import zlib

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gated_pixelcnn.data import images as data_images
from gated_pixelcnn.data.image_file import FORMATS, upright
from gated_pixelcnn.errors import UserError

EXTENSIONS = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
GRAY, COLOUR = ("1", "L", "LA"), ("RGB", "RGBA", "P", "PA")  # modes of PIL
UNDRAWN = 127  # The gray of pixels that are not known yet, and of the gaps of a grid.

# Pictures to look at.


def to_bytes(images, levels):
    """Stretches values 0…levels-1 to 0…255.

    Args:
      images: integers 0…levels-1, any shape.
      levels: number of values, 2…256.

    Returns:
      uint8 of the same shape.
    """
    scaled = np.asarray(images, np.float64) * (255 / (levels - 1))
    return np.rint(scaled).astype(np.uint8)


def grid(images, levels, columns=None, magnify=1):
    """Puts images side by side, row by row, with gaps of 2 pixels.

    Args:
      images: integers 0…levels-1 [N, H, W, C]. Where C is not 1 or 3, an image's channels are shown
        as gray images beside each other.
      levels: number of values, 2…256.
      columns: number of images in a row; by default the grid is about square.
      magnify: side of the square that a pixel becomes.

    Returns:
      uint8 [height, width, 1 or 3], values 0…255.

    Raises:
      ValueError: no images, or not of that shape.
    """
    images = np.asarray(images)
    if images.ndim != 4 or not len(images):
        raise ValueError(f"images must have the shape [N, H, W, C], got {list(images.shape)}.")
    if images.shape[-1] not in (1, 3):
        images = np.concatenate(np.split(images, images.shape[-1], axis=-1), axis=2)
    images = to_bytes(images, levels).repeat(magnify, axis=1).repeat(magnify, axis=2)
    num, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(num))
    rows = math.ceil(num / columns)

    gap = 2
    cells = np.full((rows * columns, height + gap, width + gap, channels), UNDRAWN, np.uint8)
    cells[:num, :height, :width] = images
    cells = cells.reshape(rows, columns, height + gap, width + gap, channels)
    cells = cells.transpose(0, 2, 1, 3, 4).reshape(rows * (height + gap), -1, channels)
    return np.pad(cells, ((gap, 0), (gap, 0), (0, 0)), constant_values=UNDRAWN)


def captioned(grid, names):
    """Writes a name at the left of every row of a grid.

    Args:
      grid: uint8 [height, width, 1 or 3] of rows of equal height.
      names: one for each row.

    Returns:
      The same, wider.
    """
    row, size = len(grid) / len(names), 16
    font = ImageFont.load_default(size)
    longest = max(math.ceil(font.getlength(name)) for name in names)
    margin = Image.new("L", (longest + size, len(grid)), UNDRAWN)
    text = ImageDraw.Draw(margin)
    for i, name in enumerate(names):
        text.text((size // 2, (i + 0.5) * row), name, 255, font, anchor="lm")
    margin = np.broadcast_to(
        np.asarray(margin)[..., np.newaxis], (*margin.size[::-1], grid.shape[-1])
    )
    return np.concatenate([margin, grid], axis=1)


def enlarged(images, levels, image_shape):
    """Brings smaller or gray images to the size and the colours of others, to stand beside them.

    Args:
      images: integers 0…levels-1 [N, h, w, 1 or C], where h and w divide H and W.
      levels: number of values, 2…256.
      image_shape: (H, W, C).

    Returns:
      uint8 [N, H, W, C], values 0…255.
    """
    height, width, channels = image_shape
    images = to_bytes(images, levels)
    images = images.repeat(height // images.shape[1], axis=1)
    images = images.repeat(width // images.shape[2], axis=2)
    return np.broadcast_to(images, (len(images), height, width, channels))


def growing(images, levels, known=None, max_frames=120):
    """Shows in which order a model draws images: pixel by pixel, row by row.

    Args:
      images: integers 0…levels-1 [N, H, W, C], finished.
      levels: number of values, 2…256.
      known: booleans that broadcast to [N, H, W, C]: the values that were given; None for none.
      max_frames: at most this many frames, at least 2.

    Yields:
      uint8 [N, H, W, C], values 0…255: the images when 0, k, 2k, … of the pixels that are not
      known are drawn and the rest is gray; the first frame holds only what is known, the last
      one everything.
    """
    images = to_bytes(images, levels)
    known = np.broadcast_to(False if known is None else known, images.shape)
    unknown = ~known.all(axis=(0, 3))  # [H, W]
    num_pixels = int(unknown.sum())
    order = (np.cumsum(unknown) - 1).reshape(*unknown.shape, 1)  # Of the unknown ones: 0, 1, …
    step = max(1, math.ceil(num_pixels / (max_frames - 1)))
    for drawn in range(0, num_pixels + step, step):
        yield np.where(known | (order < drawn), images, np.uint8(UNDRAWN))


# Files to write.


def check_writable(path):
    """Finds out, before the work is done, that a file could not be written in the end.

    Args:
      path: the file; its directory is made if it is missing, what is there stays as it is.

    Raises:
      UserError: it cannot be written.
    """
    with _clear_write_errors(path), _temporary_beside(path) as temporary:
        open(temporary, "wb").close()


@contextlib.contextmanager
def written_aside(path):
    """Opens a file for writing under a temporary name; only when all is well it gets its name.

    Args:
      path: the file; its directory is made if it is missing.

    Yields:
      The file, open for writing bytes.

    Raises:
      UserError: the file cannot be written; what was there before is still there.
    """
    with _clear_write_errors(path), _temporary_beside(path) as temporary:
        with open(temporary, "wb") as file:
            yield file
        os.replace(temporary, path)


@contextlib.contextmanager
def _clear_write_errors(path):
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror or error})") from error


@contextlib.contextmanager
def _temporary_beside(path):
    """Gives the name of a temporary file in the directory of `path`; deletes it in the end."""
    directory, name = os.path.split(os.path.abspath(path))
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    os.makedirs(directory, exist_ok=True)
    temporary = os.path.join(directory, f".{name}.{os.getpid()}.tmp")
    try:
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            os.remove(temporary)


def save_png(path, image):
    """Writes a PNG file.

    Args:
      path: the file; replaced if it exists.
      image: uint8 [H, W, 1 or 3], values 0…255, as `grid` gives.

    Raises:
      UserError: the file cannot be written.
    """
    with written_aside(path) as file:
        _picture(image).save(file, "PNG", optimize=True)


def save_gif(path, frames, seconds=6.0):
    """Writes an animation that repeats and rests on its last frame for 2 seconds.

    Args:
      path: the file; replaced if it exists.
      frames: iterable of at least one image uint8 [H, W, 1 or 3], values 0…255.
      seconds: how long the other frames take together, as far as a frame's least time of 0.02
        seconds allows.

    Raises:
      UserError: the file cannot be written.
    """
    first, *others = (_picture(frame) for frame in frames)
    durations = [max(20, round(1000 * seconds / max(1, len(others))))] * len(others) + [2000]
    with written_aside(path) as file:
        first.save(file, "GIF", save_all=True, append_images=others, duration=durations, loop=0)


def _picture(image):
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


# Files to read.


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
