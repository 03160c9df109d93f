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
from gated_pixelcnn.models import registry

keras_settings.install()

__version__ = "0.1.0"

# Public name → the module that has it; beside these the class of every family is public.
_PUBLIC = {
    **dict.fromkeys(("Bernoulli", "Categorical", "IndependentCategorical"), "likelihoods"),
    **dict.fromkeys(("DiscretizedLogistic", "DiscretizedLogisticMixture"), "likelihoods"),
    **dict.fromkeys(("ConditionSpec", "ImageSpec", "condition_spec"), "spec"),
    "build_model": "runs.build",
    "evaluate": "evaluation",
    "export": "serving",
    "get_config": "configs",
    "list_presets": "configs",
    "load": "runs.load",
    "load_saved_model": "serving",
    **dict.fromkeys(("pack_codes", "unpack_codes"), "code_maps"),
    "train": "training.train",
    "UserError": "errors",
}


def _families():
    """The families by the names of their classes, which imports TensorFlow."""
    return {kind.__name__: kind for kind in registry.FAMILIES.values()}


def __getattr__(name):
    if name == "__all__":
        return sorted([*_PUBLIC, *_families()])
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    if name[0].isupper() and name in (families := _families()):
        return families[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_PUBLIC, *_families()])
