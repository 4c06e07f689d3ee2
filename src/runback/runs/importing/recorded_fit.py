"""Finds the fit of a notebook, and has a run record it: its epochs, its data, its objective."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runback.errors import InputError
from runback.runs.importing.image_augmentation import resolved
from runback.runs.importing.import_notes import ImportNotes
from runback.runs.importing.keras2_calls import is_keras_fit
from runback.runs.importing.keras2_names import KerasNames
from runback.runs.importing.notebook_statements import (
    COMPREHENSIONS,
    Statement,
    insert_before,
    loaded_names,
)

MODELS = ("keras.Model", "keras.models.Model", "keras.Sequential", "keras.models.Sequential")
LOOPS = (ast.For, ast.AsyncFor, ast.While, *COMPREHENSIONS)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
FOLDERS = (
    "flow_from_directory",
    "image_dataset_from_directory",
    "text_dataset_from_directory",
    "audio_dataset_from_directory",
)
"""Functions whose first argument, or `directory`, is a folder of files."""


@dataclass
class Fit:
    """The fit that a run records."""

    call: ast.Call
    statement: Statement
    inner: ast.stmt
    """The innermost statement that it stands in."""


def find_fit(statements: Sequence[Statement], names: KerasNames, notes: ImportNotes) -> Fit:
    """Return a notebook's fit, the last of several. Errors: InputError where there is none."""
    models = _models(statements, names)
    found = [fit for one in statements for fit in _fits(one, models)]
    if not found:
        steps = any("train_on_batch" in ast.unparse(one.node) for one in statements)
        more = "; one by train_on_batch is written with run.epochs and run.log" if steps else ""
        raise InputError(
            f"no cell trains a Keras model by fit or fit_generator: there is nothing to record{more}"
        )
    last = found[-1]
    for fit in found[:-1]:
        notes.add(
            "by hand",
            fit.statement.cell,
            f"this fit is not recorded: a run records one, the last, of cell {last.statement.cell}",
        )
    _refuse_repeated(last, statements)
    return last


def _models(statements: Sequence[Statement], names: KerasNames) -> set[str]:
    """Return the names that models have."""
    found = set()
    for one in statements:
        for node in ast.walk(one.node):
            match node:
                case ast.Call(func=ast.Attribute(attr="compile", value=ast.Name(id=name))):
                    if names.written(node.func) is None:
                        found.add(name)
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=func)):
                    if names.name(func) in MODELS:
                        found.add(name)
    return found


def _fits(statement: Statement, models: set[str]) -> Iterator[Fit]:
    for inner, call in _calls(statement.node):
        func = call.func
        if isinstance(func, ast.Attribute) and func.attr == "fit":
            is_model = isinstance(func.value, ast.Name) and func.value.id in models
            if is_model or is_keras_fit(call):
                yield Fit(call, statement, inner)


def _calls(node: ast.stmt) -> Iterator[tuple[ast.stmt, ast.Call]]:
    """Yield each call with the innermost statement that it stands in."""

    def walk(node: ast.AST, inner: ast.stmt) -> Iterator[tuple[ast.stmt, ast.Call]]:
        if isinstance(node, ast.Call):
            yield inner, node
        for child in ast.iter_child_nodes(node):
            yield from walk(child, child if isinstance(child, ast.stmt) else inner)

    return walk(node, node)


def _refuse_repeated(fit: Fit, statements: Sequence[Statement]) -> None:
    """Refuse a fit that runs several times, or never. Errors: InputError."""
    above = _above(fit.statement.node, fit.call)
    cell = fit.statement.cell
    if any(isinstance(one, LOOPS) for one in above):
        raise InputError(
            f"cell {cell}: the fit stands in a loop; a run records one fit: write one with all epochs, or "
            "make what the loop goes over a parameter"
        )
    function = next((one for one in above if isinstance(one, ast.FunctionDef)), None)
    if function is None:
        return
    calls = [
        (one, node)
        for one in statements
        for node in ast.walk(one.node)
        if isinstance(node, ast.Call) and _called(node) == function.name
    ]
    in_loop = any(isinstance(part, LOOPS) for one, node in calls for part in _above(one.node, node))
    if len(calls) != 1 or in_loop:
        times = "no cell calls" if not calls else "is called several times"
        text = f"{times} {function.name}" if not calls else f"{function.name} {times}"
        raise InputError(f"cell {cell}: the fit stands in a function, and {text}; a run records one fit")


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _above(root: ast.AST, target: ast.AST) -> list[ast.AST]:
    """Return the nodes on the way from a root to a node within it."""
    if root is target:
        return []
    for child in ast.iter_child_nodes(root):
        if child is target or any(one is target for one in ast.walk(child)):
            return [root, *_above(child, target)]
    return []


