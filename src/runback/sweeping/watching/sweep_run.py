"""The sweep's own run in MLflow: the parent of its trials' runs."""

import contextlib
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from runback.errors import InputError, RunbackError, StoreError
from runback.sweeping.shared.study_pointer import read_pointer
from runback.sweeping.space.search_space import Space
from runback.sweeping.study import states
from runback.sweeping.study.attributes import PARENT_RUN, PARENT_RUNS, PAUSED_AT, RUN_ID
from runback.sweeping.study.study_store import (
    TrialEntry,
    best_trials,
    find_confirm_study,
    finished_count,
)
from runback.sweeping.study.trial_label import Label, confirm_label, trial_label
from runback.sweeping.sweep_settings import SweeperSettings
from runback.sweeping.trials import messages
from runback.sweeping.trials.events import (
    PartEnded,
    SweepEvent,
    TrialEnded,
    TrialRecovered,
    TrialRequeued,
    TrialStarted,
    TrialTakenOver,
)
from runback.sweeping.trials.failures import REQUESTED
from runback.system.files.folder_lock import alone_in, is_held
from runback.system.text.escape import for_markdown
from runback.tracking.artifact_names import TRACEBACK
from runback.tracking.metric_names import BEST_EPOCH, best
from runback.tracking.mlflow_limits import metric_name
from runback.tracking.tags import EXTENDED_TAG, FAILURE_TAG, KIND_TAG, REASON_TAG, SWEEP_TAG

if TYPE_CHECKING:
    from runback.tracking.layout import Layout
    from runback.tracking.write.run_writer import RunWriter, Status
    from runback.tracking.write.saved_view import SavedView

_logger = logging.getLogger(__name__)

ENDED_STATES = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
"""The states of trials that have ended for good."""

LEAVING = 10.0
"""Seconds that a process of an ended trial gets to end its run and be gone."""


