"""The one reader of npz files: for training, for evaluation, and for the images of a user.

Nothing in a file is run, and whatever is wrong with it is one sentence.
"""

import contextlib
import os
from collections.abc import Iterator

import numpy as np

from gated_pixelcnn.errors import UserError
from gated_pixelcnn.files import DAMAGED


@contextlib.contextmanager
def opened(path: str, keys: tuple[str, ...]) -> Iterator[tuple[np.lib.npyio.NpzFile, str]]:
    """Opens an npz file.

    Args:
      path: The file.
      keys: Names of the array that it must have, the first that is there counts.

    Yields:
      The file and the name of the array.

    Raises:
      UserError: If it is missing, is no npz file or has no such array.
    """
    if not os.path.isfile(path):
        raise UserError(f"there is no file {path}")
    with readable(path):
        with open(path, "rb") as file:
            # numpy takes everything else for a pickle and says so.
            if not file.read(6).startswith((b"PK", b"\x93NUMPY")):
                raise ValueError("wrong first bytes")
        archive = np.load(path, allow_pickle=False)
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise UserError(
            f"{path} is not an npz file, as it holds one array: save it by "
            f"np.savez(file, {keys[0]}=array)"
        )
    with archive:
        key = next((key for key in keys if key in archive), None)
        if key is None:
            raise UserError(
                f"{path} has no array {' or '.join(keys)}, only "
                f"{', '.join(archive.files) or 'nothing'}"
            )
        yield archive, key


def read(archive: np.lib.npyio.NpzFile, key: str, path: str) -> np.ndarray:
    """Reads an array of the file `path`; of a stray file in the archive the bytes."""
    with readable(f"{key} of {path}"):
        return np.asarray(archive[key])


@contextlib.contextmanager
def readable(what: str) -> Iterator[None]:
    """Turns the many errors of reading a bad file into one sentence."""
    try:
        yield
    except UserError:
        raise
    except DAMAGED as error:
        why = f"it is truncated, damaged or not an npz file ({error})"
        if "pickle" in str(error).lower():
            why = (
                "it holds pickled objects, which can run code; save plain arrays of numbers in an "
                "npz file by np.savez"
            )
        raise UserError(f"{what} cannot be read: {why}") from error


def stated_levels(archive: np.lib.npyio.NpzFile, path: str) -> int | None:
    """Returns how many levels the file says that its values are of; None if it does not say."""
    if "levels" not in archive:
        return None
    found = read(archive, "levels", path)
    if found.size != 1 or found.dtype.kind not in "ui":
        raise UserError(f"levels of {path} must be one whole number, but has shape {found.shape}")
    return int(found.flat[0])


def as_images(array: np.ndarray, what: str, levels: int = 256) -> np.ndarray:
    """Returns an array of images, or of maps of codes, in the type of the levels.

    Args:
      array: Integers of any type, [N, H, W] or [N, H, W, C].
      what: Its name, for errors.
      levels: Number of values. Up to 256 any byte is allowed, see `preprocessing.decide_values`.

    Returns:
      uint8 [N, H, W, C], or uint16 above 256 levels.

    Raises:
      UserError: If it holds something else.
    """
    check_images(array.shape, array.dtype, what, levels)
    most = max(levels, 256) - 1
    if array.min() < 0 or array.max() > most:
        codes = most < 65_535 and array.max() < 65_536 and array.min() >= 0
        hint = f": set data.levels={int(array.max()) + 1} if they are codes" if codes else ""
        raise UserError(
            f"{what} must be integers 0..{most}, but is from {array.min()} to {array.max()}{hint}"
        )
    array = np.ascontiguousarray(array, np.uint8 if levels <= 256 else np.uint16)
    return array if array.ndim == 4 else array[..., None]


def check_images(
    shape: tuple[int, ...], dtype: np.dtype, what: str, levels: int | None = None
) -> None:
    """Raises a UserError if an array of this shape and type cannot be images."""
    if dtype.kind not in "bui":
        raise UserError(
            f"{what} must be integers 0..{max(levels or 256, 256) - 1}, but is {dtype}: multiply "
            "by 255 if they are 0..1, and save as uint8; codes are saved as integers, too"
        )
    if len(shape) not in (3, 4) or 0 in shape:
        raise UserError(
            f"{what} has the shape {shape}; images must be [N, H, W] or [N, H, W, C], none of "
            "them 0"
        )
