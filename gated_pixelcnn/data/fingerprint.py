"""Fingerprints of the images of a source: cheap, the same on every machine and in every process.

That of a split is its number of images, for people, and a checksum: `train=3600:0123456789abcdef`.
The images count as they are stored: what the configuration makes of them is no part of it.
"""

import hashlib
import os
import pathlib

import numpy as np

VALUES = 2**20  # looked at in an array of images


def of_arrays(split: str, images: np.ndarray, labels: np.ndarray | None) -> str:
    """Returns the fingerprint of images in memory: shape, labels, and a spread of the values.

    Args:
      split: Name of the split.
      images: uint8 [N, H, W, C], in one piece. All the values count, or, if there are many more
        than VALUES, every k-th.
      labels: int [N], or None.
    """
    step = max(1, images.size // VALUES) | 1  # odd: in turn all the places of a 2^n x 2^n image
    checksum = _checksum(f"{images.shape} {labels is not None}")
    checksum.update(images.reshape(-1)[::step].tobytes())
    if labels is not None:
        checksum.update(labels.astype("<i4").tobytes())
    return f"{split}={len(images)}:{checksum.hexdigest()}"


def of_files(split: str, directory: str, files: list[pathlib.PurePath]) -> str:
    """Returns the fingerprint of image files: their names, in order, and their sizes.

    Args:
      split: Name of the split.
      directory: Where they are.
      files: Their paths from there.
    """
    sizes = (os.path.getsize(os.path.join(directory, file)) for file in files)
    lines = [f"{file.as_posix()}\0{size}\n" for file, size in zip(files, sizes, strict=True)]
    return f"{split}={len(files)}:{_checksum(''.join(lines)).hexdigest()}"


def of_version(name: str, counts: dict[str, int]) -> str:
    """Returns the fingerprint of a published data set.

    Args:
      name: Its name with the version.
      counts: The number of images of each split.
    """
    return " ".join([name, *(f"{split}={count}" for split, count in counts.items())])


def _checksum(text):
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=8)
