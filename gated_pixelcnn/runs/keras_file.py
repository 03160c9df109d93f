"""A model's `.keras` file (Keras' own format), read as data: nothing in it is run.

Keras rebuilds any object that a file names. Its safe mode refuses lambdas and a list of functions,
but calls all others of its own. Here the configuration is plain JSON for `build_model`, and only
numbers come from the weights.
"""

import contextlib
import json
import os
import shutil
import tempfile
import zipfile
from typing import NamedTuple

import h5py
import numpy as np

from gated_pixelcnn import configs
from gated_pixelcnn.configs.training import PRECISIONS
from gated_pixelcnn.data.preprocessing import LEVELS
from gated_pixelcnn.errors import UserError, first_line
from gated_pixelcnn.files import DAMAGED
from gated_pixelcnn.models.registry import FAMILIES, PACKAGE
from gated_pixelcnn.models.trainable import Trainable
from gated_pixelcnn.runs.directory import checked_record, checked_sizes, record
from gated_pixelcnn.spec import CATEGORICAL

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_ENTRIES = {"metadata.json", _CONFIG, _WEIGHTS}
# Not of config.model.
_OF_BASE = ("name", "dtype", "image_shape", "levels", "condition_size", "condition_names")


class Stored(NamedTuple):
    """The content of a file.

    Attributes:
      arguments: Those of `build_model`.
      array_sizes: Number of values of every array.
      weights: Path of the weights, a `.weights.h5` file that exists until the file is closed.
    """

    arguments: dict
    array_sizes: list
    weights: str


@contextlib.contextmanager
def opened(path):
    """Opens a file that `model.save` wrote.

    Args:
      path: The file.

    Yields:
      Stored.

    Raises:
      UserError: It is missing, damaged, of something else, or not as Keras saves our models.
    """
    if not os.path.isfile(path):
        raise UserError(f"there is no file {path}")
    with tempfile.TemporaryDirectory() as directory:
        weights = os.path.join(directory, _WEIGHTS)
        with _told(path), zipfile.ZipFile(path) as archive:
            _check_entries(archive)
            config = json.loads(archive.read(_CONFIG))
            # Copied to its end, so that its checksum is looked at.
            with archive.open(_WEIGHTS) as source, open(weights, "wb") as target:
                shutil.copyfileobj(source, target)
            stored = Stored(_arguments(config), _array_sizes(weights), weights)
        yield stored


def load_weights(model, weights, path):
    """Gives a built model the weights of `Stored`; `path` is the file they are from.

    Raises:
      UserError: They are not those of this model, or hold NaN or infinite values.
    """
    try:
        model.load_weights(weights)
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise UserError(
            f"the weights in {path} are not those of the model that it describes "
            f"({first_line(error)}); save it again"
        ) from error
    if not all(np.isfinite(weight).all() for weight in model.get_weights()):
        raise UserError(f"{path} holds values that are not finite; save a model that is whole")


@contextlib.contextmanager
def _told(path):
    """Turns the many errors of reading a bad file into one sentence."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path} is refused: {error}") from error
    except DAMAGED as error:
        raise UserError(
            f"{path} is not a whole .keras file ({first_line(error)}): it is truncated, damaged or "
            "something else; save the model again by model.save"
        ) from error


def _check_entries(archive):
    entries = archive.infolist()
    for entry in entries:
        if entry.filename not in _ENTRIES:
            raise UserError(f"it has an entry {entry.filename!r}, which no model of ours has")
        if entry.compress_type != zipfile.ZIP_STORED:  # may be of any size when it is read
            raise UserError(f"its entry {entry.filename} is compressed, which Keras never does")
    if len(entries) != len(_ENTRIES):
        raise UserError(f"it must have the entries {', '.join(sorted(_ENTRIES))}, each once")


def _arguments(saved):
    """The arguments of `build_model`, of plain values only, from Keras' description of a model."""
    name = saved["registered_name"] or saved["class_name"]
    package, _, family = name.partition(">")
    if package == PACKAGE and family not in FAMILIES:
        raise UserError(
            f"it holds a {family!r} of another version of this package, which is not read any more"
        )
    if package != PACKAGE:
        raise UserError(
            f"it holds a {name!r}, not a model of this package ({', '.join(FAMILIES)}); if you "
            "trust where it is from, load it with Keras"
        )
    return arguments_of(family, dict(saved["config"]))


def arguments_of(family, values):
    """The arguments of `build_model` for a model.

    Args:
      family: Its name.
      values: What its `get_config` gave, as JSON has it.

    Raises:
      KeyError, TypeError, ValueError: They are not those of a model.
    """
    dtype = values["dtype"]["config"]["name"]
    if dtype not in PRECISIONS:
        raise UserError(f"its dtype policy must be one of {', '.join(PRECISIONS)}, not {dtype!r}")
    shape, levels, condition_size = checked_sizes({"condition_size": 0} | values)
    model = {key: value for key, value in values.items() if key not in _OF_BASE}
    return {
        # Checks names and types, as for a configuration of the user.
        "config": configs.complete({"model": {**model, "family": family}}),
        "image_shape": shape,
        "levels": levels,
        "condition_size": condition_size,
        "condition_names": tuple(values.get("condition_names", ())),
        "dtype": dtype,
    }


def record_of(model):
    """The record of a model that no run of train.py made, see `runs.directory.record`.

    Its images are not known: `data.source` is empty. Values that no bytes can be are levels.

    Raises:
      UserError: It is no model of this package.
    """
    if not isinstance(model, Trainable):
        raise UserError(f"{type(model).__name__} is no model of this package")
    found = arguments_of(model.family, json.loads(json.dumps(model.get_config())))
    config = found["config"].unlock()
    config.data.update(source="", levels=found["levels"])
    sizes = (found["image_shape"], found["levels"], found["condition_size"])
    is_label = config.model.get("condition") == "label"
    names = {"class_names" if is_label else "condition_names": found["condition_names"]}
    is_levels = config.model.get("values") == CATEGORICAL or found["levels"] > 256
    decided = {"values": LEVELS} if is_levels else {}
    return checked_record(record(config.lock(), *sizes, **names, found=decided))


def _array_sizes(weights):
    """Sizes of the arrays of an HDF5 file, all of which it must hold itself and in full."""
    arrays = []
    with h5py.File(weights, "r") as file:
        # Both stop where a name is returned.
        wrong = file.visititems_links(_name_of_link) or file.visititems(_name_of_odd_array)
        if wrong:
            raise UserError(f"its array {wrong} is not stored as Keras stores it")
        file.visititems(lambda _, item: arrays.append(item) if _is_array(item) else None)
        return [array.size for array in arrays]


def _is_array(item):
    return isinstance(item, h5py.Dataset)


def _name_of_link(name, link):
    return None if isinstance(link, h5py.HardLink) else name


def _name_of_odd_array(name, item):
    """The name of what is compressed, or a view of other files."""
    odd = _is_array(item) and (
        item.external or item.is_virtual or item.id.get_storage_size() != item.nbytes
    )
    return name if odd else None
