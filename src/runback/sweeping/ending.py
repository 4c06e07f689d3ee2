"""The end of a sweep: what it leaves written, also where a process was killed that was to write it."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from optuna.study import Study
from optuna.trial import TrialState

from runback.errors import DiskFull, TrainingError
from runback.sweeping.study import states
from runback.sweeping.study.attributes import ENDED, PARENT_RUN
from runback.sweeping.study.study_store import STUDY, readable_errors
from runback.sweeping.study.trial_label import trial_label
from runback.tracking.layout import CHECKPOINTS, Layout, waits


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


@contextlib.contextmanager
def ending(study: Study, folder: Path, is_written: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Note that a sweep goes on; and that it has ended when the body, which writes its end, has ended.

    That is not noted where it was stopped, its disk is full, something in the sweep's folder waits for the
    store, or `is_written` says that something could not be written. Errors: StoreError, DiskFull.
    """
    _note(study, folder, has_ended=False)
    try:
        yield
    except DiskFull:
        raise
    except TrainingError:
        _note(study, folder, has_ended=is_written() and not waits(folder))
        raise
    _note(study, folder, has_ended=is_written() and not waits(folder))


def _note(study: Study, folder: Path, *, has_ended: bool) -> None:
    with readable_errors(folder / STUDY):
        study.set_user_attr(ENDED, has_ended)


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
