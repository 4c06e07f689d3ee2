"""The MLflow run of a trial whose task records none itself: config, reports as a curve, values."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from runback.errors import RunbackError
from runback.sweeping.sweep_settings import SweeperSettings
from runback.system.config.flattening import flatten
from runback.system.config.written_config import written
from runback.tracking.layout import Layout, project_root
from runback.tracking.metric_names import best
from runback.tracking.objective_tags import objective_tags
from runback.tracking.tags import SWEEP_TAG, TASK_TAG

if TYPE_CHECKING:
    from runback.sweeping.trials.trial import TrialClient
    from runback.tracking.store import Store
    from runback.tracking.write.run_writer import RunWriter, Status

PRELOAD = (
    "mlflow.store.tracking.sqlalchemy_workspace_store",
    "sqlalchemy.dialects.sqlite",
    "runback.tracking.write.run_writer",
)
"""Modules whose import costs such a trial seconds."""

_logger = logging.getLogger(__name__)


class TrialRun:
    """A child of the sweep's run, which begins with the trial's first report, or with its end.

    A store that does not take it costs the trial nothing but that.
    """

    def __init__(self, client: "TrialClient", cfg: DictConfig) -> None:
        hydra = HydraConfig.get()
        sweeper = hydra.sweeper
        settings = SweeperSettings(objective=sweeper.objective, direction=sweeper.direction)
        self._client, self._cfg = client, cfg
        self._names = settings.objectives
        named = objective_tags(dict(zip(self._names, settings.directions, strict=False)))
        self._tags = {TASK_TAG: str(hydra.job.name), **named}
        self._experiment = str(sweeper.experiment)
        self._layout = Layout(project_root(Path(hydra.runtime.cwd)))  # a job may change its own folder
        self._run: RunWriter | None = None

    def report(self, value: float, step: int) -> None:
        """Log what the task has reported."""
        run = self._begun()
        if run is not None and len(self._names) == 1:
            run.log_epoch(step, {self._names[0]: value})

    def complete(self, values: Sequence[float]) -> None:
        """Log the objectives' values, and end the run."""
        run = self._begun()
        if run is not None:
            run.log_metrics({best(name): value for name, value in zip(self._names, values, strict=False)})
            run.finish("FINISHED")

    def end(self, status: "Status", reason: str) -> None:
        """End the run otherwise; one that has not begun does with this."""
        run = self._begun()
        if run is not None:
            run.finish(status, reason)

    def _begun(self) -> "RunWriter | None":
        if self._run is None:
            try:
                self._run = self._start()
            except RunbackError as error:
                _logger.warning("this trial gets no run: %s", error)
                self._client.run = None
        return self._run

    def _start(self) -> "RunWriter":
        from runback.tracking.store import open_store
        from runback.tracking.write.run_writer import start_run

        trial = self._client.trial
        store = open_store(self._layout, is_prepared=True)
        paused = self._paused(store)
        if paused is not None:
            return paused
        scalars = flatten(written(self._cfg).tree)
        layout = self._layout
        run = start_run(
            store,
            experiment=self._experiment,
            name=trial.label.name,
            folder=trial.folder,
            params={key: value for key, value in scalars if not isinstance(value, dict)},
            tags={
                SWEEP_TAG: trial.sweep,
                **trial.label.tags,
                **layout.folder_tags(trial.folder),
                **self._tags,
            },
            description="Its task records no run itself: these are its config, its reports and its values.",
            parent=trial.parent,
        )
        self._client.note_run(run.id)
        return run

    def _paused(self, store: "Store") -> "RunWriter | None":
        """Return the run that the trial has paused with, open again; None: it has none."""
        from runback.tracking.read.find_runs import is_scheduled
        from runback.tracking.write.run_writer import reopen_run

        run_id = self._client.trial.previous_run_id
        if not run_id or not is_scheduled(store, run_id):
            return None
        return reopen_run(store, run_id, self._client.trial.folder)
