"""Settings that this package needs of Keras, and names that it gives to it, without importing it.

Models are made for Keras 3 on TensorFlow: other settings are refused at import. As soon as Keras
is there it can load our models from `.keras` files: our families are known to it by name, and each
is imported when it is needed.
"""

import importlib.util
import os
import sys

from gated_pixelcnn.models.registry import FAMILIES, PACKAGE


def install():
    """Checks the settings, and tells Keras of our models, now or as soon as it is imported."""
    _check()
    if "keras" in sys.modules:
        _register(sys.modules["keras"])
    else:
        sys.meta_path.insert(0, _AfterKeras())


def _check():
    backend, where = _backend()
    if backend != "tensorflow":
        _refuse(
            f"Keras' backend is {backend!r} ({where}), but this package computes by TensorFlow",
            "set KERAS_BACKEND=tensorflow before Keras is imported",
        )
    if os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in ("1", "true"):
        _refuse(
            "TF_USE_LEGACY_KERAS makes tf.keras Keras 2, but the models here are of Keras 3",
            "unset it",
        )


def _backend():
    """Keras' backend and what sets it."""
    if "keras" in sys.modules:
        return sys.modules["keras"].config.backend(), "Keras is imported already"
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"], "KERAS_BACKEND"
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    path = os.path.join(home, "keras.json")
    try:
        with open(path, encoding="utf-8") as file:
            import json  # which takes longer than all else here

            return json.load(file).get("backend", "tensorflow"), path
    except (OSError, ValueError, AttributeError):  # Keras has its defaults then
        return "tensorflow", ""


def _refuse(what, remedy):
    from gated_pixelcnn.errors import UserError

    error = UserError(f"{what}: {remedy}")
    before = sys.excepthook

    def tell(kind, value, trace):
        """One sentence instead of a traceback through this package's imports."""
        if value is error:
            print("error:", error, file=sys.stderr)
        else:
            before(kind, value, trace)

    sys.excepthook = tell
    raise error


class _AfterKeras:
    """Finds the module `keras` once, as it would be found anyway, to go on when it is imported."""

    def find_spec(self, name, path=None, target=None):
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module):
                execute(module)
                _register(module)

            spec.loader.exec_module = execute_and_register
        return spec


def _register(keras):
    known = keras.saving.get_custom_objects()
    for name in FAMILIES:
        known.setdefault(f"{PACKAGE}>{name}", _Later(name))


class _Later:
    """Stands for a model until its module is imported, which registers the model itself."""

    def __init__(self, name):
        self.__name__ = name

    def from_config(self, config):
        """The model of a configuration, as Keras asks for it."""
        return FAMILIES[self.__name__].from_config(config)
