"""Writes the script that a notebook becomes: its imports, and one task with all that its cells do."""

import ast
import builtins
import textwrap
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runback.errors import InputError
from runback.runs.importing.display_statements import Display, without_display
from runback.runs.importing.image_augmentation import Augmentation
from runback.runs.importing.import_notes import ImportNotes
from runback.runs.importing.keras2_calls import PREDICTED_CLASSES, KerasChanges, has_accuracy
from runback.runs.importing.keras2_names import KerasNames, in_keras3
from runback.runs.importing.notebook_cells import Cell, read_cells
from runback.runs.importing.notebook_statements import (
    Statement,
    bound_names,
    loaded_names,
    statements_of,
)
from runback.runs.importing.published_data import DataReader
from runback.runs.importing.recorded_fit import (
    find_fit,
    is_on_test_data,
    names_after,
    objective,
    record_fit,
)
from runback.runs.importing.saved_files import move_files
from runback.runs.importing.task_parameters import TaskParameters, all_names
from runback.runs.importing.tensorflow_sessions import drop_sessions

TASK = "train"
"""The name of the task's function."""


@dataclass(frozen=True)
class ImportedTask:
    """The script that a notebook becomes, and what is to be said about it."""

    script: str
    parameters: Sequence[str]
    """As they stand in its signature."""
    objective: str
    cells: int
    """The number of cells with code."""
    notes: ImportNotes


def import_notebook(path: Path) -> ImportedTask:
    """Turn a notebook whose cells load data, build, fit and evaluate into a script with a task.

    The notebook is read, nothing in it is run. Errors: InputError for what is no notebook, one without a
    Keras fit, and one whose fit runs several times.
    """
    notes = ImportNotes()
    cells = read_cells(path, notes)
    names = KerasNames.of(cell.tree for cell in cells)
    statements = statements_of(cells)
    _refuse_asynchronous(statements)
    drop_sessions(statements, names, notes)
    changes = _for_keras3(cells, statements, names, notes)
    imports, statements = _divided(statements)
    parameters = TaskParameters(notes, names)
    parameters.take_seeds(statements)
    statements = _without_display(statements, names, notes)
    fit = find_fit(statements, names, notes)
    run = "run" if "run" not in all_names(statements) else "this_run"
    Augmentation(names, statements, notes).apply(fit.call, fit.statement.cell)
    reader = DataReader(names)
    reader.read_locally(statements, parameters, notes)
    parameters.take_constants(statements)
    parameters.take_arguments(fit.call, statements)
    metric = objective(fit, statements)
    _note_objective(metric, is_test=is_on_test_data(fit, statements), cell=fit.statement.cell, notes=notes)
    record_fit(fit, statements, run, notes)
    move_files(statements, names, run, notes)
    statements = [one for one in statements if not _does_nothing(one.node)]
    header = _imports(imports, statements, changes, reader)
    _note_undefined(header, statements, parameters, changes, notes)
    body = [one for one in statements if not isinstance(one.node, ast.Pass)]
    functions = [PREDICTED_CLASSES] if changes.needs_classes else []
    functions += [reader.function] if reader.function else []
    written = [one.written() for one in parameters.found.values()]
    script = _script(path, header, functions, body, written, metric, run, notes)
    _refuse_broken(script, path)
    return ImportedTask(script, written, metric, len(cells), notes)


