"""Puts the files that a notebook writes into the run's folder, by names that Keras 3 takes."""

import ast
from collections.abc import Sequence
from pathlib import PurePosixPath

from runback.runs.importing.import_notes import ImportNotes
from runback.runs.importing.keras2_names import KerasNames
from runback.runs.importing.notebook_statements import Statement

WRITERS = ("save_weights", "save", "to_csv", "savefig", "savetxt", "save_img")
READERS = ("load_weights", "load_model", "open", "read_csv", "load")
CALLBACKS = {"keras.callbacks.ModelCheckpoint": "filepath", "keras.callbacks.CSVLogger": "filename"}


def move_files(statements: Sequence[Statement], names: KerasNames, run: str, notes: ImportNotes) -> None:
    """Write what is saved under a literal name into the run's folder, and read it there.

    Weights alone end in .weights.h5, what a checkpoint saves whole in .keras: Keras 3 takes no other names.
    """
    moved: dict[str, str] = {}
    for one in statements:
        for call in _calls(one):
            found = _written_path(call, names)
            if found and found not in moved:
                new = _new_name(call, found, names)
                renamed = "" if new == found else f" as {new}, which Keras 3 asks for"
                if PurePosixPath(new).name in {PurePosixPath(other).name for other in moved.values()}:
                    new = new.strip("./").replace("/", "_")  # a/m.keras beside b/m.keras
                    renamed = f" as {new}"
                moved[found] = new
                notes.add("changed", one.cell, f"{found!r} is written into the run's folder{renamed}")
    for one in statements:
        for call in _calls(one):
            _move(call, moved, run, names)


def _calls(statement: Statement) -> list[ast.Call]:
    return [node for node in ast.walk(statement.node) if isinstance(node, ast.Call)]


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _path(call: ast.Call, word: str = "filepath") -> str | None:
    """Return the literal path that a call is given first; None: there is none."""
    values = [*call.args[:1], *(one.value for one in call.keywords if one.arg == word)]
    path = values[0] if values else None
    return path.value if isinstance(path, ast.Constant) and isinstance(path.value, str) else None


def _written_path(call: ast.Call, names: KerasNames) -> str | None:
    if (word := CALLBACKS.get(names.name(call.func) or "")) is not None:
        return _path(call, word)
    if _name(call) == "open" and isinstance(call.func, ast.Name):
        mode = [*call.args[1:2], *(one.value for one in call.keywords if one.arg == "mode")]
        is_written = mode and isinstance(mode[0], ast.Constant) and str(mode[0].value)[:1] in ("w", "a", "x")
        return _path(call, "file") if is_written else None
    if _name(call) in WRITERS and isinstance(call.func, ast.Attribute):
        return _path(call)
    return None


def _new_name(call: ast.Call, path: str, names: KerasNames) -> str:
    is_checkpoint = names.name(call.func) == "keras.callbacks.ModelCheckpoint"
    only_weights = any(
        word.arg == "save_weights_only" and isinstance(word.value, ast.Constant) and word.value.value is True
        for word in call.keywords
    )
    if (_name(call) == "save_weights" or (is_checkpoint and only_weights)) and not path.endswith(
        ".weights.h5"
    ):
        return f"{_stem(path)}.weights.h5"
    if is_checkpoint and not only_weights and not path.endswith(".keras"):
        return f"{_stem(path)}.keras"
    is_model = _name(call) == "save" and names.written(call.func) is None
    if is_model and not path.endswith((".keras", ".h5", ".hdf5", ".npy", ".npz", ".png", ".jpg")):
        return f"{path.rstrip('/')}.keras"
    return path


def _stem(path: str) -> str:
    for ending in (".h5", ".hdf5", ".hdf", ".keras", ".ckpt", ".tf"):
        if path.endswith(ending):
            return path.removesuffix(ending)
    return path


def _move(call: ast.Call, moved: dict[str, str], run: str, names: KerasNames) -> None:
    is_callback = names.name(call.func) in CALLBACKS
    if not is_callback and _name(call) not in (*WRITERS, *READERS):
        return
    for index, value in enumerate(call.args[:1]):
        call.args[index] = _in_folder(value, moved, run)
    for word in call.keywords:
        if word.arg in ("filepath", "filename", "file"):
            word.value = _in_folder(word.value, moved, run)


def _in_folder(value: ast.expr, moved: dict[str, str], run: str) -> ast.expr:
    if not (isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value in moved):
        return value
    name = PurePosixPath(moved[value.value]).name
    folder = ast.Attribute(ast.Name(run, ast.Load()), "folder", ast.Load())
    return ast.Call(ast.Name("str", ast.Load()), [ast.BinOp(folder, ast.Div(), ast.Constant(name))], [])
