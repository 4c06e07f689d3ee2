"""Sweeps a task of a notebook's cell, by the same overrides as on a command line."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runback.errors import InputError
from runback.runs.tasks import script_command
from runback.runs.tasks.script_preload import TASK_VARIABLE
from runback.runs.tasks.task import Task
from runback.sweeping.trials.engines import fork_server
from runback.system.config.override_text import quoted

PARTS = ("sampler", "pruner")
"""Settings that are choices of a config group."""


@dataclass(frozen=True, eq=False)
class CellSource:
    """A task that is in no file: it travels to its trials by value."""

    task: Task
    file: None = None

    @property
    def words(self) -> list[str]:
        """None: no command can name it."""
        return []

    def load(self) -> Task:
        """Return the task."""
        return self.task

    def as_dict(self, _root: Path) -> dict[str, str]:
        """Return it as a run's record has it."""
        return {"cell": "", "name": self.task.name}


def sweep_cell(task: Task, arguments: Sequence[str]) -> None:
    """Run a sweep of a task by these overrides.

    The server that forks trials ends with it: the kernel lives on, and would give the next sweep's trials the
    modules and the environment of this one.
    """
    os.environ.pop(TASK_VARIABLE, None)
    try:
        script_command.run(CellSource(task), ["--multirun", *arguments], name="runback.sweep")
    finally:
        fork_server.kill()


def overrides(space: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """Return the overrides of a space and a sweep's settings. Errors: InputError for values of odd types."""
    searched = [f"{key}={_expression(value)}" for key, value in space.items()]
    chosen = [f"hydra/sweeper/{key}={value}" for key, value in settings.items() if key in PARTS]
    others = [f"hydra.sweeper.{key}={_value(value)}" for key, value in settings.items() if key not in PARTS]
    return [*searched, *chosen, *others]


def _expression(value: Any) -> str:
    """Return a part of a space in the override grammar."""
    value = _plain(value)
    if isinstance(value, str):
        return value
    if isinstance(value, set | frozenset):
        value = sorted(value, key=repr)  # another process would have them in another order
    if isinstance(value, range):
        return f"range({value.start}, {value.stop}, {value.step})"
    if isinstance(value, list | tuple):
        return f"choice({', '.join(map(_value, value))})"
    return _value(value)


def _plain(value: Any) -> Any:
    """Return an array of NumPy's as a list, one of its scalars as a number, a path as a text."""
    if isinstance(value, Path):
        return str(value)
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _value(value: Any) -> str:
    value = _plain(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if value is None or isinstance(value, bool | int | float | str):
        return quoted(value)
    raise InputError(
        "runback.sweep: values are numbers, texts, lists and dicts of them, or expressions as "
        f"'interval(0, 1)'; got a {type(value).__name__}"
    )
