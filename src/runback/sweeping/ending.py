"""The end of a sweep: what it leaves written, also where a process was killed that was to write it."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from optuna.study import Study
from optuna.trial import TrialState

from runback.errors import DiskFull, TrainingError
from runback.sweeping.shared.claims import Claims, LeaseLost, SharedStudy
from runback.sweeping.study import states
from runback.sweeping.study.attributes import ENDED, PARENT_RUN
from runback.sweeping.study.study_store import STUDY, readable_errors
from runback.sweeping.study.trial_label import trial_label
from runback.tracking.layout import CHECKPOINTS, Layout, waits

TRY_AGAIN = 1.0
"""Seconds from one try to write a sweep's end to the next."""


def has_ended(study: Study, layout: Layout | None) -> bool:
    """Tell whether the sweep has ended and all is written that its end writes.

    A study without a note of it has ended unless its run in the project of `layout` is RUNNING. Errors:
    StoreError.
    """
    noted, run_id = study.user_attrs.get(ENDED), study.user_attrs.get(PARENT_RUN)
    if noted is not None or run_id is None or layout is None:
        return noted is None or bool(noted)
    from runback.tracking.read.find_runs import is_running
    from runback.tracking.store import open_store

    return not is_running(open_store(layout), run_id)


@dataclass
class Ending:
    """Notes whether a sweep goes on, or has ended. One of all coordinators writes it."""

    study: Study
    folder: Path
    claims: Claims
    is_written: Callable[[], bool] = lambda: True
    """Whether all could be written that the end writes."""
    is_done: Callable[[], bool] = lambda: False
    """Whether nothing is left to train."""
    _is_own: bool = False

    @property
    def is_anothers(self) -> bool:
        """Whether another coordinator writes the end, or will."""
        if not isinstance(self.claims, SharedStudy):
            return False
        try:
            return not (self._is_own and self.claims.holds_ending())
        except Exception:  # the study's database is away
            return False

    def goes_on(self, run_id: str | None) -> bool:
        """Tell whether other coordinators that are heard of go on with this run of the sweep in MLflow."""
        if not isinstance(self.claims, SharedStudy) or not self.is_anothers:
            return False
        try:
            return bool(self.claims.others_with(run_id))
        except Exception:  # the study's database is away
            return True

    @property
    def leaves(self) -> bool:
        """Whether others go on with the sweep, or have written its end."""
        if not isinstance(self.claims, SharedStudy) or not self.is_anothers:
            return False
        try:
            return bool(self.claims.others()) or self._has_ended()
        except Exception:  # the study's database is away
            return True

    @property
    def why_not(self) -> str:
        """Say why the end is not written here."""
        if self.study.user_attrs.get(ENDED):
            return "the sweep has ended, and another coordinator has written its end"
        if nothing_runs(self.study):
            return "another coordinator writes the end of the sweep"
        return "other coordinators run the trials that are left"

    def take(self, *, waits: bool = False) -> bool:
        """Make the end this coordinator's to write; return whether it is.

        Where one `waits`, until it is, or is written: another may have been killed at it.
        """
        if not isinstance(self.claims, SharedStudy):
            return True
        while not self._is_own and not self.study.user_attrs.get(ENDED):
            self._is_own = self.claims.take_ending(self._is_over)
            if self._is_own or not waits:
                break
            time.sleep(TRY_AGAIN)
        return self._is_own

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        """Note that a sweep goes on; and that it has ended when the body, which writes its end, has ended.

        That is not noted where it was stopped, its disk is full, something in the sweep's folder waits for
        the store, or `is_written` says that something could not be written. Errors: StoreError, DiskFull.
        """
        if isinstance(self.claims, SharedStudy):
            self.claims.exclusively(self._note_more)
        else:
            self._note(has_ended=False)
        try:
            yield
        except DiskFull:
            raise
        except TrainingError:
            self._note_end()
            raise
        except BaseException:
            self._release()
            raise
        self._note_end()

    def _is_over(self) -> bool:
        return nothing_runs(self.study) and not self.study.user_attrs.get(ENDED)

    def _note_more(self) -> None:
        """Note that it goes on, unless all is done by now: another may be writing the end."""
        if not self.is_done():
            self._note(has_ended=False)

    def _note_end(self) -> None:
        has_ended = self.is_written() and not waits(self.folder)
        if not isinstance(self.claims, SharedStudy):
            self._note(has_ended=has_ended)
        elif self._is_own:
            with contextlib.suppress(LeaseLost):
                self.claims.write_end(lambda: self._note(has_ended=has_ended))
        self._release()

    def _has_ended(self) -> bool:
        try:
            return bool(self.study.user_attrs.get(ENDED))
        except Exception:  # the study's database is away
            return False

    def _release(self) -> None:
        if self._is_own and isinstance(self.claims, SharedStudy):
            with contextlib.suppress(Exception):  # it expires
                self.claims.release_ending()

    def _note(self, *, has_ended: bool) -> None:
        with readable_errors(self.folder / STUDY):
            self.study.set_user_attr(ENDED, has_ended)


def nothing_runs(study: Study) -> bool:
    """Tell whether no trial of a study runs."""
    return not study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def remove_left_checkpoints(study: Study, folder: Path) -> None:
    """Remove the checkpoints of trials that were pruned in a pause, where a kill left them.

    One that failed after a pause keeps its own: its run may be resumed.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.PRUNED,)):
        if states.has_paused(trial) and states.failure(trial) is None:
            for checkpoint in (folder / trial_label(trial).folder).glob(CHECKPOINTS):
                checkpoint.unlink(missing_ok=True)


def has_result(study: Study) -> bool:
    """Tell whether any trial has completed."""
    return bool(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def refuse_without_result(study: Study, folder: Path) -> None:
    """Raise TrainingError for an ended sweep of which no trial has completed, and say how its trials did.

    One whose timeout has left paused trials is none of these: it goes on.
    """
    trials = study.get_trials(deepcopy=False)
    if has_result(study) or any(map(states.is_paused, trials)):
        return
    ended = ", ".join(one for one in states.counts(trials) if not one.startswith("0 ")) or "none was started"
    raise TrainingError(f"no trial has completed: {ended}; their logs are under {folder}")
