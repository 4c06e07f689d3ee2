"""Turns a notebook's constants, and the numbers that a fit is given, into a task's parameters."""

import ast
import builtins
import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runback.runs.importing.import_notes import ImportNotes
from runback.runs.importing.keras2_calls import dotted
from runback.runs.importing.keras2_names import KerasNames
from runback.runs.importing.notebook_statements import (
    SCOPES,
    Statement,
    all_bound_names,
    bound_names,
    loaded_names,
)

CAPITAL = re.compile(r"_*[A-Z][A-Z0-9_]*")
FIT = ("epochs", "batch_size", "validation_split")
"""Arguments of a fit that become parameters where they are numbers."""

RATE = re.compile(r"(^|_)(lr|rate|dropout|decay|momentum|split|factor|alpha|beta|gamma|eps(ilon)?)($|_)")
"""Names of what is no whole number where 1 or 0 is its default; SPLIT = 40_000 is one."""

SEEDS = (
    "numpy.random.seed",
    "random.seed",
    "tensorflow.set_random_seed",
    "tensorflow.random.set_random_seed",
    "tensorflow.random.set_seed",
    "tensorflow.compat.v1.set_random_seed",
    "keras.utils.set_random_seed",
    "tensorflow.keras.utils.set_random_seed",
)
"""Functions that seed a global generator, which a run does."""

RESERVED = ("run", "hydra")


@dataclass(frozen=True)
class TaskParameter:
    """A keyword parameter of the task."""

    name: str
    default: Any
    kind: str
    """Its type, as it is written."""

    def written(self) -> str:
        """Return it as it stands in the function's signature."""
        return f"{self.name}: {self.kind} = {self.default!r}"


@dataclass
class TaskParameters:
    """The parameters of the task that a notebook becomes."""

    notes: ImportNotes
    names: KerasNames
    found: dict[str, TaskParameter] = field(default_factory=dict)

    def add(self, name: str, default: Any, kind: str | None = None) -> None:
        """Add a parameter."""
        kind, default = (kind, default) if kind else _kind(name, default)
        self.found.setdefault(name, TaskParameter(name, default, str(kind)))

    def take_constants(self, statements: list[Statement]) -> None:
        """Take the constants out of the statements, and have these use parameters."""
        _split_tuples(statements)
        asked = _given_names(statements)
        taken = {}
        for one in statements:
            named = _constant(one.node)
            if named is None or not _is_assigned_once(named[0], statements):
                continue
            name, value = named
            if CAPITAL.fullmatch(name) or name in asked:
                taken[name] = (one, value)
        renames = {name: self._free_name(name, statements) for name in taken}
        used = set().union(*(loaded_names(one.node) for one in statements), set())
        for name, (statement, value) in taken.items():
            new = renames[name]
            if name not in used:
                statements.remove(statement)
                self.notes.add("left out", statement.cell, f"{name}: nothing that is left uses it")
                continue
            if new in self.found:
                new = renames[name] = name
            self.add(new, value)
            statements.remove(statement)
        for one in statements:
            one.node = _Renamed(renames).visit(one.node)

    def _free_name(self, name: str, statements: list[Statement]) -> str:
        """Return a constant's name as a parameter's, in lower case where nothing else has that name."""
        lower = name.lower().lstrip("_")
        is_word = keyword.iskeyword(lower) or lower in RESERVED or hasattr(builtins, lower)
        if lower == name:
            return name
        if is_word or not lower.isidentifier() or self._is_other(lower, name, statements):
            self.notes.add("note", 0, f"the parameter for {name} keeps its name: {lower} is another thing's")
            return name
        return lower

    def _is_other(self, lower: str, name: str, statements: list[Statement]) -> bool:
        return lower in self.names.aliases or _is_taken(lower, name, statements)

    def take_arguments(self, fit: ast.Call, statements: list[Statement]) -> None:
        """Take numbers that a fit or an optimizer is given as they stand."""
        for word in fit.keywords:
            if word.arg in FIT:
                self._take(word, word.arg, statements)
        optimizers = [
            node
            for one in statements
            for node in ast.walk(one.node)
            if isinstance(node, ast.Call)
            and (self.names.name(node.func) or "").startswith("keras.optimizers.")
        ]
        for call in optimizers if len(optimizers) == 1 else ():
            for word in call.keywords:
                if word.arg == "learning_rate":
                    self._take(word, "learning_rate", statements)
            if (
                call.args
                and (value := _number(call.args[0])) is not None
                and self._is_free("learning_rate", statements)
            ):
                self.add("learning_rate", float(value))
                call.args[0] = ast.Name("learning_rate", ast.Load())
        schedules = [call for call in optimizers if "schedules" in (self.names.name(call.func) or "")]
        if len(optimizers) == 2 and len(schedules) == 1 and schedules[0].args:
            value = _number(schedules[0].args[0])
            if value is not None and self._is_free("learning_rate", statements):
                self.add("learning_rate", float(value))
                schedules[0].args[0] = ast.Name("learning_rate", ast.Load())

    def _take(self, word: ast.keyword, name: str, statements: list[Statement]) -> None:
        value = _number(word.value)
        if value is None or not self._is_free(name, statements):
            return
        self.add(name, value)
        word.value = ast.Name(name, ast.Load())

    def _is_free(self, name: str, statements: list[Statement]) -> bool:
        return name not in self.found and not any(name in bound_names(one.node) for one in statements)

    def take_seeds(self, statements: list[Statement]) -> None:
        """Take out the calls that seed a global generator: the run does that, by the parameter `seed`."""
        for one in list(statements):
            call = one.node.value if isinstance(one.node, ast.Expr) else None
            name = self.names.written(call.func) if isinstance(call, ast.Call) else None
            if name is None or not isinstance(call, ast.Call) or name not in SEEDS:
                continue
            statements.remove(one)
            self.notes.add(
                "left out",
                one.cell,
                f"{ast.unparse(call)}: the run seeds Python, NumPy and Keras, by the parameter seed",
            )
            if call.args:
                self._take_seed(call.args[0], statements)

    def _take_seed(self, seed: ast.expr, statements: list[Statement]) -> None:
        """Make a seed, which stands there or has a name, the parameter `seed`."""
        named = [one for one in statements if isinstance(seed, ast.Name) and _is_constant(one.node, seed.id)]
        value = _number(seed)
        if isinstance(seed, ast.Name) and len(named) == 1 and _is_assigned_once(seed.id, statements):
            found = _constant(named[0].node)
            value = None if found is None else found[1]
        is_free = "seed" not in all_names(statements) or (isinstance(seed, ast.Name) and seed.id == "seed")
        if type(value) is not int or not is_free:
            return
        self.add("seed", value)
        if isinstance(seed, ast.Name):
            statements.remove(named[0])
            for one in statements:
                one.node = _Renamed({seed.id: "seed"}).visit(one.node)


