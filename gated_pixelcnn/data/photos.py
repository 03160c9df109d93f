"""Images that a user gives: files of pictures and of masks, folders of them, arrays in npz files.

TensorFlow is not imported by importing this module.
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable

import numpy as np

from gated_pixelcnn.data import folders, npz_reading
from gated_pixelcnn.data.config import DataConfig, ImageRules
from gated_pixelcnn.data.image_reading import READ_ERRORS, inspect, read, why_unreadable
from gated_pixelcnn.data.preprocessing import (
    BYTES,
    LEVELS,
    cropped,
    cropped_size,
    middle_patch,
    to_gray,
    to_levels,
    to_size,
)
from gated_pixelcnn.errors import UserError

_RESIZED = {
    "crop": "takes the middle of a larger one",
    "pad": "makes it smaller and black at the sides",
    "stretch": "makes a larger one smaller",
}
NO_SOURCE = "npz:-"  # of a model that was trained on images that nobody has named
KEPT = 128  # the least value of a mask that keeps a pixel


@dataclasses.dataclass(frozen=True)
class Reading:
    """Rules by which a user's images are read: those of the run for its training images.

    Attributes:
      values: Whether they hold levels or bytes, see data/preprocessing.py.
      by_hand: Whether the user has said so for these images.
      rules: What may be lost.
      run: The DataConfig of the run: its `grayscale` tells whether colours become gray where gray
        images are needed, its `crop`, `image_size` and `patch` how larger images are prepared.
      resize: None, or a function that is told in a sentence how a larger image is prepared.
    """

    values: str = BYTES
    by_hand: bool = False
    rules: ImageRules = ImageRules(option="--")
    run: DataConfig = DataConfig()
    resize: Callable[[str], None] | None = None

    @classmethod
    def of(cls, record, flags, resize=None):
        """Returns the rules for images that are given to a run.

        Args:
          record: config.json of the run.
          flags: Values of the flags values, alpha and frames, which go before the run's.
          resize: See the class.
        """
        data = dict(record["config"]["data"])
        if data.get("source") == "":  # see `keras_file.record_of`
            data["source"] = NO_SOURCE
        of_images = "resize" if resize else "values=bytes" if flags.values == BYTES else ""
        if of_images and record["config"]["model"].get("values") == "categorical":
            raise UserError(f"--{of_images} is of images: this model is of categories")
        return cls(
            flags.values or record["data"].get("values", BYTES),
            bool(flags.values),
            ImageRules(flags.alpha or data["alpha"], flags.frames or data["frames"], "--"),
            DataConfig(**data),
            resize,
        )


def read_images(path, image_shape, levels, reading=Reading()):  # noqa: B008 (it is frozen)
    """Reads the images that a user gives.

    Args:
      path: an image file; a directory of image files, there and in its sub-folders, taken in
        natural order (see data/folders.py); or an npz file with an array `images` or `x_test`,
        [N, H, W, C] or [N, H, W]. One with an array `levels`, as sample.py writes it, holds values
        below that.
      image_shape: (H, W, C) that they must have.
      levels: number of values. Bytes become floor(x * levels / 256), as in the data pipeline.
      reading: how; of an npz file the values only.

    Returns:
      uint8 [N, H, W, C], values 0…levels-1.

    Raises:
      UserError: a file is missing, cannot be read, does not fit, or its values may be either.
    """
    if levels > 256 and reading.by_hand and reading.values == BYTES:
        raise UserError(f"--values=bytes is of at most 256 levels, but the model has {levels}")
    if is_npz(path) and not os.path.isdir(path):
        images, reading = _read_npz(path, image_shape, levels, reading)
    elif image_shape[-1] not in (1, 3):
        raise UserError(
            f"{path} cannot be an image of {image_shape[-1]} channels; give an npz file with an "
            "array images"
        )
    elif os.path.isdir(path):
        images = _read_folder(path, image_shape, reading)
    else:
        images = _read_file(path, image_shape, reading)
    check_bytes(path, images, levels, reading)
    return to_levels(images, levels, reading.values, str(path))


def check_bytes(path, images, levels, reading):
    """Raises a UserError for what is to be bytes but may as well be levels."""
    highest = int(images.max())
    if reading.values == BYTES and 0 < highest < levels < 256 and not reading.by_hand:
        raise UserError(
            f"{path} has no value above {highest}, so it may hold levels 0…{levels - 1}, but the "
            "run was trained on bytes 0…255: give --values=levels or --values=bytes"
        )


def shape_of(path, reading=Reading()):  # noqa: B008
    """(H, W, C) of the first image of what `read_images` reads; raises UserError."""
    if os.path.isdir(path):
        path = os.path.join(path, folders.find(path).files[0])
    elif is_npz(path):
        return _npz_images(path)[1].shape[1:]
    with _told(path):
        header = inspect(path, reading.rules)[0]
    return *header.size, 1 if header.gray else 3


def read_mask(path, image_shape, reading=Reading()):  # noqa: B008
    """Reads a mask image.

    Args:
      path: an image file: white (from 128) where the given image is kept, black where it is drawn.
      image_shape: (H, W, C) of the images; the mask must have their size.
      reading: how; its values are bytes, its colours become gray.

    Returns:
      Booleans [H, W, 1], True where the image is kept.

    Raises:
      UserError: the file is missing, cannot be read, has another size, or no white though it is not
        black.
    """
    run = dataclasses.replace(reading.run, grayscale=True, levels=256)  # whatever the model's are
    reading = dataclasses.replace(reading, run=run)
    mask = _read_file(path, (*image_shape[:2], 1), reading)
    if len(mask) != 1:
        raise UserError(f"{path} holds {len(mask)} images, but a mask is one")
    if 0 < (highest := mask.max()) < KEPT:
        raise UserError(
            f"the mask {path} has no value above {highest}, so it would keep nothing: make it "
            "white (255) where the image is kept"
        )
    return mask[0] >= KEPT


def read_map(path, shape, reading=Reading()):  # noqa: B008
    """Reads an image file as maps that a model is conditioned on.

    Args:
      path: an image file, gray for one map or in colours for three.
      shape: (H, W, D) of the maps.
      reading: how; its values are bytes.

    Returns:
      float32 [H, W, D], bytes divided by 255.

    Raises:
      UserError: the file is missing, cannot be read, or has another size.
    """
    if shape[-1] not in (1, 3):
        raise UserError(
            f"{path} cannot be the {shape[-1]} maps of this model, only 1 or 3; give an npz file "
            "with an array h"
        )
    found = _read_file(path, shape, reading)
    if len(found) != 1:
        raise UserError(f"{path} holds {len(found)} images, but maps are one")
    return found[0].astype(np.float32) / 255


@contextlib.contextmanager
def _told(path):
    """Turns what reading an image file raises into one sentence."""
    try:
        yield
    except READ_ERRORS as error:
        if not os.path.exists(path):
            raise UserError(f"there is no file {path}") from error
        why = why_unreadable(path, error)
        raise UserError(f"{path} cannot be used as an image ({why})") from error


def _read_file(path, image_shape, reading):
    """The images of a file, brought to the size: uint8 [N, H, W, C]."""
    with _told(path):
        headers = inspect(path, reading.rules)
    for header in headers:
        _check_size(header.size, path, image_shape, reading)
    if (
        image_shape[-1] == 1
        and not reading.run.grayscale
        and not all(header.gray for header in headers)
    ):
        raise UserError(
            f"{path} has colours, but gray images are needed: convert it to gray (mode L)"
        )
    with _told(path):
        pixels = [read(path, header.frame, image_shape[-1], reading.rules) for header in headers]
    return np.stack([_fitted(image, path, image_shape, reading) for image in pixels])


def _check_size(size, path, image_shape, reading):
    height, width = image_shape[:2]
    if size == (height, width):
        return
    found = f"{path} is {size[1]}x{size[0]} pixels (width x height)"
    with _told(path):
        left = cropped_size(*size, reading.run) if reading.resize else size
    if left != size:
        found += f", {left[1]}x{left[0]} without the margins that were cut off in training"
    if reading.run.resize != "pad" and (left[0] < height or left[1] < width):
        more = ": --resize does not enlarge" if reading.resize else ""
        raise UserError(f"{found}, smaller than the {width}x{height} that are needed{more}")
    if not reading.resize:
        raise UserError(
            f"{found}, but images of {width}x{height} are needed: resize it to that size, or give "
            f"--resize, which {_RESIZED[reading.run.resize]}"
        )


def _fitted(pixels, path, image_shape, reading):
    """An image, uint8 [H, W, C], brought to the size as those of training were."""
    height, width = image_shape[:2]
    if pixels.shape[:2] == (height, width):
        return pixels
    found = f"{pixels.shape[1]}x{pixels.shape[0]}"
    if any(reading.run.margins()):
        found += f" without the margins {reading.run.crop}"
    part = "the middle" if reading.run.resize == "crop" else "all"
    reading.resize(f"resized: {path}, {part} of {found} to {width}x{height}")
    pixels = cropped(pixels, reading.run)
    with _told(path):
        if (reading.run.patch,) * 2 == (height, width):
            pixels = to_size(pixels, reading.run.size, reading.run.resize)
            return middle_patch(pixels, height, width)
        return to_size(pixels, (height, width), reading.run.resize)


def _read_folder(path, *how):
    files = folders.find(path).files
    images, wrong = [], []
    for file in files:
        try:
            images.append(_read_file(os.path.join(path, file), *how))
        except UserError as error:
            wrong.append(str(error))
    if wrong:
        more = f" (and {len(wrong) - 1} more of its {len(files)} files)" if len(wrong) > 1 else ""
        raise UserError(wrong[0] + more)
    return np.concatenate(images)


def is_npz(path):
    """Returns whether a path is taken for an npz file."""
    return str(path).lower().endswith(".npz")


def _npz_images(path, wanted=None):
    """The key and the images [N, H, W, C] of an npz file, of `wanted` levels; its `levels`."""
    with npz_reading.opened(path, ("images", "x_test")) as (archive, key):
        levels = npz_reading.stated_levels(archive, path)
        images = npz_reading.read(archive, key, path)
    of = wanted or levels or 256
    return key, npz_reading.as_images(images, f"{key} of {path}", of), levels


def levels_of(path):
    """The `levels` of an npz file: how many its values are of; None if it does not say."""
    return _npz_images(path)[2]


def _read_npz(path, image_shape, levels, reading):
    """The images of an npz file [N, H, W, C], and how their values are to be read."""
    key, images, own_levels = _npz_images(path, levels)
    becomes_gray = reading.run.grayscale and image_shape[-1] == 1 and images.shape[-1] == 3
    shape = (*images.shape[1:3], 1) if becomes_gray else images.shape[1:]
    if shape != tuple(image_shape):
        raise UserError(
            f"{key} of {path} has the shape {list(images.shape)}, but images of the shape "
            f"[N, {', '.join(map(str, image_shape))}] are needed"
        )
    if own_levels is not None and not (reading.by_hand and reading.values == BYTES):
        if own_levels != levels:
            raise UserError(
                f"{path} says that its values are of {own_levels} levels, but {levels} are needed: "
                "give --values=bytes if they are bytes"
            )
        reading = dataclasses.replace(reading, values=LEVELS)
    return to_gray(images) if becomes_gray else images, reading
