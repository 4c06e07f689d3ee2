"""The times in which a trial was trained: those of its processes, without the pauses between them."""

from collections.abc import Sequence
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState

from runback.sweeping.study.attributes import TIMES

Times = Sequence[Sequence[float]]
"""Of each process the begin and the end, in seconds since 1970; no end while it runs."""


def process_started(times: Times, now: float) -> list[list[float]]:
    """Return the times with a process more; without one whose end nobody knows."""
    return [*(list(one) for one in times if len(one) > 1), [now]]


def process_ended(times: Times, now: float) -> list[list[float]] | None:
    """Return the times with the last process ended; None where it is already."""
    if not times or len(times[-1]) > 1:
        return None
    begin = times[-1][0]
    return [*map(list, times[:-1]), [begin, max(begin, now)]]


def trained_seconds(times: Times, since: float) -> float:
    """Return the seconds of the processes that began since then and whose end is known."""
    return sum(one[1] - one[0] for one in times if len(one) > 1 and one[0] >= since)


def training_times(trial: FrozenTrial) -> list[tuple[datetime, datetime | None]]:
    """Return begin and end of each part in which a trial was trained, in local time; no end while it runs.

    Of a trial without such notes: from its last start to its end.
    """
    times = trial.user_attrs.get(TIMES)
    if times:
        dates = [[datetime.fromtimestamp(at) for at in one] for one in times]
        return [(one[0], one[1] if len(one) > 1 else None) for one in dates]
    if trial.datetime_start is None or trial.state == TrialState.WAITING:
        return []
    return [(trial.datetime_start, trial.datetime_complete)]
