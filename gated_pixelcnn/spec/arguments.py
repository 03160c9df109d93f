"""Checks of single arguments."""

import operator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Array: TypeAlias = npt.ArrayLike | tf.Tensor
Shape = tuple[int | None, ...]  # None where a size is not known


def check_integer(name: str, value: Any, lowest: int, highest: int | None = None) -> int:
    """The value as an int; otherwise a ValueError with the argument, the value, what is allowed.

    A float is no integer, whatever its value; arrays and tensors of one integer are.
    """
    allowed = f"at least {lowest}" if highest is None else f"from {lowest} to {highest}"
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except (TypeError, AttributeError):  # the latter of tensors
        number = None
    if number is None:
        of = "of " if highest is None else ""
        raise ValueError(f"{name} must be an integer {of}{allowed}, got {value!r}.")
    if number < lowest or (highest is not None and number > highest):
        raise ValueError(f"{name} must be {allowed}, got {number}.")
    return number


def as_array(name: str, values: Array, refused: str = "OSUcMm") -> np.ndarray | tf.Tensor:
    """Values as an array of numbers (a tensor stays one), or the ValueError that says why not.

    Args:
      name: of the argument.
      values: an array or what NumPy makes one of.
      refused: kinds of NumPy's types that are no numbers here.
    """
    if tf.is_tensor(values):
        return values
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} must be an array of numbers ({error}).") from None
    if array.dtype.kind in refused:
        raise ValueError(
            f"{name} must be an array of numbers, got {array.dtype} of shape {list(array.shape)}."
        )
    return array
