"""No module of the source but those called `*_internals` touches a library's private parts."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
MODULES = sorted(SRC.rglob("*.py"))

ALLOWED = {
    ("worker", "os._exit"),  # documented: it ends a forked process
    # The standard library's: tests/sweeping/trials/engines/test_fork_server.py fails when they change.
    ("fork_server", "forkserver._forkserver"),
    ("fork_server", "forkserver._forkserver._forkserver_pid"),
    ("fork_server", "processes._children"),
    # It overrides these: tests/tracking/server/test_confined_artifacts.py fails when MLflow has others.
    ("confined_artifacts", "super()._download_file"),
    ("confined_artifacts", "super()._get_destination_artifact_path"),
    ("confined_artifacts", "super()._is_directory"),
}
"""Module and expression."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def is_internal(module: str) -> bool:
    """Tell whether a module of a library is a private one."""
    return any(map(is_private, module.split("."))) or f"{module}.".startswith("keras.src.")


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield the private modules and names that are imported from libraries."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if is_internal(one.name))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("runback"):
            yield from (
                f"{node.module}.{one.name}" for one in node.names if is_internal(f"{node.module}.{one.name}")
            )


def attributes(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the private attributes of all but `self` and `cls`: the name, and the expression."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                pass
            case ast.Attribute(attr=name) if is_private(name):
                yield name, ast.unparse(node)
            case ast.Call(
                func=ast.Name(id="getattr" | "setattr" | "hasattr" | "delattr"),
                args=[_, ast.Constant(value=str(name)), *_],
            ) if is_private(name):
                yield name, ast.unparse(node)


def own_names(tree: ast.AST) -> set[str]:
    """Return the private names that the classes of a module define: those are the module's own affair."""
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(body=body):
                names |= {one.name for one in body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
                names |= {one.target.id for one in body if isinstance(one, ast.AnnAssign)}
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                names.add(name)
    return {name for name in names if is_private(name)}


def touches(module: str, text: str, of_libraries: frozenset[str]) -> list[str]:
    """Return the imports and attributes of a module that belong into an `_internals` module."""
    tree = ast.parse(text)
    own = own_names(tree) - of_libraries
    found = [*imports(tree)]
    found += [shown for name, shown in attributes(tree) if name not in own and (module, shown) not in ALLOWED]
    return found


@pytest.fixture(scope="module")
def of_libraries() -> frozenset[str]:
    """Return the private attributes of libraries that are in use: nobody else's may be called so."""
    modules = [path for path in MODULES if path.stem.endswith("_internals")]
    return frozenset(name for path in modules for name, _ in attributes(ast.parse(path.read_text("utf-8"))))


def test_private_parts_of_libraries_are_touched_in_internals_modules_alone(of_libraries) -> None:
    modules = [path for path in MODULES if not path.stem.endswith("_internals")]
    found = {
        str(path.relative_to(SRC)): touches(path.stem, path.read_text("utf-8"), of_libraries)
        for path in modules
    }
    assert {path: touched for path, touched in found.items() if touched} == {}


def test_what_is_allowed_is_used(of_libraries) -> None:
    used = {
        (path.stem, shown) for path in MODULES for _, shown in attributes(ast.parse(path.read_text("utf-8")))
    }
    assert used >= ALLOWED


@pytest.mark.parametrize(
    "text",
    [
        "import hydra._internal.callbacks",
        "from hydra._internal import callbacks",
        "from tensorflow.python.util import _pywrap_util_port",
        "from keras.src.saving import serialization_lib",
        "study._storage.get_trial(1)",
        "getattr(study, '_storage')",
        "client._tracking_client.store",
        "class Entry:\n    def __init__(self, study):\n        self._storage = study._storage",
    ],
)
def test_a_touch_is_seen(text: str) -> None:
    assert touches("any", text, frozenset({"_storage"}))


@pytest.mark.parametrize(
    "text",
    [
        "from runback.system import _own",
        "self._storage = 1",
        "class Own:\n    def _part(self): ...\n    def other(self, one): return one._part()",
        "x.__class__",
        "from __future__ import annotations",
    ],
)
def test_what_is_ones_own_is_no_touch(text: str) -> None:
    assert touches("any", text, frozenset()) == []
