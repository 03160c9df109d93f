"""Gated PixelCNN in TensorFlow 2 and Keras 3.

    import gated_pixelcnn as gpc
    config = gpc.get_config("binarized_mnist")
    gpc.train(config, workdir="runs/a")
    model = gpc.load("runs/a")
    model.sample(num=16, seed=0)

Importing this package is quick: TensorFlow is imported when it is first needed.
"""

import importlib

from gated_pixelcnn import keras_settings

keras_settings.install()

__version__ = "0.1.0"

# Public name -> the module that has it.
_PUBLIC = {
    "build_model": "runs.build",
    "evaluate": "evaluation",
    "export": "serving",
    "get_config": "configs",
    "list_presets": "configs",
    "load": "runs.load",
    "load_saved_model": "serving",
    "train": "training.train",
    "GatedPixelCNN": "models.families.gated_pixelcnn",
    "UserError": "errors",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__():
    return sorted([*globals(), *_PUBLIC])
