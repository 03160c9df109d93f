"""The families of models, by the names that configurations use for them (`model.family`).

A family is a class with `@register(name)`. Those of this package are modules of
`gated_pixelcnn.models.families`, one of each name, and are imported when they are asked for: the
names are there without TensorFlow.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from pathlib import Path

PACKAGE = "gated_pixelcnn"  # under which Keras knows the families
_MODULES = f"{PACKAGE}.models.families"
_registered = {}


class _Families(Mapping):
    """{name: class} of all families."""

    def __iter__(self):
        folder = Path(__file__).with_name("families")
        own = [module.name for module in pkgutil.iter_modules([str(folder)])]
        return iter(dict.fromkeys([*own, *_registered]))

    def __len__(self):
        return len(list(iter(self)))

    def __contains__(self, name):
        return name in list(iter(self))

    def __getitem__(self, name):
        if name not in self:
            raise KeyError(name)
        if name not in _registered:
            importlib.import_module(f"{_MODULES}.{name}")
        return _registered[name]


FAMILIES = _Families()


def register(name):
    """Decorates the class of a family; Keras knows it as "gated_pixelcnn>name"."""
    import keras

    def decorate(kind):
        _registered[name] = kind
        kind.family = name
        return keras.saving.register_keras_serializable(PACKAGE, name)(kind)

    return decorate


def defaults(kind):
    """The arguments that a constructor has defaults for, those that it passes on, too.

    Args:
      kind: the class of a model.

    Returns:
      {name: default}, those of base classes first.
    """
    result = {}
    for base in reversed(kind.__mro__):
        if issubclass(base, _base()) and "__init__" in vars(base):
            parameters = inspect.signature(base.__init__).parameters.values()
            result |= {p.name: p.default for p in parameters if p.default is not p.empty}
    return result


def _base():
    from gated_pixelcnn.models.keras_training import KerasTraining

    return KerasTraining


def arguments(kind, args, kwargs):
    """The arguments of a constructor's call, and its defaults.

    Args:
      kind: the class of a model.
      args: its positional arguments.
      kwargs: the others.

    Returns:
      {name: value} without those of Keras; numbers of NumPy as Python's.
    """
    signature = inspect.signature(kind.__init__)
    given = dict(signature.bind(None, *args, **kwargs).arguments)
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            given |= given.pop(parameter.name, {})
    result = defaults(kind) | given
    kept = {name: x for name, x in result.items() if name not in ("self", "name", "dtype")}
    # NumPy is not imported here, nor by whoever only looks at names of families.
    return {name: x.tolist() if hasattr(x, "tolist") else x for name, x in kept.items()}
