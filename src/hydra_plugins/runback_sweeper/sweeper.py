"""The class that Hydra instantiates for `hydra/sweeper=runback`; the work is done in `runback.sweeping`."""

from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.runback_sweeper.config import register
from runback.sweeping.hydra_internals import config_errors, report_in_one_line
from runback.sweeping.sweep_settings import SweeperSettings

register()
report_in_one_line()


class RunbackSweeper(Sweeper):
    """Hands what Hydra knows over to `runback.sweeping.optimize.sweep`."""

    def __init__(self, **settings: Any) -> None:
        self._settings = SweeperSettings(**settings)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep Hydra's context, task function and config until `sweep`."""
        self._context = hydra_context
        self._task_function = task_function
        self._config = config

    def sweep(self, arguments: list[str]) -> None:
        """Run the sweep; `arguments` are the command line's task overrides."""
        from runback.sweeping.hydra_task import HydraTask
        from runback.sweeping.optimize import sweep
        from runback.system.text.lasting_output import lasting_output
        from runback.tracking.layout import Layout, project_root

        with lasting_output(), config_errors():
            sweep(
                self._settings,
                loader=self._context.config_loader,
                task=HydraTask.of(self._task_function),
                config=self._config,
                arguments=arguments,
                layout=None if self._settings.experiment is None else Layout(project_root()),
            )
