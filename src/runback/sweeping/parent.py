"""The sweep's own run in MLflow: the parent of its trials' runs."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.study import Study

from runback.errors import StoreError
from runback.sweeping import messages
from runback.sweeping.settings import SweeperSettings
from runback.sweeping.space import Space, described
from runback.sweeping.study import best_trials, finished_count

EXTENDED_TAG = "runback.extended"
"""The tag with the search space as it is since its ranges became wider."""

PARENT_RUN = "runback:parent_run"
"""The study's attribute with the ID of the sweep's run."""


class ParentRun:
    """Observes a sweep for MLflow; does nothing where the sweep is not tracked.

    It also closes the runs of trials whose process died before it could.
    """

    def __init__(self, study: Study, sweep: str, tracked: "_Tracked | None") -> None:
        self._study = study
        self._sweep = sweep
        self._tracked = tracked

    @property
    def id(self) -> str | None:
        """The run's ID; None where the sweep is not tracked."""
        return None if self._tracked is None else self._tracked.run.id

    @classmethod
    def open(
        cls, study: Study, sweep: str, settings: SweeperSettings, space: Space, folder: Path
    ) -> "ParentRun":
        """Start the sweep's run, or take it up again. Errors: StoreError."""
        if settings.experiment is None:
            return cls(study, sweep, None)
        from runback.tracking.layout import Layout, project_root
        from runback.tracking.run import reopen_run, start_run
        from runback.tracking.store import open_store

        layout = Layout(project_root())
        store = open_store(layout)
        known = study.user_attrs.get(PARENT_RUN)
        if known is not None:
            run = reopen_run(store, known, folder)
            if settings.extend:  # params never change in MLflow
                run.set_tags({EXTENDED_TAG: "; ".join(f"{k}: {v}" for k, v in _space(space).items())})
            return cls(study, sweep, _Tracked(store, run))
        run = start_run(
            store,
            experiment=settings.experiment,
            name=sweep,
            folder=folder,
            params=_params(settings, space),
            tags={"runback.sweep": sweep, "runback.kind": "sweep", **layout.folder_tags(folder)},
            description=f"Sweep **{sweep}**: every trial is a child run.",
        )
        study.set_user_attr(PARENT_RUN, run.id)
        return cls(study, sweep, _Tracked(store, run))

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Keep the run's status true, however the sweep ends."""
        if self._tracked is None:
            yield
            return
        from runback.tracking.run import recording

        with recording(self._tracked.run):
            yield

    def asked(self, number: int, params: dict[str, Any]) -> None:
        """Do nothing: a trial's run is started by the trial."""

    def reported(self, number: int, step: int, value: float) -> None:
        """Do nothing: curves are the trial's own."""

    def idle(self) -> None:
        """Do nothing."""

    def put_back(self, number: int, failure: messages.Failed) -> None:
        """Close the run of a trial that could not do so itself."""
        self._failed(number, failure)

    def recovered(self, number: int, outcome: messages.Outcome) -> None:
        """Close the run of a trial that had ended, and could not close it any more."""
        if self._tracked is not None:
            is_done = isinstance(outcome, messages.Completed)
            self._tracked.close_trial(
                self._sweep, number, "FINISHED" if is_done else "KILLED", None if is_done else "pruned"
            )

    def ended(self, number: int, outcome: messages.Outcome) -> None:
        """Log the best value so far; close the run of a trial that could not do so itself."""
        if isinstance(outcome, messages.Failed):
            self._failed(number, outcome)
        elif self._tracked is None:
            return
        elif isinstance(outcome, messages.Completed) and len(self._study.directions) == 1:
            value = best_trials(self._study, 1)[0].value
            self._tracked.run.log_metrics(
                {"best_objective": float(value or 0)}, step=finished_count(self._study)
            )

    def _failed(self, number: int, failure: messages.Failed) -> None:
        if self._tracked is None:
            return
        self._tracked.close_trial(self._sweep, number, "FAILED", failure.reason)
        run_id = self._study.get_trials(deepcopy=False)[number].user_attrs.get("run_id")
        if run_id is not None and failure.kind != "stopped":
            self._tracked.tag_failure(run_id, failure.kind)


@dataclass(frozen=True)
class _Tracked:
    store: Any
    run: Any

    def tag_failure(self, run_id: str, kind: str) -> None:
        from runback.tracking.run import FAILURE_TAG, Run

        with contextlib.suppress(StoreError):
            Run(self.store, run_id).set_tags({FAILURE_TAG: kind})

    def close_trial(self, sweep: str, number: int, status: Any, reason: str | None) -> None:
        from runback.tracking.find import close_runs

        tags = {"runback.sweep": sweep, "runback.trial": str(number), "mlflow.parentRunId": self.run.id}
        with contextlib.suppress(StoreError):  # a store that is away does not end the sweep
            close_runs(self.store, tags=tags, status=status, reason=reason)


def _params(settings: SweeperSettings, space: Space) -> dict[str, object]:
    return {
        "sweep.sampler": settings.sampler["_target_"].split(".")[-1],
        "sweep.pruner": settings.pruner["_target_"].split(".")[-1] if settings.pruner else "none",
        "sweep.n_trials": settings.n_trials,
        "sweep.direction": ",".join(settings.directions),
        "sweep.seed": settings.seed,
        **{f"space.{name}": axis for name, axis in _space(space).items()},
    }


def _space(space: Space) -> dict[str, str]:
    return {name: described(distribution) for name, distribution in space.distributions.items()}