class SweepRun:
    """Observes a sweep for MLflow; does nothing where the sweep is not tracked.

    It also closes the runs of trials whose process died before it could, and delivers what trials could not.
    """

    def __init__(
        self,
        study: Study,
        sweep: str,
        tracked: "_Tracked | None",
        label: Callable[[FrozenTrial], Label] | None = None,
    ) -> None:
        """`label` names a trial of `study`; None: it is the search's own study."""
        self._study = study
        self._sweep = sweep
        self._tracked = tracked
        self._is_search = label is None
        self._label = label or trial_label

    def of_confirm(self, study: Study) -> "SweepRun":
        """Return the observer of the sweep's confirm stage, whose study this is."""
        return SweepRun(study, self._sweep, self._tracked, confirm_label)

    @property
    def id(self) -> str | None:
        """The run's ID; None where the sweep is not tracked."""
        return None if self.run is None else self.run.id

    @property
    def run(self) -> "RunWriter | None":
        """The run; None where the sweep is not tracked."""
        return None if self._tracked is None else self._tracked.run

    def flush(self) -> None:
        """Wait a little until all that trials have recorded is in the store."""
        if self._tracked is not None:
            self._tracked.deliver()
            self._tracked.dead_runs.flush()

    @classmethod
    def open(
        cls,
        study: Study,
        sweep: str,
        settings: SweeperSettings,
        space: Space,
        folder: Path,
        groups: Collection[str],
        layout: "Layout | None",
        own_folder: Path | None = None,
    ) -> "SweepRun":
        """Start the sweep's run in the project of `layout`, or take it up again. Errors: StoreError.

        `folder` is the sweep's; what is logged waits in `own_folder`, or there, until the store has it.
        `groups` are the app's config groups: a run's param with the choice of one ends in `.name`.
        """
        if settings.experiment is None or layout is None:
            return cls(study, sweep, None)
        from runback.tracking.store import find_experiment, open_store
        from runback.tracking.write.run_writer import reopen_run, start_run
        from runback.tracking.write.saved_view import save_view

        store = open_store(layout)
        is_shared = read_pointer(folder) is not None
        own_folder = own_folder or folder
        run_id = _run_in(store, study) if is_shared else study.user_attrs.get(PARENT_RUN)
        if run_id is not None:
            run = reopen_run(store, run_id, own_folder)
            if settings.extend:  # params never change in MLflow
                run.set_tags({EXTENDED_TAG: "; ".join(f"{k}: {v}" for k, v in _space(space).items())})
            return cls(study, sweep, _tracked(store, run, settings.experiment, folder, is_shared))
        find_experiment(store, settings.experiment, "hydra.sweeper.experiment")
        run = start_run(
            store,
            experiment=settings.experiment,
            name=sweep,
            folder=own_folder,
            params=_params(settings, space),
            tags={SWEEP_TAG: sweep, KIND_TAG: "sweep", **layout.folder_tags(folder)},
            description=f"Sweep **{for_markdown(sweep)}**: every trial is a child run.",
        )
        if is_shared and PARENT_RUN in study.user_attrs:  # in the store of another machine
            study.set_user_attr(PARENT_RUNS, [*study.user_attrs.get(PARENT_RUNS, []), run.id])
        else:
            study.set_user_attr(PARENT_RUN, run.id)
        with contextlib.suppress(StoreError):
            save_view(store, settings.experiment, f"runback-{sweep}", _view(sweep, settings, space, groups))
        return cls(study, sweep, _tracked(store, run, settings.experiment, folder, is_shared))

    def close_ended(self) -> bool:
        """Write what observing would have written, where trials' processes or the coordinator were killed.

        The runs of trials that have ended are ended, by what the studies of the search and of its confirm
        stage have, and the best value is logged. Return whether all of that was possible.
        """
        if self._tracked is None:
            return True
        confirm = find_confirm_study(self._study)
        is_whole = True
        for one in [self, *([] if confirm is None else [self.of_confirm(confirm)])]:
            try:
                is_whole = one._close_ended(self._tracked) and is_whole
                one._log_missing_best(self._tracked)
            except RunbackError as error:
                _logger.warning("the sweep's runs are not all ended; the same command ends them: %s", error)
                is_whole = False
        return is_whole

    def _close_ended(self, tracked: "_Tracked") -> bool:
        running = tracked.running_trials()
        is_whole = True
        for trial in self._study.get_trials(deepcopy=False, states=ENDED_STATES):
            label, outcome = self._label(trial), states.outcome(trial)
            has_failed = isinstance(outcome, messages.Failed) and outcome.kind != "stopped"
            if any(label.tags.items() <= tags.items() for tags in running):
                if tracked.is_left(label):
                    self._end(tracked, trial, outcome)
                else:
                    _logger.warning("%s has ended, and its process still runs: its run stays", label.name)
                    is_whole = False
            elif has_failed and tracked.run_of(trial, label) is None:
                is_whole = self._end(tracked, trial, outcome) is not None and is_whole
        return is_whole

    @contextlib.contextmanager
    def recording(self, goes_on: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Keep the run's status true, however the sweep ends; say what could not be delivered.

        It stays RUNNING where the sweep `goes_on` by others, who have this run too.
        """
        if self._tracked is None:
            yield
            return
        from runback.tracking.layout import training_folders
        from runback.tracking.write.outbox import say_what_waits
        from runback.tracking.write.run_writer import recording

        try:
            with recording(self._tracked.run, goes_on):
                try:
                    yield
                finally:
                    self._tracked.finish()
        finally:
            say_what_waits([self._tracked.folder, *training_folders(self._tracked.folder)])

    def observe(self, event: SweepEvent) -> None:
        """Log the best value so far; close and deliver the runs of trials whose process is gone."""
        if self._tracked is None:
            return
        match event:
            case TrialStarted(trial):  # it starts its run in its folder, or goes on with it
                self._tracked.dead_runs.forget(self._tracked.folder_of(self._label(trial)))
            case TrialRequeued(trial, failure):
                self._requeued(self._tracked, trial, failure)
            case PartEnded(trial, is_process_lost):
                self._paused(self._tracked, trial, is_process_lost=is_process_lost)
            case TrialTakenOver(trial):
                self._tracked.end_own(self._sweep, self._label(trial))
            case TrialRecovered(trial, outcome):
                self._end(self._tracked, trial, outcome)
            case TrialEnded(trial, messages.Failed() as failure):
                self._end(self._tracked, trial, failure)
            case TrialEnded(trial, outcome):
                self._tracked.dead_runs.deliver([self._tracked.folder_of(self._label(trial))])
                if isinstance(outcome, messages.Completed):
                    self._log_best(self._tracked)

    def _log_best(self, tracked: "_Tracked") -> None:
        tracked.run.log_metrics(self._best(), step=finished_count(self._study))

    def _log_missing_best(self, tracked: "_Tracked") -> None:
        """Log the best value where the store has another one, or none. Errors: StoreError."""
        if not self._best().items() <= tracked.metrics().items():
            self._log_best(tracked)

    def _best(self) -> dict[str, float]:
        """Return the best value so far by its metric's name; empty where there is none, or no single best."""
        if not self._is_search or len(self._study.directions) > 1:
            return {}
        [name] = self._study.metric_names or ["value"]
        return {best(name): float(trial.value or 0) for trial in best_trials(self._study, 1)}

    def _paused(self, tracked: "_Tracked", trial: FrozenTrial, *, is_process_lost: bool) -> None:
        """Deliver a paused trial's run, and say that it is paused where its process could not."""
        if is_process_lost:
            step = trial.user_attrs[PAUSED_AT]
            self._close(tracked, trial, "SCHEDULED", f"paused after epoch {step}", is_interrupted=True)
        else:
            tracked.dead_runs.deliver([tracked.folder_of(self._label(trial))])

    def _requeued(self, tracked: "_Tracked", trial: FrozenTrial, failure: messages.Failed) -> None:
        """Close a trial's run, and note which one it is: the trial's next process retries that one."""
        run_id = self._end(tracked, trial, failure)
        if run_id is not None and RUN_ID not in trial.user_attrs:
            with contextlib.suppress(UpdateFinishedTrialError):  # it has gone on elsewhere
                TrialEntry(self._study, trial).note(RUN_ID, run_id)

    def _end(self, tracked: "_Tracked", trial: FrozenTrial, outcome: messages.Outcome) -> str | None:
        """End a trial's run as the trial ended; where one that failed had none, store one in its place.

        Return its ID, None where it has none.
        """
        match outcome:
            case messages.Completed():
                return self._close(tracked, trial, "FINISHED", None)
            case messages.Pruned():
                return self._close(tracked, trial, "KILLED", "pruned", is_interrupted=True)
            case messages.Failed("stopped" as kind, reason) if reason == REQUESTED:
                return self._close(tracked, trial, "KILLED", reason, kind, is_interrupted=True)
            case messages.Failed("stopped", reason):
                return self._close(tracked, trial, "KILLED", reason)
            case messages.Failed(kind, reason):
                run_id = self._close(tracked, trial, "FAILED", reason, kind)
                if run_id is None:
                    run_id = tracked.failed_trial(self._sweep, self._label(trial), trial.params, outcome)
                return run_id

    def _close(
        self,
        tracked: "_Tracked",
        trial: FrozenTrial,
        status: "Status",
        reason: str | None,
        failure: str | None = None,
        *,
        is_interrupted: bool = False,
    ) -> str | None:
        """Close a trial's run; return its ID, None where it has none yet.

        With `is_interrupted` also one that its process has closed, when it was interrupted.
        """
        label = self._label(trial)
        run_id = tracked.run_of(trial, label)
        interrupted = run_id if is_interrupted else None
        tracked.close_trial(self._sweep, label, run_id, status, reason, failure, interrupted)
        return run_id


@dataclass(frozen=True)
class _Tracked:
    run: Any
    experiment: str
    dead_runs: Any
    folder: Path
    is_shared: bool
    """Whether other coordinators have trials of the sweep."""

    def folder_of(self, label: Label) -> Path:
        return self.folder / label.folder

    def running_trials(self) -> list[Mapping[str, str]]:
        """Return the tags of the runs of trials that the store believes to run. Errors: StoreError."""
        from runback.tracking.read.find_runs import running_children

        self.dead_runs.flush()
        return [run.data.tags for run in running_children(self.dead_runs.store, self.run.id)]

    def metrics(self) -> Mapping[str, float]:
        """Return the last value of each metric that the store has of the sweep's run. Errors: StoreError."""
        from runback.tracking.read.find_runs import last_metrics

        return last_metrics(self.dead_runs.store, self.run.id)

    def is_left(self, label: Label) -> bool:
        """Tell whether a trial's process is gone, after giving one that is leaving its time."""
        try:
            with alone_in(self.folder_of(label), label.name, LEAVING):
                return True
        except InputError:
            return False

    def run_of(self, trial: FrozenTrial, label: Label) -> str | None:
        """Return the ID of a trial's run, from the study or else from its folder; None: it has none."""
        from runback.tracking.write.outbox import Outbox

        run_id = trial.user_attrs.get(RUN_ID)
        return Outbox(self.folder_of(label)).run_id if run_id is None else str(run_id)

    def failed_trial(
        self, sweep: str, label: Label, params: dict[str, Any], failure: messages.Failed
    ) -> str | None:
        """Store a run for a trial that ended before it had one; return its ID, None if that fails."""
        from runback.tracking.write.run_writer import start_run

        try:
            run = start_run(
                self.dead_runs.store,
                experiment=self.experiment,
                name=label.name,
                folder=self.folder_of(label),
                params=params,
                tags={**self._tags(sweep, label), FAILURE_TAG: failure.kind},
                description="It failed before its training began.",
                parent=self.run.id,
            )
        except RunbackError:
            return None
        if failure.traceback:
            run.log_text(failure.traceback, TRACEBACK)
        run.finish("FAILED", failure.reason)
        return run.id

    def close_trial(
        self,
        sweep: str,
        label: Label,
        run_id: str | None,
        status: "Status",
        reason: str | None,
        failure: str | None = None,
        interrupted: str | None = None,
    ) -> None:
        from runback.tracking.upkeep.closing import Closing

        closing = Closing(self._tags(sweep, label), status, reason, failure, interrupted, self.is_shared)
        self.dead_runs.close(self.folder_of(label), run_id, closing)

    def end_own(self, sweep: str, label: Label) -> None:
        """End the run that a process of this coordinator had of a trial that another one has taken over."""
        from runback.tracking.write.outbox import Outbox

        run_id = Outbox(self.folder_of(label)).run_id
        if run_id is not None and not is_held(self.folder_of(label), self.folder):
            self.close_trial(sweep, label, run_id, "KILLED", "another coordinator has taken the trial over")

    def _tags(self, sweep: str, label: Label) -> dict[str, str]:
        return {SWEEP_TAG: sweep, **label.tags, "mlflow.parentRunId": self.run.id}

    def finish(self) -> None:
        self.deliver()
        self.dead_runs.finish()

    def deliver(self) -> None:
        from runback.tracking.layout import training_folders

        self.dead_runs.deliver(training_folders(self.folder))


def _run_in(store: Any, study: Study) -> str | None:
    """Return which of the sweep's runs is in a store; None: none is. Errors: StoreError."""
    from runback.tracking.read.find_runs import has_run

    known = [study.user_attrs.get(PARENT_RUN), *study.user_attrs.get(PARENT_RUNS, [])]
    return next((str(one) for one in known if one is not None and has_run(store, str(one))), None)


def _tracked(store: Any, run: Any, experiment: str, folder: Path, is_shared: bool) -> _Tracked:
    """Begin with what an earlier coordinator, or its trials, could not deliver."""
    from runback.tracking.upkeep.closing import DeadRuns

    tracked = _Tracked(run, experiment, DeadRuns(store), folder, is_shared)
    tracked.deliver()
    return tracked


def _view(sweep: str, settings: SweeperSettings, space: Space, groups: Collection[str]) -> "SavedView":
    from runback.tracking.write.saved_view import SavedView

    return SavedView(
        f"{sweep}: best first",
        f"tags.`{SWEEP_TAG}` = '{sweep}' and tags.`{KIND_TAG}` = 'train'",
        metrics=[*map(best, settings.objectives), BEST_EPOCH, *map(metric_name, settings.objectives)],
        params=[f"{name}.name" if name in groups else name for name in space.distributions],
        ascending=settings.directions[0] == "minimize",
        tags=[REASON_TAG],  # MLflow shows a pruned run like a failed one
    )


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
    return {parameter.name: parameter.described() for parameter in space.parameters}
