"""Images as people see them: grids of samples, PNG and GIF files.

TensorFlow is not imported by importing this module.
"""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gated_pixelcnn import files
from gated_pixelcnn.code_maps import code_factor, unpack_codes
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.limits import MOST_CHANNELS

_HEAT = ((0, 0, 0), (80, 20, 110), (190, 50, 80), (250, 140, 20), (255, 255, 230))
UNDRAWN = 127  # The gray of pixels that are not known yet, and of the gaps of a grid.


# Pictures to look at.


def look(spec, tiles=None):
    """How values are shown.

    Args:
      spec: the `ImageSpec` of the images.
      tiles: of categorical values, pictures of the categories, see `tiles_of`, or None.

    Returns:
      The number of levels of ordered values, which are stretched to 0…255; of categories a picture
      of each, uint8 [K, h, w, 3], by default one pixel of a colour of its own.
    """
    if not spec.is_categorical:
        return spec.levels
    return palette(spec.levels) if tiles is None else tiles


def palette(num):
    """Colours of categories, neighbours unlike each other, 0 black: uint8 [num, 1, 1, 3]."""
    turn = np.arange(num)
    hue, value = turn * 0.618034 % 1, 0.55 + 0.45 * (turn * 0.754878 % 1)
    saturation = 0.35 + 0.6 * (turn * 0.569840 % 1)
    channels = (hue[:, np.newaxis] + np.array([0, 2, 1]) / 3) * 6 % 6
    pure = np.clip(np.abs(channels - 3) - 1, 0, 1)
    colours = value[:, np.newaxis] * (1 - saturation[:, np.newaxis] * (1 - pure))
    colours[0] = 0
    return np.rint(255 * colours).astype(np.uint8)[:, np.newaxis, np.newaxis]


def tiles_of(path, num):
    """Reads the pictures of categories.

    Args:
      path: an image file of square tiles, row by row, in the order of the categories.
      num: number of categories.

    Returns:
      uint8 [num, side, side, 3]; the side is the largest at which there are enough tiles.

    Raises:
      UserError: the file cannot be read, or is too small.
    """
    try:
        with Image.open(path) as file:
            picture = np.asarray(file.convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} cannot be used as tiles ({error})") from error
    height, width, _ = picture.shape
    sides = range(min(height, width), 0, -1)
    fits = (s for s in sides if not (height % s or width % s) and height * width // s**2 >= num)
    if (side := next(fits, None)) is None:
        raise UserError(
            f"{path} has {width}x{height} pixels: no {num} square tiles, one for each category"
        )
    tiles = picture.reshape(height // side, side, width // side, side, 3).swapaxes(1, 2)
    return tiles.reshape(-1, side, side, 3)[:num]


def to_bytes(images, levels):
    """Values as pictures.

    Args:
      images: integers 0…levels-1 of any shape; of categories [N, H, W, C].
      levels: number of values, 2…65,536, which are stretched to 0…255; or a picture of each value,
        see `look`.

    Returns:
      uint8 of the same shape; of categories [N, H·h, C·W·w, 3], channels beside each other; of two
      maps as one array these maps, see `code_maps`.
    """
    if np.ndim(levels) == 0:
        scaled = np.asarray(images, np.float64) * (255 / (levels - 1))
        return np.rint(scaled).astype(np.uint8)
    maps = side_by_side(np.asarray(images))[..., 0]
    num, rows, columns = maps.shape
    side = levels.shape[1]
    return levels[maps].swapaxes(2, 3).reshape(num, rows * side, columns * side, 3)


def partly(images, levels, known):
    """Values as pictures, see `to_bytes`, gray where they are not known.

    Args:
      images: integers 0…levels-1 [N, H, W, C].
      levels: see `to_bytes`.
      known: booleans that broadcast to [N, H, W, C].

    Returns:
      uint8, see `to_bytes`.
    """
    if np.ndim(levels):
        known = side_by_side(np.broadcast_to(known, np.shape(images)))
        known = known.repeat(levels.shape[1], axis=1).repeat(levels.shape[2], axis=2)
    return np.where(known, to_bytes(images, levels), np.uint8(UNDRAWN))


def side_by_side(images):
    """The channels of images beside each other: [N, H, W, C] → [N, H, C·W, 1]; or two maps."""
    if images.shape[-1] > MOST_CHANNELS:
        factor = code_factor(images.shape[1:])
        top, bottom = unpack_codes(images)
        top = top.repeat(factor, axis=1).repeat(factor, axis=2)
        return np.concatenate([top, bottom], axis=2)[..., np.newaxis]
    return np.concatenate(np.split(images, images.shape[-1], axis=-1), axis=2)


def grid(images, levels, columns=None, magnify=1):
    """Puts images side by side, row by row, with gaps of 2 pixels.

    Args:
      images: integers 0…levels-1 [N, H, W, C]. Where C is not 1 or 3, an image's channels are shown
        as gray images beside each other.
      levels: see `to_bytes`.
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
    if np.ndim(levels) == 0 and images.shape[-1] not in (1, 3):
        images = side_by_side(images)
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


def heat(values):
    """Colours of numbers: black at 0, through purple and orange, to white at 1.

    Args:
      values: numbers of any shape; those outside of 0…1 are like the nearest inside.

    Returns:
      uint8 [*shape, 3].
    """
    places = np.linspace(0, 1, len(_HEAT))
    channels = [np.interp(values, places, channel) for channel in zip(*_HEAT, strict=True)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def enlarged(images, levels, image_shape):
    """Brings smaller or gray images to the size and the colours of others, to stand beside them.

    Args:
      images: integers 0…levels-1 [N, h, w, 1 or C], where h and w divide H and W.
      levels: see `to_bytes`.
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
      levels: see `to_bytes`.
      known: booleans that broadcast to [N, H, W, C]: the values that were given; None for none.
      max_frames: at most this many frames, at least 2.

    Yields:
      uint8 [N, H, W, C], values 0…255: the images when 0, k, 2k, … of the pixels that are not
      known are drawn and the rest is gray; the first frame holds only what is known, the last
      one everything.
    """
    known = np.broadcast_to(False if known is None else known, images.shape)
    unknown = ~known.all(axis=(0, 3))  # [H, W]
    num_pixels = int(unknown.sum())
    order = (np.cumsum(unknown) - 1).reshape(*unknown.shape, 1)  # Of the unknown ones: 0, 1, …
    step = max(1, math.ceil(num_pixels / (max_frames - 1)))
    for drawn in range(0, num_pixels + step, step):
        yield partly(images, levels, known | (order < drawn))


# Files to write.


def save_png(path, image):
    """Writes a PNG file.

    Args:
      path: the file; replaced if it exists.
      image: uint8 [H, W, 1 or 3], values 0…255, as `grid` gives.

    Raises:
      UserError: the file cannot be written.
    """
    with files.atomic_write(path) as file:
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
    with files.atomic_write(path) as file:
        first.save(file, "GIF", save_all=True, append_images=others, duration=durations, loop=0)


def _picture(image):
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
