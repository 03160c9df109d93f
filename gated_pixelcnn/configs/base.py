"""The configuration that every preset starts from: the defaults of the classes themselves."""

import dataclasses
import inspect

from ml_collections import ConfigDict, config_dict

from gated_pixelcnn.data import DataConfig
from gated_pixelcnn.families import FAMILIES
from gated_pixelcnn.training.config import TrainConfig

# Arguments of a model that come from the data, or are Keras' own.
_NOT_CONFIGURED = {
    *("self", "image_shape", "levels", "condition_size", "class_names", "name", "kwargs")
}
# The condition of a part is set by the model that it is a part of, and never an image.
_NOT_CONFIGURED_OF_PART = _NOT_CONFIGURED | {
    *("condition", "code_size", "encoder_features", "normalised_code", "train_encoder")
}
# Types of the arguments whose default is None; only these take none as a value.
OPTIONAL = {"condition": str, "head_features": int}


def get_config(family="gated_pixelcnn", parts=None):
    """Returns the defaults, locked: a preset can change a key but not invent one.

    Sections `data` (DataConfig), `model` (the constructor of the family), `train` (TrainConfig);
    `seed` of the initial weights, the order of the images and dropout; `description` and
    `expected` (what the preset is and reaches), for people.

    Args:
      family: Of the model.
      parts: Families of the parts of a model that has some, where they are not the default:
        {"prior": "gated_pixelcnn"}; of the part of a part: {"prior.prior": ...}.
    """
    config = ConfigDict()
    config.description = ""
    config.expected = ""
    config.seed = 0
    config.data = ConfigDict(_dataclass_defaults(DataConfig))
    config.model = _model(family, parts or {})
    config.train = ConfigDict(_dataclass_defaults(TrainConfig))
    return config.lock()


def _dataclass_defaults(kind):
    return {field.name: field.default for field in dataclasses.fields(kind)}


def _model(family, parts, path="", left_out=_NOT_CONFIGURED):
    """The section of a model, or of a part of it: the family, and what its constructor takes.

    That is the keyword arguments of its class and of those it passes **kwargs on to.
    """
    result = ConfigDict({"family": family})
    for kind in reversed(FAMILIES[family].__mro__):
        if not kind.__module__.startswith("gated_pixelcnn.") or "__init__" not in vars(kind):
            continue
        for name, parameter in inspect.signature(kind.__init__).parameters.items():
            default = parameter.default
            if name in left_out or default is parameter.empty:
                continue
            if isinstance(default, dict):
                of_part = parts.get(path + name, default["family"])
                default = _model(of_part, parts, f"{path}{name}.", _NOT_CONFIGURED_OF_PART)
            elif default is None:
                default = config_dict.placeholder(OPTIONAL[name])
            result[name] = default
    return result
