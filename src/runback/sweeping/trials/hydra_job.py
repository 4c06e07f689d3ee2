"""One trial as one Hydra job: composed and frozen by the coordinator, run in the trial's process."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from hydra._internal.callbacks import Callbacks
from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import run_job, setup_globals
from hydra.plugins.config_source import ConfigResult
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from runback.sweeping.task import Task
from runback.sweeping.trials.worker import Job
from runback.system.config.written_config import keep_composed, unresolved, written


class _ReadOnce(ConfigRepository):
    """Config files as they were when they were first needed: each is read and parsed once a sweep.

    Hydra parses all of them again for every trial, which takes longer than all else of composing.
    """

    def __init__(self, repository: ConfigRepository) -> None:
        self.sources = repository.sources
        self._read: dict[str, ConfigResult | None] = {}

    def __deepcopy__(self, memo: object) -> Self:
        return copy.copy(self)  # Hydra copies the repository before each composition: what is read stays

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        super().initialize_sources(config_search_path)
        self._read = {}

    def load_config(self, config_path: str) -> ConfigResult | None:
        if config_path not in self._read:
            self._read[config_path] = super().load_config(config_path)
        return copy.deepcopy(self._read[config_path])


@dataclass(frozen=True)
class Composer:
    """Composes the config of each trial from the sweep's own."""

    loader: ConfigLoader
    reading_once: ConfigLoader
    config: DictConfig
    task: Task

    @classmethod
    def of(cls, loader: ConfigLoader, config: DictConfig, task: Task) -> Self:
        """Return a composer that reads each config file once."""
        reading_once = copy.copy(loader)
        reading_once.repository = _ReadOnce(loader.repository)  # type: ignore[attr-defined]
        return cls(loader, reading_once, config, task)

    @property
    def base(self) -> dict[str, str]:
        """The config that all trials have in common, before anything is searched: values by dotted key."""
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
        call = partial(_run, self.task.run, config, self.loader, Singleton.get_state())
        return Job.of(call, number=number, folder=folder, **facts)

    def preload(self, setting: Sequence[str]) -> tuple[str, ...]:
        """Return the modules to import before the first trial: the task's, then the setting's, each once."""
        return tuple(dict.fromkeys([*self.task.preload, *setting]))

    def warm_up(self, threads: int) -> Callable[[], None] | None:
        """Return the task's warm-up for trials with so many CPU threads, None where it has none."""
        warm_up = self.task.warm_up
        return None if warm_up is None else partial(warm_up, app_config(self.config), threads)

    def call_check(self, configs: Sequence[DictConfig], threads: int) -> Callable[[], Any] | None:
        """Return a call of the task's check on these configs, None where it has none."""
        check = self.task.check
        return (
            None if check is None else partial(_check, check, list(configs), threads, Singleton.get_state())
        )


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
    _enter(state)
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

    context = HydraContext(config_loader=loader, callbacks=Callbacks())
    run_job(
        task_function=task,
        config=config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
        hydra_context=context,
    )
    if raised:
        raise raised[0]
    return returned[0]


def _check(
    check: Callable[[DictConfig, int], None], configs: Sequence[DictConfig], threads: int, state: Any
) -> int:
    _enter(state)
    for config in configs:
        HydraConfig.instance().set_config(config)
        check(app_config(config), threads)
    return len(configs)


def _enter(state: Any) -> None:
    setup_globals()
    # Hydra would search for plugins again, in every trial; a forked process has them from its server.
    instances = {**state["instances"], Plugins: Plugins.instance()}
    Singleton.set_state({**state, "instances": instances})
