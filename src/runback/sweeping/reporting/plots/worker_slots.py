"""Finds the slot of a sweep that each trial ran in, as far as its times tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from optuna.trial import FrozenTrial

from runback.sweeping.study.training_times import training_times


@dataclass(frozen=True)
class SlotTime:
    """A part of a trial, which one process trained."""

    trial: FrozenTrial
    part: int
    """Counted from 1."""
    slot: int
    """The lowest from 1 that was free when it began."""
    start: datetime
    end: datetime | None
    """None: it runs."""


def slot_times(trials: Sequence[FrozenTrial]) -> list[SlotTime]:
    """Return the parts of all trials in the order of their begin."""
    free: list[datetime] = []
    found = []
    parts = [
        (start, trial.number, part, end, trial)
        for trial in trials
        for part, (start, end) in enumerate(training_times(trial), 1)
    ]
    for start, _, part, end, trial in sorted(parts, key=lambda each: each[:3]):
        slot = next((i for i, time in enumerate(free) if time <= start), len(free))
        free[slot : slot + 1] = [end or datetime.max]
        found.append(SlotTime(trial, part, slot + 1, start, end))
    return found
