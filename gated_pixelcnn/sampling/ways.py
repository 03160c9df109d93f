"""Which of the ways to run the loop is the fastest.

XLA's one program for everything has no cost per operation, but slow convolutions: it wins where the
rows above are little work. Measured by benchmarks/sampling.py, see docs/results.md.
"""

import tensorflow as tf

METHODS = ("pixels", "rows")
COMPILED = ("row", "image")


def fastest(model, num):
    """What XLA is to compile, see `loop.run`.

    Args:
      model: an autoregressive model that is built.
      num: number of images, or None where it is not known.

    Returns:
      "row" or "image".
    """
    return "image"