def all_names(statements: Iterable[Statement]) -> set[str]:
    """Return the names that are bound anywhere."""
    return set().union(*(all_bound_names(one.node) for one in statements), set())


def _constant(node: ast.stmt) -> tuple[str, Any] | None:
    """Return name and value of a constant that a statement assigns; None: it assigns none."""
    match node:
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=value)
            | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
        ):
            found = _literal(value)
            return None if found is None else (name, found)
    return None


def _is_constant(node: ast.stmt, name: str) -> bool:
    found = _constant(node)
    return found is not None and found[0] == name


def _literal(value: ast.expr) -> Any:
    """Return a number, a text, a bool, or a list or tuple of some of one type; None for anything else."""
    try:
        found = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    if isinstance(found, list | tuple):
        kinds = {type(one) for one in found}
        return found if (kinds and kinds <= {int, float}) or kinds == {str} else None
    if isinstance(found, float) and found in (float("inf"), float("-inf")):
        return None
    return found if isinstance(found, int | float | str) else None


def _number(value: ast.expr) -> int | float | None:
    found = _literal(value)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def _kind(name: str, value: Any) -> tuple[str, Any]:
    """Return a parameter's type as it is written, and its default as one of it."""
    if isinstance(value, list | tuple):
        kinds = {type(one) for one in value}
        inner = "str" if str in kinds else "float" if float in kinds else "int"
        if isinstance(value, list):
            return f"list[{inner}]", value
        return f"tuple[{', '.join([inner] * len(value))}]", value
    if type(value) is int and value in (0, 1) and RATE.search(name.lower()):
        return "float", float(value)
    return type(value).__name__, value


def _split_tuples(statements: list[Statement]) -> None:
    """Write `ROWS, COLS = 32, 32`, and `A = B = 1`, as statements of their own."""
    for one in list(statements):
        match one.node:
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if (
                len(targets) == len(values)
                and all(isinstance(t, ast.Name) for t in targets)
                and all(_literal(v) is not None for v in values)
            ):
                pairs = list(zip(targets, values, strict=True))
            case ast.Assign(targets=[ast.Name(), ast.Name(), *_] as targets, value=value) if _literal(
                value
            ) is not None and all(isinstance(t, ast.Name) for t in targets):
                pairs = [(target, value) for target in targets]
            case _:
                continue
        at = statements.index(one)
        parts = [Statement(one.cell, ast.Assign([target], value, lineno=1)) for target, value in pairs]
        parts[0].comments = one.comments
        statements[at : at + 1] = parts


def _given_names(statements: list[Statement]) -> set[str]:
    """Return the names that a fit or an optimizer is given for its numbers."""
    asked = {*FIT, "learning_rate", "momentum"}
    return {
        node.value.id
        for one in statements
        for node in ast.walk(one.node)
        if isinstance(node, ast.keyword) and node.arg in asked and isinstance(node.value, ast.Name)
    }


def _is_assigned_once(name: str, statements: list[Statement]) -> bool:
    times = 0
    for one in statements:
        for node in ast.walk(one.node):
            match node:
                case ast.Name(id=found, ctx=ast.Store() | ast.Del()) if found == name:
                    times += 1
                case ast.Global(names=names) | ast.Nonlocal(names=names) if name in names:
                    times += 2
                case ast.AugAssign(target=ast.Name(id=found)) if found == name:
                    times += 2
    return times == 1


def _is_taken(lower: str, name: str, statements: list[Statement]) -> bool:
    """Tell whether a name means something else where the constant is used."""
    for one in statements:
        if lower in bound_names(one.node):
            return True
        for node in ast.walk(one.node):
            if isinstance(node, SCOPES):
                body = node.body if isinstance(node.body, list) else [node.body]
                own = set().union(*(all_bound_names(part) for part in body), set())
                own |= {arg.arg for arg in ast.walk(node) if isinstance(arg, ast.arg)}
                if lower in own and name in set().union(*(loaded_names(part) for part in body), set()):
                    return True
    return False


class _Renamed(ast.NodeTransformer):
    """Renames names that are read."""

    def __init__(self, renames: Mapping[str, str]) -> None:
        self._renames = renames

    def visit_Name(self, node: ast.Name) -> ast.AST:
        new = self._renames.get(node.id)
        return node if new is None else ast.copy_location(dotted(new), node)
