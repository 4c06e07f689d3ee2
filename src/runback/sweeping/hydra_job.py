"""One trial as one Hydra job: composed and frozen by the coordinator, run in the trial's process."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict


@dataclass(frozen=True)
class Composer:
    """Composes the config of each trial from the sweep's own."""

    loader: ConfigLoader
    config: DictConfig
    task_function: TaskFunction

    @property
    def base(self) -> str:
        """What all trials have in common, as a fingerprint: the app's config before anything is searched."""
        app = OmegaConf.masked_copy(self.config, [str(key) for key in self.config if key != "hydra"])
        return hashlib.sha256(OmegaConf.to_yaml(app).encode()).hexdigest()

    def compose(self, number: int, overrides: Sequence[str]) -> DictConfig:
        """Return trial `number`'s config. Errors: Hydra's own, for a key or value it does not accept."""
        composed = self.loader.load_sweep_config(self.config, list(overrides))
        with open_dict(composed):
            composed.hydra.job.id = str(number)
            composed.hydra.job.num = number
        return composed

    def call(self, config: DictConfig) -> Callable[[], Any]:
        """Return a function that runs the task with this config, with its folder, log and HydraConfig."""
        return partial(_run, self.task_function, config, self.loader, Singleton.get_state())

    def call_check(self, configs: Sequence[DictConfig]) -> Callable[[], Any] | None:
        """Return a function that runs the app's own check on these configs, if it has one.

        An app declares it as an attribute of its task function: `task.check = check`.
        """
        check = getattr(self.task_function, "check", None)
        return None if check is None else partial(_check, check, list(configs), Singleton.get_state())


def folder(config: DictConfig) -> Path:
    """Return the folder of the trial with this config."""
    return Path(config.hydra.sweep.dir).absolute() / str(config.hydra.sweep.subdir)


def _run(task_function: TaskFunction, config: DictConfig, loader: ConfigLoader, state: Any) -> Any:
    _enter(state)
    returned: list[Any] = []
    raised: list[Exception] = []

    def task(cfg: DictConfig) -> None:
        try:
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


def _check(check: Callable[[DictConfig], None], configs: Sequence[DictConfig], state: Any) -> int:
    _enter(state)
    for config in configs:
        HydraConfig.instance().set_config(config)
        task_config = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        check(task_config)
    return len(configs)


def _enter(state: Any) -> None:
    setup_globals()
    Singleton.set_state(state)
