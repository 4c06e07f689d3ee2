"""A search space to begin with, from a task's parameters: their ranges, and guesses around their defaults."""

import dataclasses
import enum
import inspect
import math
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

import yaml

from runback.cli.projects.number_bounds import (
    Bounds,
    guessed_range,
    inner_range,
    is_number,
    nearby,
    whole_range,
)
from runback.errors import InputError
from runback.runs.tasks.task import Task
from runback.system.config.override_text import quoted
from runback.system.text.listing import listed

SWEEP = "sweeps/quickstart.yaml"

BUDGET = 16
"""Trials of the first sweep; a finite space of no more points is searched whole."""

NOT_SEARCHED = (
    *("seed", "epochs", "n_epochs", "num_epochs", "max_epochs", "steps", "n_steps", "max_steps"),
    *("threads", "n_jobs", "workers", "num_workers", "verbose"),
)
"""Names of parameters that say how long and how a training runs, not what it learns."""

LOG_RATIO = 50
"""The ratio of a range's ends from which on it is searched by its logarithm."""

VALUES, DECLARED, GUESSED = "its values", "its declared range", "a guess around the default"
"""Where the values of a parameter are from."""

SEEDS = "choice(0, 1, 2, 3)"


@dataclass(frozen=True)
class Searched:
    """A parameter that is searched: its key, the expression of its values, and where these are from."""

    key: str
    expression: str
    origin: str

    @property
    def points(self) -> float:
        """The number of its values; infinite for a range."""
        return self.expression.count(",") + 1 if self.expression.startswith("choice(") else math.inf


@dataclass(frozen=True)
class FirstSpace:
    """The space of a task's first sweep, and the parameters that are left as they are."""

    searched: Sequence[Searched]
    fixed: Sequence[str]
    defaults: Mapping[str, Any]
    """The parameters that have a default."""
    is_pruned: bool
    """Whether there is the one objective that pruning needs."""

    @classmethod
    def of(cls, task: Task, *, has_conf: bool) -> Self:
        """Return the space of a task; `has_conf`: its conf/ may give the defaults that it lacks.

        Errors: InputError for a parameter that has neither a default nor a range.
        """
        parameters = list(inspect.signature(task.function).parameters.values())[1:]
        empty = inspect.Parameter.empty
        found, fixed = [], []
        for one in parameters:
            default = None if one.default is empty else one.default
            parts = list(_parts(one.name, task.parameters.types[one.name], default))
            found += [part for part in parts if isinstance(part, Searched)]
            fixed += [part for part in parts if isinstance(part, str)]
            if one.default is empty and one.name in fixed and not has_conf:
                raise InputError(
                    f"task {task.name}: parameter {one.name} must have a default, so that `make sweep` works "
                    f"at once: write {one.name}: … = VALUE"
                )
        if not found:
            key = "seed" if "seed" in task.parameters.types else "run.seed"
            found = [Searched(key, SEEDS, "no parameter has a range or a number to guess one from")]
        defaults = {one.name: one.default for one in parameters if one.default is not empty}
        return cls(found, fixed, defaults, is_pruned=len(task.objectives) == 1)

    @property
    def is_whole(self) -> bool:
        """Whether every point is tried."""
        return math.prod(one.points for one in self.searched) <= BUDGET

    @property
    def example(self) -> str:
        """An override of a parameter, as an example."""
        named = [(key, value) for key, value in self.defaults.items() if is_number(value)]
        named.sort(key=lambda pair: pair[0] != "epochs")
        return f"{named[0][0]}={named[0][1]}" if named else "run.seed=1"

    def lines(self) -> list[str]:
        """Return what is searched and why, and what is not, a line each."""
        lines = [f"{SWEEP} searches {one.key}: {one.expression}, {one.origin}" for one in self.searched]
        return [*lines, f"and leaves as they are: {listed(self.fixed, 10)}"] if self.fixed else lines

    def sweep_file(self, script: str) -> str:
        """Return the text of the file in `sweeps/`."""
        size = "every point once" if self.is_whole else f"{BUDGET} trials"
        pruned = ", the promising ones to their end" if self.is_pruned and not self.is_whole else ""
        head = [
            "# @package _global_",
            f"# The first sweep of {script}: {size}{pruned}.",
            f"#   runback sweep {script} +sweeps=quickstart",
            "# Not measured yet. Guesses are from the defaults: put the ranges here that you mean.",
        ]
        parts = [] if self.is_whole else ["sampler: tpe", *(["pruner: promote"] if self.is_pruned else [])]
        chosen = [f"  - override /hydra/sweeper/{part}" for part in parts]
        body = [
            *(["defaults:", *chosen] if chosen else []),
            "hydra:",
            "  sweeper:",
            *([] if self.is_whole else [f"    n_trials: {BUDGET}"]),
            "    params:",
            *(f"      {_yaml(one.key, one.expression)} # {one.origin}" for one in self.searched),
        ]
        left = [f"# Left as they are: {', '.join(self.fixed)}."] if self.fixed else []
        return "\n".join([*head, *left, *body, ""])


def _yaml(key: str, text: str) -> str:
    return str(yaml.safe_dump({key: text}, allow_unicode=True, width=math.inf)).rstrip("\n")


def _parts(key: str, kind: Any, default: Any) -> Iterator[Searched | str]:
    """Yield what of a parameter is searched, and the keys of what is not."""
    inner, bounds = _plain(kind)
    if dataclasses.is_dataclass(inner) and isinstance(inner, type):
        hints = typing.get_type_hints(inner, include_extras=True)
        for one in dataclasses.fields(inner):
            yield from _parts(f"{key}.{one.name}", hints[one.name], getattr(default, one.name, None))
        return
    is_fixed = key.rpartition(".")[2] in NOT_SEARCHED
    expression, origin = (None, "") if is_fixed else _expression(inner, default, bounds)
    yield key if expression is None else Searched(key, expression, origin)


def _plain(kind: Any) -> tuple[Any, Bounds]:
    """Return a type without its bounds and without None, and the bounds."""
    metadata: list[Any] = []
    while True:
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is Annotated:
            metadata += arguments[1:]
            kind = arguments[0]
            continue
        others = [one for one in arguments if one is not types.NoneType]
        if origin in (Union, types.UnionType) and len(others) == 1:
            kind = others[0]
            continue
        return kind, Bounds.of(metadata)


def _expression(kind: Any, default: Any, bounds: Bounds) -> tuple[str | None, str]:
    """Return the values to search, as an expression or None, and where they are from."""
    if kind is bool:
        return "choice(false, true)", VALUES
    if get_origin(kind) is Literal:
        return _choice(get_args(kind)), VALUES
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _choice([one.name for one in kind]), VALUES
    known = default if is_number(default) else None
    if kind is int and (whole := whole_range(known, bounds)):
        return f"int(interval({whole[0]}, {whole[1]}))", DECLARED
    if kind is int:
        near = nearby(known, bounds)
        return (_choice(near) if len(near) > 1 else None), GUESSED
    if kind is not float:
        return None, ""
    is_declared = bounds.is_range and not bounds.is_far(known)
    ends = inner_range(known, bounds) if is_declared else guessed_range(known, bounds)
    return (None if ends is None else _interval(*ends)), DECLARED if is_declared else GUESSED


def _interval(low: float, high: float) -> str:
    text = f"interval({low!r}, {high!r})"
    return f"tag(log, {text})" if low > 0 and high / low >= LOG_RATIO else text


def _choice(values: Iterable[Any]) -> str:
    return f"choice({', '.join(quoted(value) for value in values)})"
