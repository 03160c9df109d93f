"""Schema of configurations: sections, keys and types, by the defaults of the classes themselves."""

import dataclasses
import types

from absl import flags
from ml_collections import ConfigDict, config_dict, config_flags

from gated_pixelcnn.configs.training import TrainConfig
from gated_pixelcnn.data import DataConfig
from gated_pixelcnn.errors import UserError, nearest
from gated_pixelcnn.models import registry

# Arguments of a model that come from the data, or are Keras' own.
_NOT_CONFIGURED = {
    *("self", "image_shape", "levels", "condition_size", "condition_names", "name", "kwargs")
}
# The condition of a submodel is set by the model around it, and never an image.
_NOT_CONFIGURED_OF_SUBMODEL = _NOT_CONFIGURED | {
    *("values", "condition", "code_size", "encoder_features", "normalised_code", "train_encoder")
}
DEFAULT_FAMILY = "gated_pixelcnn"
# Types of the arguments whose default is None; only these take none as a value.
OPTIONAL = {"condition": str, "head_features": int}


def defaults(family=DEFAULT_FAMILY, submodels=None):
    """Returns the defaults, locked: a preset can change a key but not invent one.

    Sections `data` (DataConfig), `model` (the constructor of the family), `train` (TrainConfig);
    `seed` of the initial weights, the order of the images and dropout; `description` and
    `expected` (what the preset is and reaches), for people.

    Args:
      family: Of the model.
      submodels: Families of the submodels of a model that has some, where they are not the default:
        {"prior": "gated_pixelcnn"}; of a submodel of a submodel: {"prior.prior": ...}.
    """
    config = ConfigDict()
    config.description = ""
    config.expected = ""
    config.seed = 0
    config.data = ConfigDict(_dataclass_defaults(DataConfig))
    config.model = _model(family, submodels or {})
    config.train = ConfigDict(_dataclass_defaults(TrainConfig))
    return config.lock()


def _dataclass_defaults(kind):
    """The defaults; of fields of several types any value fits here, and the class checks it."""
    return {
        field.name: config_dict.FieldReference(field.default, field_type=object)
        if isinstance(field.type, types.UnionType)
        else field.default
        for field in dataclasses.fields(kind)
    }


def _model(family, submodels, path="", left_out=_NOT_CONFIGURED):
    """The section of a model, or of a submodel: the family, and what its constructor takes.

    That is the keyword arguments of its class and of those it passes **kwargs on to.
    """
    result = ConfigDict({"family": family})
    for name, default in registry.defaults(registry.FAMILIES[family]).items():
        if name in left_out:
            continue
        if isinstance(default, dict):
            of_submodel = submodels.get(path + name, default["family"])
            default = _model(of_submodel, submodels, f"{path}{name}.", _NOT_CONFIGURED_OF_SUBMODEL)
        elif default is None:
            default = config_dict.placeholder(OPTIONAL[name])
        result[name] = default
    return result


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
        if family not in list(registry.FAMILIES):
            raise UserError(f"{key} is {family!r}{nearest(str(family), registry.FAMILIES)}")
    # "model.prior.family" names the family of the submodel "prior".
    submodels = {key[len("model.") : -len(".family")]: family for key, family in families.items()}
    config = defaults(families.get("model.family", DEFAULT_FAMILY), submodels)
    keys = flat(config)
    for key, value in values.items():
        if key not in keys:
            raise UserError(unknown_key(key, keys))
        *section, last = key.split(".")
        part = config
        for name in section:
            part = part[name]
        kind = part.get_type(last)
        if kind is float and type(value) is int:
            value = float(value)
        if (
            kind is not object
            and type(value) is not kind
            and not (value is None and last in OPTIONAL)
        ):
            raise UserError(f"{key} must be of type {kind.__name__}, but is {value!r}")
        part[last] = value
    return config


def unknown_key(key, keys):
    """Says that there is no such key, and which one was probably meant."""
    inside = [other for other in keys if other.startswith(key + ".")]
    if inside:
        return f"{key!r} is a section of the configuration: give its keys, such as {inside[0]!r}"
    # "features" or "train.features" is most likely the key that ends like this.
    same_end = [other for other in keys if other.split(".")[-1] == key.split(".")[-1]]
    hint = f"; did you mean {same_end[0]!r}?" if same_end else nearest(key, keys)
    return f"there is no configuration key {key!r}{hint}"


def override(config, text):
    """Changes one key, as on the command line.

    Args:
      config: ConfigDict of all keys.
      text: the change, without `--config.`: "model.features=96".

    Raises:
      UserError: unknown key, or a value of the wrong type.
    """
    key, separator, value = text.partition("=")
    if not separator:
        raise UserError(f"--config.{key} needs a value: --config.{key}=...")
    keys = list(flat(config))
    if key not in keys:
        raise UserError(unknown_key(key, keys))
    if _is_family(key):
        raise UserError(f"{key} belongs to the preset; choose another preset instead")
    *section, last = key.split(".")
    for part in section:
        config = config[part]
    if value.lower() == "none" and last in OPTIONAL:
        config[last] = None
        return
    if config.get_type(last) is object:
        config[last] = int(value) if value.isdecimal() else value
        return
    kind = config.get_type(last).__name__
    # The flags of ml_collections know how to read every type.
    values = flags.FlagValues()
    one = ConfigDict({"key": config.get_ref(last)})  # not by its name: "values" is a method
    argv = ["", f"--config.key={value}"]
    try:
        config_flags.DEFINE_config_dict("config", one, flag_values=values, sys_argv=argv)
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
