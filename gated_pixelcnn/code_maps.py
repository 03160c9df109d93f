"""Two maps of codes of an image as one array: a top map, and a bottom map f times its size.

At every place of the top map there is its code, and then the f×f codes of the bottom map that lie
below it, row by row: [N, h, w] and [N, f·h, f·w] are [N, h, w, 1 + f²]. So a value is a code.
"""

import math

import numpy as np


def pack_codes(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Two maps as one array.

    Args:
      top: integers [N, h, w].
      bottom: integers [N, f·h, f·w], f at least 2.

    Returns:
      [N, h, w, 1 + f²], in the type that holds both.

    Raises:
      ValueError: sizes that do not fit, or values that are no integers.
    """
    top, bottom = np.asarray(top), np.asarray(bottom)
    if np.result_type(top, bottom).kind not in "iu":
        raise ValueError(
            f"codes must be integers of types that one type holds, got {top.dtype} and "
            f"{bottom.dtype}."
        )
    sizes = f"top {list(top.shape)} and bottom {list(bottom.shape)}"
    if top.ndim != 3 or bottom.ndim != 3 or len(top) != len(bottom) or 0 in top.shape:
        raise ValueError(f"maps of codes must be [N, h, w] and [N, f·h, f·w], got {sizes}.")
    num, height, width = top.shape
    factor = bottom.shape[1] // height
    if factor < 2 or bottom.shape[1:] != (factor * height, factor * width):
        raise ValueError(
            f"the bottom map must be 2, 3, … times as high and as wide as the top map, got {sizes}."
        )
    below = bottom.reshape(num, height, factor, width, factor).swapaxes(2, 3)
    return np.concatenate([top[..., None], below.reshape(*top.shape, factor**2)], axis=-1)


def unpack_codes(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two maps of an array, see `pack_codes`.

    Args:
      codes: integers [N, h, w, 1 + f²].

    Returns:
      The top map [N, h, w] and the bottom map [N, f·h, f·w].

    Raises:
      ValueError: no such array.
    """
    codes = np.asarray(codes)
    factor = code_factor(codes.shape[1:])
    num, height, width, _ = codes.shape
    below = codes[..., 1:].reshape(num, height, width, factor, factor).swapaxes(2, 3)
    return codes[..., 0], below.reshape(num, height * factor, width * factor)


def code_factor(shape: tuple[int, ...]) -> int:
    """F of an array of the shape (h, w, 1 + f²).

    Raises:
      ValueError: no such array.
    """
    factor = math.isqrt(max(shape[-1] - 1, 0)) if len(shape) == 3 else 0
    if factor < 2 or shape[-1] != 1 + factor**2:
        raise ValueError(
            "two maps of codes are an array (h, w, 1 + f·f) with f at least 2 (see pack_codes; of "
            f"an npz file the arrays top_train and bottom_train), got {tuple(shape)}."
        )
    return factor
