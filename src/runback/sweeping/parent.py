"""The sweep's own run in MLflow: the parent of its trials' runs."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import Study

from runback.sweeping import messages
from runback.sweeping.settings import SweeperSettings
from runback.sweeping.space import Space
from runback.sweeping.study import best_trials, finished_count

_RUN_ID = "runback:parent_run"


class ParentRun:
    """Observes a sweep for MLflow; does nothing where the sweep is not tracked.

    It also closes the runs of trials whose process died before it could, and delivers what trials could not.
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

        store = open_store(Layout(project_root()))
        known = study.user_attrs.get(_RUN_ID)
        if known is not None:
            return cls(study, sweep, _tracked(store, reopen_run(store, known, folder), folder))
        run = start_run(
            store,
            experiment=settings.experiment,
            name=sweep,
            folder=folder,
            params=_params(settings, space),
            tags={"runback.sweep": sweep, "runback.kind": "sweep"},
            description=f"Sweep **{sweep}**: every trial is a child run.",
        )
        study.set_user_attr(_RUN_ID, run.id)
        return cls(study, sweep, _tracked(store, run, folder))

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Keep the run's status true, however the sweep ends; say what could not be delivered."""
        if self._tracked is None:
            yield
            return
        from runback.tracking.outbox import say_what_waits
        from runback.tracking.run import recording

        try:
            with recording(self._tracked.run):
                try:
                    yield
                finally:
                    self._tracked.finish()
        finally:
            say_what_waits([self._tracked.folder, *self._tracked.folder.iterdir()])

    def asked(self, number: int, params: dict[str, Any]) -> None:
        """Leave its folder to the trial, which starts its run, or goes on with it."""
        if self._tracked is not None:
            self._tracked.rounds.forget(self._tracked.trial(number))

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
            ended = ("FINISHED", None) if is_done else ("KILLED", "pruned")
            self._tracked.close_trial(self._sweep, number, self._run_id(number), *ended)

    def ended(self, number: int, outcome: messages.Outcome) -> None:
        """Log the best value so far; close the run of a trial that could not do so itself."""
        if isinstance(outcome, messages.Failed):
            return self._failed(number, outcome)
        if self._tracked is None:
            return None
        self._tracked.rounds.deliver([self._tracked.trial(number)])
        if isinstance(outcome, messages.Completed) and len(self._study.directions) == 1:
            value = best_trials(self._study, 1)[0].value
            self._tracked.run.log_metrics(
                {"best_objective": float(value or 0)}, step=finished_count(self._study)
            )

        return None

    def _failed(self, number: int, failure: messages.Failed) -> None:
        if self._tracked is not None:
            kind = None if failure.kind == "stopped" else failure.kind
            self._tracked.close_trial(
                self._sweep, number, self._run_id(number), "FAILED", failure.reason, kind
            )

    def _run_id(self, number: int) -> str | None:
        run_id = self._study.get_trials(deepcopy=False)[number].user_attrs.get("run_id")
        return None if run_id is None else str(run_id)


@dataclass(frozen=True)
class _Tracked:
    run: Any
    rounds: Any
    folder: Path

    def trial(self, number: int) -> Path:
        return self.folder / str(number)

    def close_trial(
        self,
        sweep: str,
        number: int,
        run_id: str | None,
        status: Any,
        reason: str | None,
        failure: str | None = None,
    ) -> None:
        from runback.tracking.rounds import Closing

        tags = {"runback.sweep": sweep, "runback.trial": str(number), "mlflow.parentRunId": self.run.id}
        self.rounds.close(self.trial(number), run_id, Closing(tags, status, reason, failure))

    def finish(self) -> None:
        self.rounds.deliver(self.folder.iterdir())
        self.rounds.finish()


def _tracked(store: Any, run: Any, folder: Path) -> _Tracked:
    """Begin with what an earlier coordinator, or its trials, could not deliver."""
    from runback.tracking.rounds import Rounds

    tracked = _Tracked(run, Rounds(store), folder)
    tracked.rounds.deliver(folder.iterdir())
    return tracked


def _params(settings: SweeperSettings, space: Space) -> dict[str, object]:
    space_params = {f"space.{name}": _text(d) for name, d in space.distributions.items()}
    return {
        "sweep.sampler": settings.sampler["_target_"].split(".")[-1],
        "sweep.pruner": settings.pruner["_target_"].split(".")[-1] if settings.pruner else "none",
        "sweep.n_trials": settings.n_trials,
        "sweep.direction": ",".join(settings.directions),
        "sweep.seed": settings.seed,
        **space_params,
    }


def _text(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return ", ".join(str(choice) for choice in distribution.choices)
    if isinstance(distribution, IntDistribution | FloatDistribution):
        log = ", log" if distribution.log else ""
        return f"{distribution.low} to {distribution.high}{log}"
    return str(distribution)
