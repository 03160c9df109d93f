"""Parts of a batch that run side by side, and the numbers of images that XLA compiles for."""

import os

import tensorflow as tf


def parts_of(num, jit):
    """Sizes of the parts of a batch that run side by side.

    The products of one pixel are too small for several processors: it is parts of the batch that
    keep them busy. A GPU takes the whole batch at once.

    Args:
      num: number of images, a scalar tensor where it is not known.
      jit: whether a part is a program of XLA, for all rows; else it is for the pixels of a row.

    Returns:
      List of sizes; they add up to `num`.
    """
    if jit and not tf.is_tensor(num):
        whole, rest = divmod(num, size_of_parts(num))
        return whole * [size_of_parts(num)] + [rest] * bool(rest)
    # Where each part adds operations, and where an export runs elsewhere, two; one may be empty.
    return [num] if _on_gpu() else [num - num // 2, num // 2]


def compiled_num(num, most=None):
    """How many images XLA compiles for, where so many are wanted: parts of one size.

    Args:
      num: number of images.
      most: how many parts there may be; by default as many as this machine runs at once.

    Returns:
      A number from `num` on.
    """
    part = size_of_parts(num, most)
    return -(-num // part) * part


def size_of_parts(num, most=None):
    """The size of the parts of `compiled_num`.

    It is 1…8, 10, 12, 14, 16, 20, 24, …: three binary digits and zeros, so that there are few
    programs for all numbers, and at most a quarter of the work is for nothing.
    """
    most = most or (1 if _on_gpu() else processors())
    part = -(-num // most)
    step = 1 << max(0, part.bit_length() - 3)
    return -(-part // step) * step


def _on_gpu():
    return bool(tf.config.list_logical_devices("GPU"))


def processors():
    """How many operations TensorFlow runs at once on this machine."""
    if wanted := tf.config.threading.get_inter_op_parallelism_threads():
        return wanted
    if hasattr(os, "sched_getaffinity"):  # of Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def split(nest, parts, axis):
    """Splits every tensor of a nest into parts of the batch, given by their sizes."""
    if len(parts) == 1 or nest is None:
        return [nest] * len(parts)
    flat = [tf.split(x, parts, axis) for x in tf.nest.flatten(nest)]
    return [tf.nest.pack_sequence_as(nest, part) for part in zip(*flat, strict=True)]


def join(parts, axis):
    """Joins nests that `split` has split."""
    if len(parts) == 1:
        return parts[0]
    return tf.nest.map_structure(lambda *x: tf.concat(x, axis), *parts)


def size(x, axis):
    """The size of an axis: a number where it is known, else a tensor."""
    return tf.shape(x)[axis] if x.shape[axis] is None else x.shape[axis]
