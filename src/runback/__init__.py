"""Experiment tracking and hyperparameter sweeps for trainings that can be run back, bit for bit."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runback import errors
    from runback.cli.notebook import Sweep, load, load_model, sweep
    from runback.runs.live.run import Run
    from runback.runs.started.start import start
    from runback.runs.tasks.task import task
    from runback.sweeping.trials.trial import report

_FACE = {
    "Run": "runback.runs.live.run",
    "Sweep": "runback.cli.notebook",
    "load": "runback.cli.notebook",
    "load_model": "runback.cli.notebook",
    "report": "runback.sweeping.trials.trial",
    "start": "runback.runs.started.start",
    "sweep": "runback.cli.notebook",
    "task": "runback.runs.tasks.task",
}

__all__ = [
    "Run",
    "Sweep",
    "__version__",
    "errors",
    "load",
    "load_model",
    "report",
    "start",
    "sweep",
    "task",
]

__version__: str


def __getattr__(name: str) -> Any:
    """Import what a script or a notebook uses when it is first used: commands start without it."""
    if name in ("errors", "keras"):
        return importlib.import_module(f"runback.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("runback")
    if name not in _FACE:
        raise AttributeError(f"module 'runback' has no attribute {name!r}")
    return getattr(importlib.import_module(_FACE[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "keras"])