def record_fit(fit: Fit, statements: list[Statement], run: str, notes: ImportNotes) -> None:
    """Give a fit the callback that records it, and the run what it trains on."""
    _add_callback(fit.call, run)
    given = {"training": [*fit.call.args[:2], *_words(fit.call, "x", "y", "sample_weight")]}
    given["validation"] = _words(fit.call, "validation_data")
    new: list[ast.stmt] = []
    for name, parts in given.items():
        if not parts or (name == "validation" and _is_none(parts[0])):
            continue
        sources = [source for part in parts for source in _sources(part, statements)]
        if not sources or (name == "training" and len(parts) < 2 and sources == [parts[0]]):
            text = ast.unparse(parts[0])
            notes.add(
                "by hand",
                fit.statement.cell,
                f"the fingerprint of the {name} data: give {run}.data(…) the arrays, "
                f"the file or the folder that {text:.60} is made from",
            )
            continue
        value = sources[0] if len(sources) == 1 else ast.Tuple(sources, ast.Load())
        call = ast.Call(
            ast.Attribute(ast.Name(run, ast.Load()), "data", ast.Load()), [value, ast.Constant(name)], []
        )
        new.append(ast.Expr(call))
    if fit.inner is fit.statement.node:
        at = statements.index(fit.statement)
        statements[at:at] = [Statement(fit.statement.cell, one) for one in new]
    else:
        insert_before([fit.statement.node], fit.inner, new)


def _add_callback(call: ast.Call, run: str) -> None:
    made = ast.parse(f"runback.keras.Callback({run})", mode="eval").body
    for word in call.keywords:
        if word.arg == "callbacks":
            if isinstance(word.value, ast.List | ast.Tuple):
                word.value = ast.List([made, *word.value.elts], ast.Load())
            elif _is_none(word.value):
                word.value = ast.List([made], ast.Load())
            else:
                word.value = ast.List([made, ast.Starred(word.value, ast.Load())], ast.Load())
            return
    at = next((at for at, word in enumerate(call.keywords) if word.arg is None), len(call.keywords))
    call.keywords.insert(at, ast.keyword("callbacks", ast.List([made], ast.Load())))


def _words(call: ast.Call, *names: str) -> list[ast.expr]:
    return [word.value for name in names for word in call.keywords if word.arg == name]


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _sources(part: ast.expr, statements: Sequence[Statement]) -> list[ast.expr]:
    """Return the arrays, or the folder, that a part of a fit's data is made from; none: unknown."""
    found = resolved(part, statements)
    if isinstance(found, ast.Call) and isinstance(found.func, ast.Attribute):
        method, arguments = found.func.attr, found.args
        if method == "flow":
            return arguments[:2] + _words(found, "x", "y")
        if method in FOLDERS:
            return arguments[:1] or _words(found, "directory")
        if method == "from_tensor_slices":
            return arguments[:1]
        if method in (
            "batch",
            "shuffle",
            "map",
            "prefetch",
            "repeat",
            "cache",
            "take",
            "skip",
            "with_options",
        ):
            return _sources(found.func.value, statements)
    if isinstance(found, ast.Call) and isinstance(found.func, ast.Name) and found.func.id in FOLDERS:
        return found.args[:1] or _words(found, "directory")
    if isinstance(part, ast.Tuple | ast.List) and any(isinstance(one, ast.Call) for one in ast.walk(part)):
        return []
    if any(isinstance(one, ast.Call) for one in ast.walk(part)):
        return []
    return [part]


def objective(fit: Fit, statements: Sequence[Statement]) -> str:
    """Return the metric that tells how good a training was: the accuracy where it is measured, else the loss.

    On the validation data where a fit has some.
    """
    names = {word.arg for word in fit.call.keywords if not _is_none(word.value)}
    prefix = "val_" if names & {"validation_data", "validation_split"} else ""
    metrics = [
        word.value
        for one in statements
        for node in ast.walk(one.node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "compile"
        for word in node.keywords
        if word.arg == "metrics"
    ]
    found = [_metric_names(value) for value in metrics]
    if len(found) == 1 and found[0]:
        return prefix + ("accuracy" if "accuracy" in found[0] else found[0][0])
    return f"{prefix}loss"


def _metric_names(value: ast.expr) -> list[str]:
    elements = value.elts if isinstance(value, ast.List | ast.Tuple) else [value]
    return [one.value for one in elements if isinstance(one, ast.Constant) and isinstance(one.value, str)]


def is_on_test_data(fit: Fit, statements: Sequence[Statement]) -> bool:
    """Tell whether a fit is validated on what `evaluate` measures on afterwards."""
    validation = [loaded_names(value) for value in _words(fit.call, "validation_data")]
    for one in statements:
        for node in ast.walk(one.node):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "evaluate"
            ):
                measured = set().union(*(loaded_names(part) for part in node.args[:2]), set())
                if any(measured and measured & names for names in validation):
                    return True
    return False


def names_after(fit: Fit, statements: Sequence[Statement]) -> frozenset[str]:
    """Return the names that are assigned after a fit by calls: what is measured and predicted."""
    found: set[str] = set()
    at = next((at for at, one in enumerate(statements) if one is fit.statement), len(statements))
    for one in statements[at:]:
        if isinstance(one.node, ast.Assign) and any(
            isinstance(part, ast.Call) for part in ast.walk(one.node)
        ):
            found |= {
                part.id
                for part in ast.walk(one.node)
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
            }
    return frozenset(found)
