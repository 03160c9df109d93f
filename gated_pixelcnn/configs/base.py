"""The configuration that every preset starts from: the defaults of the classes themselves."""

import dataclasses
import inspect

from ml_collections import ConfigDict, config_dict

from gated_pixelcnn.data import DataConfig
from gated_pixelcnn.families import FAMILIES
from gated_pixelcnn.training.config import TrainConfig

# Arguments of a model that come from the data, or are Keras' own.
_NOT_CONFIGURED = {"self", "image_shape", "levels", "condition_size", "name", "kwargs"}
# Types of the arguments whose default is None; only these take none as a value.
OPTIONAL = {"condition": str, "head_features": int}


def get_config(family="gated_pixelcnn"):
    """Returns the defaults, locked: a preset can change a key but not invent one.

    Sections `data` (DataConfig), `model` (the constructor of the family), `train` (TrainConfig);
    `seed` of the initial weights, the order of the images and dropout; `description` and
    `expected` (what the preset is and reaches), for people.
    """
    config = ConfigDict()
    config.description = ""
    config.expected = ""
    config.seed = 0
    config.data = ConfigDict(_dataclass_defaults(DataConfig))
    config.model = ConfigDict({"family": family} | _constructor_defaults(FAMILIES[family]))
    config.train = ConfigDict(_dataclass_defaults(TrainConfig))
    return config.lock()


def _dataclass_defaults(kind):
    return {field.name: field.default for field in dataclasses.fields(kind)}


def _constructor_defaults(family):
    """The keyword arguments of a class and of those it passes **kwargs on to, with defaults."""
    result = {}
    for kind in reversed(family.__mro__):
        if not kind.__module__.startswith("gated_pixelcnn.") or "__init__" not in vars(kind):
            continue
        for parameter in inspect.signature(kind.__init__).parameters.values():
            if parameter.name in _NOT_CONFIGURED or parameter.default is parameter.empty:
                continue
            optional = parameter.default is None
            result[parameter.name] = (
                config_dict.placeholder(OPTIONAL[parameter.name]) if optional else parameter.default
            )
    return result
