"""Images to learn from: sources (embedded, TFDS, image folder, npz) -> splits -> tf.data.

    config = data.DataConfig(source="folder:photos", image_size=32)
    images = data.load(config)
    for batch in images.train.train_batches(batch_size=64, seed=0): ...

Importing this package does not import TensorFlow; loading data does.
"""

import dataclasses
import importlib

from gated_pixelcnn.data.conditions import KINDS
from gated_pixelcnn.data.config import OF_FILES, DataConfig
from gated_pixelcnn.data.splits import Data, DataInfo
from gated_pixelcnn.errors import UserError

__all__ = ["Data", "DataConfig", "DataInfo", "describe", "load"]


def load(config: DataConfig, like: DataInfo | None = None, condition: str | None = None) -> Data:
    """Loads (or, if they are big, opens) the images of a source.

    Args:
      config: Which images, and how they are prepared.
      like: What images these are to go with, those that a model was trained on: their classes tell
        which folders are classes, and in which order; gray images stand for colour images.
      condition: Kind of condition of the model. Of "vector" and "spatial" the splits have
        conditions in the place of labels, see `DataConfig.condition_feature`.

    Returns:
      The splits, with images uint8 [N, H, W, C] of values 0..levels-1.

    Raises:
      UserError: If the source, the files or the images are not what they should be.
    """
    source, address = _source(config)
    return source.load(address, *_conditioned(config, condition), like)


def describe(config: DataConfig, condition: str | None = None) -> DataInfo:
    """Tells the shape of a source's images and its classes without loading or downloading all.

    What only a look at every image can tell (values out of range, an unreadable file) is left to
    `load`.

    Args:
      config: Which images, and how they are prepared.
      condition: See `load`.

    Returns:
      The image shape, the levels, the classes and the size of the condition that `load` would give.

    Raises:
      UserError: If the source is missing or its image shape cannot be known before a download.
    """
    source, address = _source(config)
    return source.describe(address, *_conditioned(config, condition))


def _conditioned(config, condition):
    """The configuration, and "vector" or "spatial" if there are conditions in place of labels."""
    if condition not in KINDS:
        if config.condition_feature:
            raise UserError(
                f"data.condition_feature={config.condition_feature} is for models conditioned on "
                f"vectors or maps; set model.condition to {' or '.join(KINDS)}"
            )
        return config, None
    return dataclasses.replace(config, labels=False), condition


def _source(config):
    """The module of a source and the address in it."""
    kind, address = config.parsed_source()
    for name, default in OF_FILES.items():
        if kind != "folder" and getattr(config, name) != default:
            raise UserError(
                f"data.{name}={getattr(config, name)} is for folders of image files, but "
                f"data.source is {config.source}"
            )
    return importlib.import_module(f"gated_pixelcnn.data.sources.{kind}"), address
