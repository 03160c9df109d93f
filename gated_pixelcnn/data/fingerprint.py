"""Fingerprints of the images of a source: cheap, the same on every machine and in every process.

That of a split is its number of images, for people, and a checksum: `train=3600:0123456789abcdef`.
The images count as they are stored: what the configuration makes of them is no part of it.
"""

import hashlib
import os
import pathlib

import numpy as np

VALUES = 2**20  # looked at in an array of images


def of_arrays(split: str, images: np.ndarray, beside: np.ndarray | None) -> str:
    """Returns the fingerprint of images in memory: shape, labels, and a spread of the values.

    Args:
      split: Name of the split.
      images: uint8 or uint16 [N, H, W, C], in one piece. All the values count, or, if there are
        many more than VALUES, every k-th.
      beside: Labels, int [N], or conditions, float32 [N, ...], or None.
    """
    step = max(1, images.size // VALUES) | 1  # odd: in turn all the places of a 2^n x 2^n image
    checksum = _checksum(f"{images.shape} {beside is not None}")
    checksum.update(images.reshape(-1)[::step].astype(f"<u{images.itemsize}").tobytes())
    if beside is not None:
        checksum.update(beside.astype("<i4" if beside.ndim == 1 else "<f4").tobytes())
    return f"{split}={len(images)}:{checksum.hexdigest()}"


def of_files(
    split: str,
    directory: str,
    files: list[pathlib.PurePath],
    conditions: np.ndarray | None = None,
) -> str:
    """Returns the fingerprint of image files: their names, in order, their sizes and conditions.

    Args:
      split: Name of the split.
      directory: Where they are.
      files: Their paths from there.
      conditions: float32 [N, D], or None.
    """
    sizes = (os.path.getsize(os.path.join(directory, file)) for file in files)
    lines = [f"{file.as_posix()}\0{size}\n" for file, size in zip(files, sizes, strict=True)]
    checksum = _checksum("".join(lines))
    if conditions is not None:
        checksum.update(conditions.astype("<f4").tobytes())
    return f"{split}={len(files)}:{checksum.hexdigest()}"


def of_version(name: str, counts: dict[str, int]) -> str:
    """Returns the fingerprint of a published data set.

    Args:
      name: Its name with the version.
      counts: The number of images of each split.
    """
    return " ".join([name, *(f"{split}={count}" for split, count in counts.items())])


def _checksum(text):
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=8)
