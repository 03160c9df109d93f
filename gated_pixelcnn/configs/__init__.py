"""Configurations by name or by file. `schema` says what one is.

The presets have a file for each data set: its variables of type Preset, by their names.
After a change of them: `python train.py --list_presets --markdown > docs/presets.md`.
"""

import importlib.util
import re
import traceback
from collections.abc import Iterable
from pathlib import Path

from ml_collections import ConfigDict

from gated_pixelcnn import paths
from gated_pixelcnn.configs import (
    binarized_mnist,
    cifar10,
    codes,
    embedded,
    faces,
    imagenet,
    mnist,
    schema,
)
from gated_pixelcnn.configs.preset import Preset
from gated_pixelcnn.configs.schema import complete, flat
from gated_pixelcnn.errors import UserError, nearest

DEFAULT = "demo"
DATA_SETS = (embedded, mnist, binarized_mnist, cifar10, imagenet, faces, codes)


def presets_of(data_set) -> dict[str, Preset]:
    """Returns the presets of one of DATA_SETS, by their names."""
    return {name: value for name, value in vars(data_set).items() if isinstance(value, Preset)}


PRESETS = {name: preset for file in DATA_SETS for name, preset in presets_of(file).items()}


def list_presets() -> list[str]:
    """Returns the names of the presets, the default one first."""
    return sorted(PRESETS, key=lambda name: (name != DEFAULT, name))


def get_config(name: str = DEFAULT, overrides: Iterable[str] = ()) -> ConfigDict:
    """Returns a configuration.

    Args:
      name: A preset (see list_presets) or the path of a Python file with a function get_config,
        which gives a ConfigDict or a nested dict; keys that it leaves out have their defaults.
      overrides: Changes as on the command line, without `--config.`: "model.features=96".
        `none` unsets what has no value by default (model.condition=none).

    Returns:
      The ConfigDict, locked.

    Raises:
      UserError: Unknown preset or key, or a value of the wrong type.
    """
    config = _load(name)
    for override in overrides:
        schema.override(config, override)
    return config.lock()


def _load(name):
    if name in PRESETS:
        return PRESETS[name].config()
    path = Path(paths.local(name))
    if path.suffix != ".py":
        raise UserError(f"there is no preset {name!r}{nearest(name, list_presets())}")
    if not path.is_file():
        raise UserError(f"there is no configuration file {name}")
    spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        if not hasattr(module, "get_config"):
            raise UserError("there is no function get_config")
        return complete(module.get_config())
    except Exception as error:  # anything may go wrong in a file of the user
        raise UserError(
            f"the configuration file {path} has an error: {_reason(error, path)}"
        ) from error


def _reason(error, path):
    """Says in one sentence what an error in a configuration file is, and where."""
    if isinstance(error, SyntaxError):
        return str(error)
    cause = error.args[0] if error.args else error
    cause = str(cause.args[0] if isinstance(cause, KeyError) and cause.args else cause)
    locked = re.match(r'Key "(.*)" does not exist and cannot be added', cause)
    if locked:
        cause = schema.unknown_key(locked[1], flat(schema.defaults()))
    elif not isinstance(error, UserError):
        cause = f"{type(error).__name__}: {cause}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f"{cause} (line {lines[-1]})" if lines else cause
