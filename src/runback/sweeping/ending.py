"""The end of a sweep: what it leaves written, also where a process was killed that was to write it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from optuna.study import Study
from optuna.trial import TrialState

from runback.errors import TrainingError
from runback.sweeping.study import states
from runback.sweeping.study.attributes import ENDED
from runback.tracking.layout import waits


def has_ended(study: Study) -> bool:
    """Tell whether the sweep has ended and all is written that its end writes, as far as it is noted."""
    return bool(study.user_attrs.get(ENDED, True))


@contextlib.contextmanager
def ending(study: Study, folder: Path) -> Iterator[None]:
    """Note that a sweep goes on; and that it has ended when the body, which writes its end, has ended.

    That is not noted while something in the sweep's folder waits for the store, nor where it was stopped.
    """
    study.set_user_attr(ENDED, False)
    try:
        yield
    except TrainingError:
        study.set_user_attr(ENDED, not waits(folder))
        raise
    study.set_user_attr(ENDED, not waits(folder))


def has_result(study: Study) -> bool:
    """Tell whether any trial has completed."""
    return bool(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def refuse_without_result(study: Study, folder: Path) -> None:
    """Raise TrainingError for an ended sweep of which no trial has completed, and say how its trials did."""
    if has_result(study):
        return
    counts = [one for one in states.counts(study.get_trials(deepcopy=False)) if not one.startswith("0 ")]
    ended = ", ".join(counts) or "none was started"
    raise TrainingError(f"no trial has completed: {ended}; their logs are under {folder}")
