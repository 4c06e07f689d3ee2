"""One trial as one Hydra job: composed and frozen by the coordinator, run in the trial's process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.types import TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from runback.sweeping.hydra_internals import enter_state, global_state, reading_once, run_trial_job
from runback.sweeping.trials.worker import Job
from runback.system.config.written_config import keep_composed, unresolved, written


@dataclass(frozen=True)
class Composer:
    """Composes the config of each trial from the sweep's own."""

    loader: ConfigLoader
    reading_once: ConfigLoader
    config: DictConfig
    task_function: TaskFunction

    @classmethod
    def of(cls, loader: ConfigLoader, config: DictConfig, task_function: TaskFunction) -> Self:
        """Return a composer that reads each config file once."""
        return cls(loader, reading_once(loader), config, task_function)

    @property
    def base(self) -> dict[str, str]:
        """The config that all trials share: each of the app's keys, as text, before anything is searched."""
        return _flat(unresolved(app_config(self.config)))

    @property
    def groups(self) -> frozenset[str]:
        """The names of the config groups that the app's config is composed from."""
        return frozenset(str(group) for group in self.config.hydra.runtime.choices)

    def compose(self, number: int, overrides: Sequence[str], within: str | None = None) -> DictConfig:
        """Return trial `number`'s config. Errors: Hydra's own, for a key or value it does not accept.

        It writes into the folder `within` the sweep's, by default as the app's config says.
        """
        composed = self.reading_once.load_sweep_config(self.config, list(overrides))
        with open_dict(composed):
            composed.hydra.job.id = str(number)
            composed.hydra.job.num = number
            composed.hydra.output_subdir = None  # what it would write has secrets in it: `_run` writes it
            if within is not None:
                composed.hydra.sweep.subdir = within
        return composed

    def job(self, number: int, overrides: Sequence[str], within: str | None = None, **facts: Any) -> Job:
        """Return what runs the task as trial `number`, with its folder, log and HydraConfig. As `compose`."""
        config = self.compose(number, overrides, within)
        folder = Path(config.hydra.sweep.dir).absolute() / str(config.hydra.sweep.subdir)
        call = partial(_run, self.task_function, config, self.loader, global_state())
        return Job.of(call, number=number, folder=folder, **facts)

    def preload(self, setting: Sequence[str]) -> tuple[str, ...]:
        """Return the modules to import before the first trial: the app's, then the setting's, each once.

        An app declares its own as an attribute of its task function: `task.preload = ("keras",)`.
        """
        return tuple(dict.fromkeys([*getattr(self.task_function, "preload", ()), *setting]))

    def warm_up(self, threads: int) -> Callable[[], None] | None:
        """Return what a process does before it has a trial, if the app has something to do.

        An app declares its own as an attribute of its task function: `task.warm_up = warm_up`. It gets the
        sweep's config, before anything is searched, and the number of a trial's threads.
        """
        app = getattr(self.task_function, "warm_up", None)
        return None if app is None else partial(app, app_config(self.config), threads)

    def call_check(self, configs: Sequence[DictConfig]) -> Callable[[], Any] | None:
        """Return a function that runs the app's own check on these configs, if it has one.

        An app declares it as an attribute of its task function: `task.check = check`.
        """
        check = getattr(self.task_function, "check", None)
        return None if check is None else partial(_check, check, list(configs), global_state())


def _flat(value: Any, key: str = "") -> dict[str, str]:
    """Return the values of nested config by their dotted keys, as texts."""
    if isinstance(value, dict) and value:
        parts = [_flat(inner, f"{key}.{name}" if key else str(name)) for name, inner in value.items()]
        return {name: text for part in parts for name, text in part.items()}
    return {key: str(value)}


def app_config(config: DictConfig) -> DictConfig:
    """Return the app's own part of a config: all but Hydra's."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def _run(task_function: TaskFunction, config: DictConfig, loader: ConfigLoader, state: Any) -> Any:
    enter_state(state)
    returned: list[Any] = []
    raised: list[Exception] = []

    def task(cfg: DictConfig) -> None:
        try:
            written(cfg)  # its secrets are known from here on
            hydra = HydraConfig.get()
            keep_composed(OmegaConf.merge({"hydra": hydra}, cfg), Path(hydra.runtime.output_dir))  # type: ignore[arg-type]
            returned.append(task_function(cfg))
        except Exception as error:
            raised.append(error)

    run_trial_job(task, config, loader)
    if raised:
        raise raised[0]
    return returned[0]


def _check(check: Callable[[DictConfig], None], configs: Sequence[DictConfig], state: Any) -> int:
    enter_state(state)
    for config in configs:
        HydraConfig.instance().set_config(config)
        check(app_config(config))
    return len(configs)
