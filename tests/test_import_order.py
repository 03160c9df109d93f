"""The rooms of the package stand in an order: what is imported comes before what imports it."""

import ast
import graphlib
import importlib
import pathlib

import gated_pixelcnn

PACKAGE = pathlib.Path(gated_pixelcnn.__file__).parent
# Every arrow points down: a room imports from those above it, here too inside of functions.
ROOMS = (
    *(
        "errors",
        "limits",
        "names",
        "paths",
        "files",
        "code_maps",
        "graph_checks",
        "progress",
        "spec",
        "visualization",
    ),
    *("sampling", "likelihoods", "layers", "models"),
    *("data", "keras_settings", "configs", "runs", "evaluation", "training", "serving", "cli"),
)
APART = {
    "data": {"errors", "files", "names", "paths", "code_maps", "data"}
}  # all that it may import


def modules():
    """{name without that of the package: path} of all modules but the package itself."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if parts:
            found[".".join(parts)] = path
    return found


def imports(path, known):
    """The modules of the package that a file imports."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{a.name}" for a in node.names]
    found = set()
    for name in names:
        package, _, name = name.partition(".")
        while package == PACKAGE.name and name and name not in known:
            name = name.rpartition(".")[0]  # the name of something in a module
        found |= {name} if package == PACKAGE.name and name else set()
    return found


def test_every_import_points_down():
    known = modules()
    for name, path in known.items():
        room = name.partition(".")[0]
        allowed = APART.get(room, set(ROOMS[: ROOMS.index(room) + 1]))
        rooms = {other.partition(".")[0] for other in imports(path, known)}
        assert rooms <= allowed, f"{name} imports {sorted(rooms - allowed)}"


def test_benchmarks_and_tools_import_what_there_is():
    known = modules()
    root = PACKAGE.parent
    for path in [*root.glob("benchmarks/**/*.py"), *root.glob("tools/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == PACKAGE.name:
                module = importlib.import_module(node.module)
                for alias in node.names:
                    name = f"{node.module}.{alias.name}".removeprefix(f"{PACKAGE.name}.")
                    assert hasattr(module, alias.name) or name in known, f"{path.name}: {name}"


def test_no_modules_import_each_other():
    known = modules()
    graph = {name: imports(path, known) - {name} for name, path in known.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError
