"""The public API has type hints."""

import inspect

import keras
import pytest

import gated_pixelcnn as gpc


def callables_of(name):
    """(name, function) of a public function, or of the public methods of a class of ours."""
    thing = getattr(gpc, name)
    if not inspect.isclass(thing):
        return [(name, thing)]
    found = {}
    for kind in thing.__mro__:
        for key, value in vars(kind).items():
            value = value.fget if isinstance(value, property) else value
            is_ours = inspect.isfunction(value) and value.__module__.startswith(gpc.__name__)
            is_public = key in ("__init__", "call") or not (
                key.startswith("_") or hasattr(keras.Model, key)
            )
            if is_ours and is_public:
                found.setdefault(key, value)
    return [(f"{name}.{key}", function) for key, function in found.items()]


@pytest.mark.parametrize("name", gpc.__all__)
def test_every_argument_and_result_of_the_public_api_has_a_type(name):
    for full, function in callables_of(name):
        missing = set(inspect.signature(function).parameters) - {"self", "cls"}
        missing -= function.__annotations__.keys()
        assert not missing, f"{full} of {function.__module__}"
        assert "return" in function.__annotations__, f"{full} of {function.__module__}"
