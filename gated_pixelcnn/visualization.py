"""Images as people see them: grids of samples, PNG and GIF files.

TensorFlow is not imported by importing this module.
"""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gated_pixelcnn import files

_HEAT = ((0, 0, 0), (80, 20, 110), (190, 50, 80), (250, 140, 20), (255, 255, 230))
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
