"""Whether the values of images are levels already or bytes: decided once for a data set.

The decision is that of `data.values`, or made by `decide`. It is kept in the run's record, and all
who read images for the run go by it.
"""

from collections.abc import Iterable

import numpy as np

from gated_pixelcnn.data.images import levels_table
from gated_pixelcnn.errors import UserError

LEVELS, BYTES = "levels", "bytes"


def decide(config, parts: dict[str, Iterable[np.ndarray]]) -> str:
    """Decides for a data set, or checks the decision that was made by hand.

    Args:
      config: The DataConfig.
      parts: The images of each split, uint8, in pieces, those of "train" first. No more of them
        are looked at than the answer needs: mostly the first.

    Returns:
      LEVELS or BYTES.

    Raises:
      UserError: The images are binarized but `levels` is not 2, or those of "train" are blank.
    """
    levels, source, values = config.levels, config.source, config.values
    highest = -1
    darkest, brightest = 255, 0  # of the training images
    for split, pieces in parts.items():
        for piece in pieces:
            highest = max(highest, int(piece.max()))
            if split == "train":
                darkest = min(darkest, int(piece.min()))
                brightest = max(brightest, int(piece.max()))
            found = _decided(values, highest, levels)
            if found and highest > 1 and not _are_one(darkest, brightest, levels, found):
                return found
    found = _decided(values, highest, levels) or LEVELS
    if highest == 1 and levels != 2 and values == "auto":
        raise UserError(
            f"the images of {source} have no value above 1: they are binarized; set data.levels=2 "
            f"(it is {levels})"
        )
    if _are_one(darkest, brightest, levels, found):
        raise UserError(
            f"all training images of {source} are blank at data.levels={levels}, their values "
            f"taken for {found} (the highest is {highest} of 255)"
        )
    return found


def _decided(values, highest, levels):
    """The decision as far as it can be made by the highest value of some of the images."""
    if values != "auto":
        return values
    # Of 256 levels, bytes are levels.
    return BYTES if highest >= levels or levels == 256 else None


def _are_one(darkest, brightest, levels, values):
    """Whether values from the one to the other are all of one level."""
    if values == LEVELS:
        return darkest >= brightest
    return darkest >= brightest or darkest * levels // 256 == brightest * levels // 256


def to_levels(images: np.ndarray, levels: int, values: str, source: str, in_place: bool = False):
    """Quantises bytes to levels, floor(x * levels / 256); levels stay as they are.

    Args:
      images: uint8, of one axis or more.
      levels: 2..256.
      values: LEVELS or BYTES.
      source: Their name, for the error.
      in_place: Whether the images are overwritten.

    Returns:
      uint8 of the same shape, values 0..levels-1.

    Raises:
      UserError: If values that are levels are not below `levels`.
    """
    if values == LEVELS:
        highest = int(images.max(initial=0))
        if highest >= levels:
            raise UserError(too_high(source, highest, levels))
        return images
    if levels == 256:
        return images
    table = levels_table(levels)
    quantized = images if in_place else np.empty_like(images)
    for start in range(0, len(images), 256):  # parts that fit into a cache
        part = slice(start, start + 256)
        quantized[part] = table[images[part]]
    return quantized


def too_high(source, highest, levels) -> str:
    """Returns the sentence for values that cannot be levels."""
    return (
        f"{source} has values up to {highest}, but they are taken for levels 0..{levels - 1}, as "
        "data.values or the run says: set data.values=bytes (--values=bytes) if they are bytes"
    )
