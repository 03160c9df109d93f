"""Presets: one short file each, with what differs from the defaults (base.py)."""

import importlib.util
import pkgutil
import re
import traceback
from collections.abc import Iterable
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

from gated_pixelcnn import paths
from gated_pixelcnn.configs import base
from gated_pixelcnn.configs.base import OPTIONAL
from gated_pixelcnn.errors import UserError, nearest
from gated_pixelcnn.families import FAMILIES

DEFAULT = "demo"


def list_presets() -> list[str]:
    """Returns the names of the presets, the default one first."""
    names = {module.name for module in pkgutil.iter_modules(__path__)} - {"base"}
    return [DEFAULT, *sorted(names - {DEFAULT})]


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
        _override(config, override)
    return config.lock()


def _load(name):
    presets = list_presets()
    path = Path(name if name in presets else paths.local(name))
    if name in presets:
        path = Path(__file__).parent / f"{name}.py"
    elif path.suffix != ".py":
        raise UserError(f"there is no preset {name!r}{nearest(name, presets)}")
    elif not path.is_file():
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
        cause = _unknown(locked[1], flat(base.get_config()))
    elif not isinstance(error, UserError):
        cause = f"{type(error).__name__}: {cause}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f"{cause} (line {lines[-1]})" if lines else cause


def complete(given) -> ConfigDict:
    """Puts given values over the defaults.

    Args:
      given: ConfigDict or nested dict of some of the keys.

    Returns:
      The ConfigDict of all keys, locked.

    Raises:
      UserError: unknown key or family, or a value of the wrong type.
    """
    if not hasattr(given, "items"):
        raise UserError(f"a configuration is a ConfigDict or a dict, but this is {given!r}")
    values = flat(given)
    families = {key: family for key, family in values.items() if _is_family(key)}
    for key, family in families.items():
        if family not in list(FAMILIES):
            raise UserError(f"{key} is {family!r}{nearest(str(family), FAMILIES)}")
    # "model.prior.family" names the family of the part "prior".
    parts = {key[len("model.") : -len(".family")]: family for key, family in families.items()}
    config = base.get_config(families.get("model.family", next(iter(FAMILIES))), parts)
    keys = flat(config)
    for key, value in values.items():
        if key not in keys:
            raise UserError(_unknown(key, keys))
        *section, last = key.split(".")
        part = config
        for name in section:
            part = part[name]
        kind = part.get_type(last)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind and not (value is None and last in OPTIONAL):
            raise UserError(f"{key} must be of type {kind.__name__}, but is {value!r}")
        part[last] = value
    return config


def _unknown(key, keys):
    inside = [other for other in keys if other.startswith(key + ".")]
    if inside:
        return f"{key!r} is a section of the configuration: give its keys, such as {inside[0]!r}"
    # "features" or "train.features" is most likely the key that ends like this.
    same_end = [other for other in keys if other.split(".")[-1] == key.split(".")[-1]]
    hint = f"; did you mean {same_end[0]!r}?" if same_end else nearest(key, keys)
    return f"there is no configuration key {key!r}{hint}"


def _override(config, text):
    key, separator, value = text.partition("=")
    if not separator:
        raise UserError(f"--config.{key} needs a value: --config.{key}=...")
    keys = list(flat(config))
    if key not in keys:
        raise UserError(_unknown(key, keys))
    if _is_family(key):
        raise UserError(f"{key} belongs to the preset; choose another preset instead")
    *section, last = key.split(".")
    for part in section:
        config = config[part]
    if value.lower() == "none" and last in OPTIONAL:
        config[last] = None
        return
    kind = config.get_type(last).__name__
    # The flags of ml_collections know how to read every type.
    values = flags.FlagValues()
    argv = ["", f"--config.{last}={value}"]
    try:
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=argv)
        values(argv)
    except (flags.IllegalFlagValueError, TypeError) as error:
        raise UserError(f"{key} must be of type {kind}, but is {value!r}") from error


def _is_family(key):
    return key.startswith("model.") and key.endswith(".family")


def flat(config, prefix=""):
    """Flattens nested dicts: {"model.features": 32, ...}."""
    result = {}
    for key, value in config.items():
        if hasattr(value, "items"):
            result.update(flat(value, f"{prefix}{key}."))
        else:
            result[prefix + key] = value
    return result
