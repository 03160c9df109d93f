"""Memory that a softmax over many values needs, told before it is taken."""

import math
import os

import tensorflow as tf

from gated_pixelcnn.errors import UserError
from gated_pixelcnn.layers.categories import IN_PARTS
from gated_pixelcnn.models.autoregressive_model import AutoregressiveModel

_COPIES_OF_WEIGHTS = 5  # with the gradient, two moments and the moving average
_COPIES_OF_LOGITS = 3  # with the softmax and the gradient


def needed(model, num):
    """Bytes that training needs at least, of weights and logits.

    Args:
      model: an autoregressive model that is built.
      num: number of images at a time.
    """
    weights = 4 * _COPIES_OF_WEIGHTS * model.count_params()
    if not model.likelihood.is_categorical or model.logits_in_parts:
        return weights
    return weights + 4 * _COPIES_OF_LOGITS * num * math.prod(model.image_shape) * model.levels


def check(model, num, available=None):
    """Refuses a softmax over so many values that a processor's memory cannot hold it.

    Args:
      model: a model that is built, which may have others inside.
      num: number of images at a time.
      available: bytes; by default all memory of the machine. A GPU's is not known before.

    Raises:
      UserError: more is needed.
    """
    if tf.config.list_physical_devices("GPU"):
        return
    available = available or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for part in model._flatten_layers():
        if isinstance(part, AutoregressiveModel):
            _check(part, num, available)


def _check(model, num, available):
    found = needed(model, num)
    if found > available:
        height, width, channels = model.image_shape
        ways = ["lower train.batch_size or model.embedding_size", "raise train.accumulation"]
        if not model.image_spec.is_categorical:
            ways.append(
                "set model.values=categorical, whose logits are computed in parts above "
                f"{IN_PARTS} levels"
            )
        raise UserError(
            f"{num} images of {height}x{width}x{channels} values with {model.levels} levels need "
            f"{found / 1e9:.3g} GB for weights and logits, but this machine has "
            f"{available / 1e9:.3g} GB: {', or '.join(ways)}"
        )
