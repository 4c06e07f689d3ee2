"""The public names and arguments of the installed Keras, read from its files: nothing of it is imported.

tests/runs/importing/test_keras_api_internals.py fails when Keras keeps them in another way.
"""

import ast
import functools
import importlib.util
from pathlib import Path
from typing import TypeGuard

EVERY_LAYER = frozenset(
    {"name", "dtype", "trainable", "autocast", "activity_regularizer", "input_shape", "input_dim"}
)
"""The arguments that each layer of Keras 3 takes (keras.layers.Layer)."""


@functools.cache
def _folder(package: str) -> Path | None:
    """Return the folder of `keras` or `tensorflow.keras`; None: Keras is not installed."""
    spec = importlib.util.find_spec("keras")
    if spec is None or spec.origin is None:
        return None
    keras = Path(spec.origin).parent
    return keras if package == "keras" else keras / "_tf_keras" / "keras"


@functools.cache
def exported(module: str) -> dict[str, str]:
    """Return the public names of a module, as keras.layers or tensorflow.keras.layers.

    Each has where it is defined, as `keras.src.layers.core.dense.Dense`. None of a module that is not there:
    an empty dict. Sub-modules are among them.
    """
    package = "tensorflow.keras" if module.startswith("tensorflow.keras") else "keras"
    folder = _folder(package)
    if folder is None or not (module == package or module.startswith(f"{package}.")):
        return {}
    parts = [part for part in module.removeprefix(package).split(".") if part]
    within = folder.joinpath(*parts)
    file = within / "__init__.py"
    if not file.is_file():
        return {}
    names = {
        one.asname or one.name: f"{statement.module}.{one.name}"
        for statement in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(statement, ast.ImportFrom)
        for one in statement.names
    }
    children = {child.parent.name for child in within.glob("*/__init__.py")} - {"src", "_tf_keras"}
    return {**{child: f"{module}.{child}" for child in children}, **names}


def has(name: str) -> bool:
    """Tell whether a dotted name, as keras.layers.Dense, is a public one of the installed Keras."""
    module, _, last = name.rpartition(".")
    if name in ("keras", "tensorflow.keras"):
        return True
    return last in exported(module) or bool(exported(name))


def arguments(name: str) -> frozenset[str] | None:
    """Return the keyword arguments of a public layer, optimizer or callback; None: they are not known."""
    module, _, last = name.rpartition(".")
    source = exported(module).get(last)
    return None if source is None else _arguments(source)


@functools.cache
def _arguments(source: str) -> frozenset[str] | None:
    module, _, name = source.rpartition(".")
    tree = _module(module)
    definition = next((one for one in _classes(tree) if one.name == name), None)
    if tree is None or definition is None:
        return None
    if name == "Layer":
        return EVERY_LAYER
    made = next((one for one in definition.body if _is_constructor(one)), None)
    own = frozenset() if made is None else _own_arguments(made)
    if name == "BaseOptimizer" or (made is not None and made.args.kwarg is None):
        return own
    bases = [_arguments(found) for base in definition.bases if (found := _imported(tree, base)) is not None]
    known = [base for base in bases if base is not None]
    return own.union(*known) if known else None


def _classes(tree: ast.Module | None) -> list[ast.ClassDef]:
    return [] if tree is None else [one for one in tree.body if isinstance(one, ast.ClassDef)]


def _is_constructor(node: ast.stmt) -> TypeGuard[ast.FunctionDef]:
    return isinstance(node, ast.FunctionDef) and node.name == "__init__"


def _own_arguments(made: ast.FunctionDef) -> frozenset[str]:
    """Return the arguments of a constructor, those included that it takes out of its `**kwargs`."""
    named = {one.arg for one in [*made.args.posonlyargs, *made.args.args, *made.args.kwonlyargs]}
    popped = {
        str(call.args[0].value)
        for call in ast.walk(made)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "pop"
        if call.args and isinstance(call.args[0], ast.Constant)
    }
    return frozenset(named | popped) - {"self"}


def _imported(tree: ast.Module, base: ast.expr) -> str | None:
    """Return where a base class comes from that a module imports."""
    if isinstance(base, ast.Attribute) and base.attr == "Optimizer":
        return "keras.src.optimizers.base_optimizer.BaseOptimizer"
    name = base.id if isinstance(base, ast.Name) else None
    for one in tree.body:
        if isinstance(one, ast.ImportFrom) and one.module:
            for alias in one.names:
                if name is not None and (alias.asname or alias.name) == name:
                    return _defined(f"{one.module}.{alias.name}")
    return None


def _defined(source: str) -> str:
    """Return where a name is defined that a package's `__init__` may only hand on."""
    module, _, name = source.rpartition(".")
    folder = _folder("keras")
    file = None if folder is None else folder.joinpath(*module.split(".")[1:], "__init__.py")
    if file is None or not file.is_file():
        return source
    for one in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(one, ast.ImportFrom) and any((a.asname or a.name) == name for a in one.names):
            return f"{one.module}.{name}"
    return source


@functools.cache
def _module(module: str) -> ast.Module | None:
    folder = _folder("keras")
    if folder is None:
        return None
    file = folder.joinpath(*module.split(".")[1:]).with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8")) if file.is_file() else None
