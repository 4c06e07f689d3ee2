"""A task: a training that Hydra and the sweeper start, and what a sweep can do around it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from hydra.types import TaskFunction
from omegaconf import DictConfig

TASK_VARIABLE = "RUNBACK_TASK"
"""The environment variable that names the task of a script that is swept: `SCRIPT or MODULE:NAME`."""

CheckParts = Callable[[DictConfig, str, tuple[str, ...] | None], None]
"""Raises InputError for a config, named by the text, whose parts the modules declared cannot build."""


@dataclass(frozen=True)
class HydraTask:
    """A function of a composed config, and what is known about it.

    Hydra's decorator takes it as it takes a function, which is a task of which only that is known:

        app = HydraTask(train, preload=("torch",))
        hydra.main(version_base=None, config_path=".", config_name="app")(app)()
    """

    run: TaskFunction
    """Trains, and returns the objective's value, or the values of several."""
    check: Callable[[DictConfig, int], None] | None = None
    """Raises InputError for a config, and a number of CPU threads, that `run` would refuse, without training.

    A sweep calls it on the corners of its search space before its first trial, in a trial's process. The
    notices of its `TrialClient` are printed once all have passed, each once.
    """
    warm_up: Callable[[DictConfig, int], None] | None = None
    """Does ahead what takes long the first time, in a process that waits for its trial.

    It gets the sweep's config, before anything is searched, and the number of a trial's CPU threads.
    """
    preload: tuple[str, ...] = ()
    """The modules that are imported once, before the first trial, by the server that forks trials."""
    check_parts: CheckParts | None = None
    """Looks at the config of somebody else's run before that is trained again."""
    command: tuple[str, ...] | None = None
    """The words that its command line begins with, before the overrides; none: no command can name it; None:
    those of the program that this process is."""
    place: Mapping[str, str] | None = None
    """Where it is in its project, as a run's record has it; None: in a program of its own."""
    is_evaluated: bool = False
    """Whether `runback evaluate` measures its runs, and `runback train --config` takes their configs."""
    single: TaskFunction | None = None
    """Called in the place of `run` where Hydra itself runs the task, outside a sweep's trials."""

    @classmethod
    def of(cls, function: TaskFunction) -> Self:
        """Return what Hydra was given as a task."""
        return function if isinstance(function, cls) else cls(function)

    def __call__(self, cfg: DictConfig) -> Any:
        """Run it as Hydra does."""
        return (self.single or self.run)(cfg)

    @property
    def __wrapped__(self) -> TaskFunction:
        """The function by whose module Hydra names the app, and finds its config."""
        return self.run