def _refuse_broken(script: str, path: Path) -> None:
    """Refuse a script that is no Python: what stood on its own in a cell may not stand in a function."""
    try:
        compile(script, "script", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise InputError(f"{str(path)!a:.300} cannot be turned into one function: {reason}") from error


def _refuse_asynchronous(statements: Iterable[Statement]) -> None:
    for one in statements:
        if isinstance(one.node, ast.AsyncFor | ast.AsyncWith) or (
            not isinstance(one.node, ast.AsyncFunctionDef)
            and any(isinstance(part, ast.Await) for part in ast.walk(one.node))
        ):
            raise InputError(f"cell {one.cell} awaits something; a task's function cannot")


def _for_keras3(
    cells: Sequence[Cell], statements: list[Statement], names: KerasNames, notes: ImportNotes
) -> KerasChanges:
    """Rewrite the statements for Keras 3, in place."""
    trees = [cell.tree for cell in cells]
    changes = KerasChanges(
        names,
        notes,
        set().union(*(loaded_names(one.node) for one in statements), set()),
        has_accuracy=has_accuracy(trees),
        is_old=any(
            in_keras3(one).name != one or one.startswith("__future__") for one in names.aliases.values()
        ),
    )
    for one in list(statements):
        changes.cell = one.cell
        changed = changes.visit(one.node)
        at = statements.index(one)
        new = changed if isinstance(changed, list) else [changed] if changed is not None else []
        statements[at : at + 1] = [
            one if len(new) == 1 and node is one.node else Statement(one.cell, node) for node in new
        ]
    return changes


def _divided(statements: list[Statement]) -> tuple[list[Statement], list[Statement]]:
    """Return the imports, and the other statements; an import stays that binds a name bound to others too."""
    others = set().union(
        *(
            bound_names(one.node)
            for one in statements
            if not isinstance(one.node, ast.Import | ast.ImportFrom)
        ),
        set(),
    )
    imports = [
        one
        for one in statements
        if isinstance(one.node, ast.Import | ast.ImportFrom)
        and (not bound_names(one.node) & others or one.node.names[0].name == "*")
    ]
    return imports, [one for one in statements if one not in imports]


def _without_display(statements: list[Statement], names: KerasNames, notes: ImportNotes) -> list[Statement]:
    fit = find_fit(statements, names, ImportNotes())
    display = Display(names, names_after(fit, statements))
    kept, shown = without_display(statements, display)
    whole = {one.cell for one in shown} - {one.cell for one in kept}
    for cell in sorted({one.cell for one in shown}):
        parts = [one for one in shown if one.cell == cell and not isinstance(one.node, ast.Pass)]
        texts = [ast.unparse(one.node).split("\n")[0] for one in parts]
        if not texts:
            continue
        if cell not in whole:
            prints = [one for one in parts if ast.unparse(one.node).startswith("print(")]
            kept += prints
            texts = [ast.unparse(one.node).split("\n")[0] for one in parts if one not in prints]
        if texts:
            more = f" and {len(texts) - 1} more" if len(texts) > 1 else ""
            notes.add(
                "left out",
                cell,
                f"{'the whole cell' if cell in whole else 'what'} only shows: {texts[0]:.60}{more}",
            )
    return [one for one in statements if one in kept]


def _note_objective(metric: str, *, is_test: bool, cell: int, notes: ImportNotes) -> None:
    if not metric.startswith("val_"):
        notes.add(
            "note",
            cell,
            f"nothing is validated: the objective is the training's own {metric}; fit(…, "
            "validation_split=0.2) sets images apart to choose by",
        )
    elif is_test:
        notes.add(
            "note",
            cell,
            "validation_data is what evaluate measures on: a sweep would choose by the test data; "
            "set other images apart",
        )


def _does_nothing(node: ast.stmt) -> bool:
    """Tell whether a statement is a text on its own, or a `global` outside a function."""
    return isinstance(node, ast.Global) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def _imports(
    imports: Sequence[Statement], statements: Sequence[Statement], changes: KerasChanges, reader: DataReader
) -> list[str]:
    """Return the lines of the script's imports, without those that nobody uses any more."""
    used = set().union(*(loaded_names(one.node) for one in statements), set())
    lines: dict[str, None] = {}
    parts: dict[str, dict[str, None]] = {}
    for one in imports:
        node = one.node
        assert isinstance(node, ast.Import | ast.ImportFrom)  # noqa: S101 - `_divided` has looked
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            continue  # Python 2's division and print are Python 3's own
        names = [name for name in node.names if name.name == "*" or _bound(name) in used]
        for name in names:
            if isinstance(node, ast.Import):
                lines[ast.unparse(ast.Import([name]))] = None
            else:
                parts.setdefault("." * node.level + (node.module or ""), {})[ast.unparse(name)] = None
    for module, found in parts.items():
        stars = ["*"] if "*" in found else []
        others = sorted(set(found) - {"*"})
        lines |= dict.fromkeys(f"from {module} import {', '.join(kind)}" for kind in (stars, others) if kind)
    needed = [f"import {name}" for name in sorted({*changes.modules, *_modules(statements)} & used)]
    needed += reader.imports
    return sorted({*lines, *needed, "import runback"}, key=lambda line: (line.startswith("from"), line))


def _modules(statements: Sequence[Statement]) -> set[str]:
    """Return the modules that code names which this import wrote, if no import of the notebook binds them."""
    names = set().union(*(loaded_names(one.node) for one in statements), set())
    return names & {"keras", "tensorflow"}


def _bound(name: ast.alias) -> str:
    return name.asname or name.name.partition(".")[0]


def _note_undefined(
    header: Sequence[str],
    statements: Sequence[Statement],
    parameters: TaskParameters,
    changes: KerasChanges,
    notes: ImportNotes,
) -> None:
    """Note the names that nothing defines any more, or never did."""
    if any(line.endswith(" import *") for line in header if "keras" not in line):
        return
    known = {
        *dir(builtins),
        *parameters.found,
        "run",
        "this_run",
        "runback",
        "load_cifar10",
        "predicted_classes",
    }
    known |= {_bound(name) for line in header for node in ast.parse(line).body for name in node.names}  # type: ignore[attr-defined]
    known |= all_names(statements)
    if any(line.endswith(" import *") for line in header):
        known |= set(changes.names.aliases)
    for one in statements:
        for name in sorted(loaded_names(one.node) - known):
            notes.add("by hand", one.cell, f"nothing defines {name}")
        for node in ast.walk(one.node):
            if isinstance(node, ast.Name) and node.id in ("globals", "exec", "eval", "get_ipython"):
                notes.add(
                    "by hand", one.cell, f"{node.id}: names of the notebook are those of a function now"
                )


def _script(
    path: Path,
    header: Sequence[str],
    functions: Sequence[str],
    body: Sequence[Statement],
    parameters: Sequence[str],
    metric: str,
    run: str,
    notes: ImportNotes,
) -> str:
    arguments = [f"{run}: runback.Run", *(["*", *parameters] if parameters else [])]
    signature = f"def {TASK}({', '.join(arguments)}) -> float:"
    if len(signature) > 100:
        lines = [f"    {part}," for part in arguments]
        signature = "\n".join([f"def {TASK}(", *lines, ") -> float:"])
    parts: list[str] = []
    bound = set().union(*(bound_names(one.node) for one in body), set())
    cell = 0
    for one in body:
        if one.cell != cell:
            parts.append(f"\n# cell {one.cell}" if parts else f"# cell {one.cell}")
            cell = one.cell
        parts.append(_scoped(one, bound))
    parts.append(f"\nreturn {run}.best({metric!r})".replace("'", '"'))
    code = textwrap.indent("\n".join(parts), "    ")
    left = notes.of("by hand")
    to_do = "".join(f"\n- {_plain(note.line())}" for note in left)
    docstring = f"Trains as the notebook {_plain(path.name)} does; made from it by `runback import`."
    if left:
        docstring += f"\n\nTo be done by hand:\n{to_do}\n"
    return "\n".join(
        [
            f'"""{docstring}"""',
            "",
            *header,
            *(f"\n\n{one.strip()}" for one in functions),
            "",
            "",
            "@runback.task",
            signature,
            code,
            "",
            "",
            'if __name__ == "__main__":',
            f"    {TASK}.main()",
            "",
        ]
    )


def _plain(text: str) -> str:
    """Return a text that is one in a docstring, too."""
    safe = "".join(one if one.isprintable() else " " for one in text)
    return safe.replace("\\", "/").replace('"""', "'''").rstrip('"')


def _scoped(statement: Statement, bound: Collection[str]) -> str:
    """Return a statement's text, in which functions reach the task's variables instead of global ones."""
    for node in ast.walk(statement.node):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            for at, one in enumerate(block if isinstance(block, list) else []):
                if isinstance(one, ast.Global) and isinstance(block, list) and set(one.names) <= set(bound):
                    block[at] = ast.copy_location(ast.Nonlocal(one.names), one)
    return statement.lines()
