"""Finds the slot of a sweep that each trial ran in, as far as its times tell."""

from collections.abc import Sequence
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState


def slots(trials: Sequence[FrozenTrial]) -> dict[int, int]:
    """Return the slot of each trial that runs or has ended: the lowest from 1 that is free when it starts."""
    free: list[datetime] = []
    found: dict[int, int] = {}
    started = [
        (trial.datetime_start, trial)
        for trial in trials
        if trial.datetime_start is not None and trial.state != TrialState.WAITING
    ]
    for start, trial in sorted(started, key=lambda pair: (pair[0], pair[1].number)):
        end = trial.datetime_complete or datetime.max
        slot = next((i for i, time in enumerate(free) if time <= start), len(free))
        free[slot : slot + 1] = [end]
        found[trial.number] = slot + 1
    return found
