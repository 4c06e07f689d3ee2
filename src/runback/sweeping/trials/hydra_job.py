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

from runback.errors import InputError, TrialPaused, TrialPruned
from runback.sweeping.hydra_internals import RAISES, enter_state, global_state, reading_once, run_trial_job
from runback.sweeping.hydra_task import HydraTask
from runback.sweeping.study.objective_value import values
from runback.sweeping.trials import trial as trials
from runback.system.config.flattening import flatten
from runback.system.config.written_config import keep_composed, unresolved, written


@dataclass(frozen=True)
class Composer:
    """Composes the config of each trial from the sweep's own."""

    loader: ConfigLoader
    reading_once: ConfigLoader
    config: DictConfig
    task: HydraTask

    @classmethod
    def of(cls, loader: ConfigLoader, config: DictConfig, task: HydraTask) -> Self:
        """Return a composer that reads each config file once."""
        return cls(loader, reading_once(loader), config, task)

    @property
    def base(self) -> dict[str, str]:
        """The config that all trials have in common, before anything is searched: values by dotted key."""
        return {key: str(value) for key, value in flatten(unresolved(app_config(self.config)))}

    @property
    def groups(self) -> frozenset[str]:
        """The names of the config groups that the app's config is composed from."""
        return frozenset(str(group) for group in self.config.hydra.runtime.choices)

    def compose(self, number: int, overrides: Sequence[str], within: str | None = None) -> DictConfig:
        """Return trial `number`'s config. Errors: Hydra's own for what it does not accept; InputError.

        It writes into the folder `within` the sweep's, by default as the app's config says.
        """
        try:
            composed = self.reading_once.load_sweep_config(self.config, list(overrides))
        except RAISES as error:
            reason = str(error) or type(error).__name__
            raise InputError(f"cannot compose {', '.join(overrides)}: {reason.splitlines()[0]}") from error
        with open_dict(composed):
            composed.hydra.job.id = str(number)
            composed.hydra.job.num = number
            composed.hydra.output_subdir = None  # what it would write has secrets in it: `_run` writes it
            if within is not None:
                composed.hydra.sweep.subdir = within
        return composed

    def call_task(self, config: DictConfig) -> Callable[[], Any]:
        """Return a function that runs the task on a trial's config, with its log and HydraConfig."""
        return partial(_run, self.task.run, config, self.loader, global_state())

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
        return None if check is None else partial(_check, check, list(configs), threads, global_state())


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
            returned.append(_recorded(task_function, cfg))
        except Exception as error:
            raised.append(error)

    run_trial_job(task, config, loader)
    if raised:
        raise raised[0]
    return returned[0]


def _recorded(task_function: TaskFunction, cfg: DictConfig) -> Any:
    """Call a task, and record its trial as a run of a tracked sweep where it does not do that itself."""
    client = trials.current()
    if client is None or client.trial.parent is None:
        return task_function(cfg)
    from runback.sweeping.trial_run import TrialRun

    client.run = TrialRun(client, cfg)
    try:
        returned = task_function(cfg)
    except TrialPruned:
        if client.run is not None:
            client.run.end("KILLED", "pruned")
        raise
    except TrialPaused:
        if client.run is not None:
            client.run.end("SCHEDULED", "paused")
        raise
    if client.run is not None:
        client.run.complete(values(returned))
    return returned


def _check(
    check: Callable[[DictConfig, int], None], configs: Sequence[DictConfig], threads: int, state: Any
) -> int:
    enter_state(state)
    for config in configs:
        HydraConfig.instance().set_config(config)
        check(app_config(config), threads)
    return len(configs)
