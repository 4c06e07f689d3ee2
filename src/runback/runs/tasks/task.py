"""`runback.task`: makes a function a task, which can be started, swept and reproduced by its name."""

import ast
import functools
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

from runback.errors import InputError
from runback.runs.objectives import DIRECTIONS, directed, higher_is_better
from runback.runs.tasks.parameters import Parameters

REFERENCE = re.compile(r"\$\{([\w.]+)\}")
"""An objective that a parameter names."""


@dataclass(frozen=True)
class TaskOptions:
    """What a task can say of itself besides its parameters; see `task`."""

    check: bool = False
    warm_up: Callable[..., None] | None = None
    preload: tuple[str, ...] = ()
    resolve: Callable[[Any, Path], Any] | None = None
    immaterial: tuple[str, ...] = ()
    named_by: tuple[str, ...] = ()
    run: Mapping[str, str] = field(default_factory=dict)


class Task:
    """A function of a run and keyword parameters; called, it is that function."""

    def __init__(
        self,
        function: Callable[..., Any],
        objective: Sequence[str] = (),
        direction: Sequence[str] = (),
        options: "TaskOptions | None" = None,
    ) -> None:
        if not callable(function):
            raise InputError(
                f"@runback.task stands above a function; got {function!r:.100}: write objective=… for a "
                "metric's name, as @runback.task(objective='val_loss')"
            )
        functools.update_wrapper(self, function)
        self.function = function
        self.options = options or TaskOptions()
        self._given = (objective, direction)

    @functools.cached_property
    def parameters(self) -> Parameters:
        """Its parameters. Errors: InputError for a function that is no task's."""
        return Parameters.of(self.function)

    @functools.cached_property
    def objectives(self) -> dict[str, str]:
        """The metrics that it returns, and the better direction of each; empty where no name is known.

        Errors: InputError for a function that returns nothing, or several metrics at several places, and for
        directions that do not fit.
        """
        _ = self.parameters
        returned = _returned(self.function)
        if returned is not None and not returned:
            raise InputError(
                f"task {self.name} returns nothing: it must return its objective's value, as in "
                "return run.best('val_loss')"
            )
        names, given = self._given
        if any(REFERENCE.fullmatch(name) for name in names):
            if len(names) != len(given):
                raise InputError(
                    f"task {self.name}: an objective that refers to a parameter needs its direction: "
                    f"direction='maximize' for each of {', '.join(names)}"
                )
            return dict(zip(names, given, strict=True))
        if names or given:
            return directed(names, given, f"task {self.name}")
        found = [_bests(one) for one in returned or []]
        named = [one for one in found if one]
        if any(one != named[0] for one in named):
            raise InputError(
                f"task {self.name} returns several things: name its objective, as in "
                "@runback.task(objective='val_loss')"
            )
        return {name: DIRECTIONS[mode] for name, mode in found[-1].items()} if found else {}

    def objectives_in(self, config: Mapping[str, Any]) -> dict[str, str]:
        """Return the objectives of a run with this config, and the better direction of each. InputError."""
        found: dict[str, str] = {}
        for name, direction in self.objectives.items():
            what = f"task {self.name}"
            found |= directed(_named(config, name, what), _named(config, direction, what), what)
        return found

    @property
    def name(self) -> str:
        """The function's name."""
        return str(getattr(self.function, "__name__", "task"))

    @property
    def module(self) -> str:
        """The name of the function's module."""
        return str(getattr(self.function, "__module__", "__main__"))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self.function(*args, **kwargs)

    def main(self, argv: Sequence[str] | None = None) -> None:
        """Run the command line `python train.py KEY=VALUE…`, and end the process with its exit code.

        `--multirun` sweeps over overrides with several values, `--help` and `--cfg job` show the parameters.
        """
        from runback.runs.tasks.script_command import main

        sys.exit(main(self, sys.argv[1:] if argv is None else list(argv)))


@overload
def task(function: Callable[..., Any], /) -> Task: ...


@overload
def task(
    *,
    objective: str | Sequence[str] | None = None,
    direction: str | Sequence[str] | None = None,
    **options: Any,
) -> Callable[[Callable[..., Any]], Task]: ...


def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    objective: str | Sequence[str] | None = None,
    direction: str | Sequence[str] | None = None,
    **options: Any,
) -> Task | Callable[[Callable[..., Any]], Task]:
    """Make a function a task.

    Its first parameter is the run, a `runback.Run`; the others are keyword parameters with types: its config.
    It returns its objective's value. `objective` names the metric that this is the best or the last value of,
    which a sweep's pruner watches, and `direction` (maximize or minimize) the better one: by default those of
    `return run.best('val_loss')`, else none and what the name says. Sequences name several objectives.
    They may be references to parameters: "${metric}".

    Other options: `check=True` has a sweep call the function, up to its first epoch, on the corners of its
    space before its first trial; `warm_up`, a function like the task's, does ahead what takes a process long
    the first time; `preload` names modules that are imported once for all trials; `resolve` is called with
    the composed config and the project's folder, and returns the config that is used and recorded;
    `immaterial` are keys that change nothing of the result; `named_by` are config groups whose choices name a
    single run, in the place of the task's name; `run` gives run.seed, run.threads and
    run.experiment as references to parameters, as {"seed": "${seed}"}.

    What is wrong with a function is said when it is first used as a task.
    """
    if function is not None:
        return Task(function)
    names = [objective] if isinstance(objective, str) else list(objective or ())
    given = [direction] if isinstance(direction, str) else list(direction or ())
    return lambda made: Task(made, names, given, TaskOptions(**options))


def _named(config: Mapping[str, Any], text: str, what: str) -> list[str]:
    """Return the names that a text stands for: its own, or what the key has that it refers to.

    Errors: InputError, which `what` opens, for a key that the config has not.
    """
    reference = REFERENCE.fullmatch(text)
    value: Any = text
    if reference is not None:
        value = config
        for name in reference[1].split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise InputError(
            f"{what}: {text} must refer to a parameter with a name, or several; got {value!r:.100}"
        )
    return names


def _returned(function: Callable[..., Any]) -> list[ast.expr] | None:
    """Return what a function's return statements return; None where its source cannot be read."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None
    definition = tree.body[0] if tree.body else None
    if not isinstance(definition, ast.FunctionDef):
        return None
    return [one.value for one in _statements(definition) if one.value is not None and not _is_none(one.value)]


def _statements(node: ast.AST) -> list[ast.Return]:
    """Return a function's own return statements, without those of functions within it."""
    found = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Return):
            found.append(child)
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            found += _statements(child)
    return found


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _bests(returned: ast.expr) -> dict[str, str]:
    """Return the metrics, and the mode of each, where what is returned is `run.best` of them."""
    parts = returned.elts if isinstance(returned, ast.Tuple) else [returned]
    found = [_best(part) for part in parts]
    return {} if None in found else dict(one for one in found if one is not None)


def _best(call: ast.expr) -> tuple[str, str] | None:
    """Return metric and mode of `run.best("val_loss", "min")`; None for anything else."""
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "best"):
        return None
    given = [*call.args, *(word.value for word in call.keywords if word.arg in ("metric", "mode"))]
    texts = [one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    if not texts or len(texts) != len(given) or texts[1:] not in ([], ["max"], ["min"]):
        return None
    return texts[0], texts[1] if len(texts) > 1 else ("max" if higher_is_better(texts[0]) else "min")
