"""The public API has type hints."""

import ast
import functools
import importlib
import inspect
import re
from pathlib import Path

import pytest

import gated_pixelcnn as gpc
from gated_pixelcnn.models import registry

PACKAGE = Path(gpc.__file__).parent
DOCUMENTED = [
    name
    for page in sorted((PACKAGE.parent / "docs" / "api").glob("*.md"))
    for name in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
]


def found(name):
    """What a name of the pages of the API is: something in a module, or a module."""
    module, _, last = name.rpartition(".")
    thing = getattr(importlib.import_module(module), last, None)
    return importlib.import_module(name) if thing is None else thing


def functions_of(member):
    """The functions behind a member of a class: itself, or those of a property."""
    if isinstance(member, property):
        return [function for function in (member.fget, member.fset) if function]
    if isinstance(member, functools.cached_property):
        return [member.func]
    return [getattr(member, "__func__", member)]  # of a static method


def callables_of(thing):
    """(name, function) of a function, of the public methods of a class, or of all of a module."""
    if inspect.ismodule(thing):
        own = {key: x for key, x in vars(thing).items() if not key.startswith("_")}
        for value in own.values():
            if getattr(value, "__module__", None) == thing.__name__:
                yield from callables_of(value)
    elif inspect.isclass(thing):
        for kind in thing.__mro__:
            for key, member in vars(kind).items():
                if key in ("__init__", "__call__") or not key.startswith("_"):
                    for function in functions_of(member):
                        if getattr(function, "__module__", "").startswith(gpc.__name__):
                            yield f"{kind.__name__}.{key}", function
    elif inspect.isfunction(thing):
        yield thing.__name__, thing


@pytest.mark.parametrize("name", [*(f"{gpc.__name__}.{key}" for key in gpc.__all__), *DOCUMENTED])
def test_every_argument_and_result_of_the_public_api_has_a_type(name):
    for full, function in callables_of(found(name)):
        if inspect.isfunction(function):
            missing = set(inspect.signature(function).parameters) - {"self", "cls"}
            missing -= function.__annotations__.keys()
            assert not missing, f"{full} of {function.__module__}"
            assert "return" in function.__annotations__, f"{full} of {function.__module__}"


def test_type_checkers_find_every_public_name():
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [x for x in stub.body if isinstance(x, ast.ImportFrom) and x.module != "typing"]
    public = {alias.asname: (node.module, alias.name) for node in imports for alias in node.names}
    families = {kind.__name__ for kind in registry.FAMILIES.values()}
    assert public.keys() - families == set(gpc.__all__) - families  # others may be left out
    for key, (module, name) in public.items():
        assert getattr(importlib.import_module(module), name) is getattr(gpc, key)
