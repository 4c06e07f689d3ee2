"""Decides which trials pause, and which of the paused ones go on: successive halving by promotion.

Li et al., "A System for Massively Parallel Hyperparameter Tuning" (2020), algorithm 2: a trial pauses at
each rung, and goes on from there once it is among the best of all that have come to that rung. It is ended
when it cannot be among them any more, or when the search is over.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from runback.errors import InputError
from runback.sweeping.deciding.best_so_far import checked_value
from runback.sweeping.study.study_store import part

TARGET = "runback.sweeping.deciding.promotion.Promotion"


@dataclass(frozen=True)
class Progress:
    """How far a trial has come."""

    number: int
    state: Literal["running", "paused", "ended", "failed"]
    """A failed one ended by no fault of its params; it counts for nothing, another takes its place."""
    values: Mapping[int, float] = field(default_factory=dict)
    """The objective's value at each step, the higher the better."""
    start_step: int = 0
    """The step that its last part began behind."""

    @property
    def step(self) -> int:
        """The last step that it has come to; 0: none."""
        return max(self.values, default=0)


@dataclass(frozen=True)
class Promotion:
    """Pauses trials at rungs, and lets those go on that are among the best there."""

    min_resource: int = 1
    """The step of the first rung."""
    reduction_factor: int = 3
    """A rung is so many times as far as the one before, and one of so many trials goes on from it."""
    value: str = "best"
    """What rungs compare: the best value so far, or the last."""
    eager: bool = True
    """Whether the best at a rung goes on at once, however few are there; not at the first rung."""

    def __post_init__(self) -> None:
        for name, least in (("min_resource", 1), ("reduction_factor", 2)):
            given = getattr(self, name)
            if not isinstance(given, int) or isinstance(given, bool) or given < least:
                raise InputError(
                    f"hydra.sweeper.pruner.{name} must be a whole number from {least}; got {given!r:.80}"
                )
        if not isinstance(self.eager, bool):
            raise InputError(f"hydra.sweeper.pruner.eager must be true or false; got {self.eager!r:.80}")
        checked_value(self.value)

    def rung(self, step: int) -> int:
        """Return the last rung that a trial has come to with a step; 0: none."""
        if step < self.min_resource:
            return 0
        rung = self.min_resource
        while rung * self.reduction_factor <= step:
            rung *= self.reduction_factor
        return rung

    def pauses(self, step: int, start_step: int, epochs: int | None) -> bool:
        """Tell whether a trial pauses at a step whose part began behind `start_step`.

        `epochs` is its length, at whose end it does not pause; None: that is not known.
        """
        return self.rung(step) > self.rung(start_step) and (not epochs or step < epochs)

    def next_paused(self, trials: Sequence[Progress], *, is_end: bool = False) -> int | None:
        """Return the number of the paused trial that goes on next; None: none may.

        The furthest come first, then the better ones. The best of each rung may go on, also where fewer than
        `reduction_factor` have come there, at the end, where no other trial runs or is to come.
        """
        trials = _without_failed(trials)
        first = min(self._rungs(trials), default=0)
        for rung in sorted(self._paused(trials), reverse=True):
            ranked = self._ranked(trials, rung)
            quota = len(ranked) // self.reduction_factor
            if is_end or (self.eager and rung > first):
                quota = max(quota, 1)
            for trial in ranked[:quota]:
                if self._is_paused_at(trial, rung):
                    return trial.number
        return None

    def eliminated(self, trials: Sequence[Progress], n_trials: int) -> list[int]:
        """Return the paused trials that can go on no more, whatever values the rest of `n_trials` come to.

        Only where a better one failed later, one of them might have.
        """
        trials = _without_failed(trials)
        most = max(n_trials, len(trials))
        found = []
        for rung in self._paused(trials):
            ranked = self._ranked(trials, rung)
            never = _ended(trials) - _ended(ranked)  # they come there no more
            quota = max(1, (most - never) // self.reduction_factor)
            found += [trial.number for trial in ranked[quota:] if self._is_paused_at(trial, rung)]
        return sorted(found)

    def _rungs(self, trials: Sequence[Progress]) -> set[int]:
        """Return the rungs that trials come to: not each is one where they report every tenth step."""
        steps = {step for trial in trials for step in trial.values if step >= self.min_resource}
        return set(map(self.rung, steps))

    def _paused(self, trials: Sequence[Progress]) -> set[int]:
        return {self.rung(trial.step) for trial in trials if trial.state == "paused"}

    def _is_paused_at(self, trial: Progress, rung: int) -> bool:
        return trial.state == "paused" and self.rung(trial.step) == rung

    def _ranked(self, trials: Sequence[Progress], rung: int) -> list[Progress]:
        """Return the trials that have come to a rung, or ended on the way to it, the best there first."""
        before = max((one for one in self._rungs(trials) if one < rung), default=0)
        came = [
            trial
            for trial in trials
            if trial.step >= rung or (trial.state == "ended" and self.rung(trial.start_step) >= before)
        ]
        return sorted(came, key=lambda trial: (-self._at(trial, rung), trial.number))

    def _at(self, trial: Progress, rung: int) -> float:
        """Return what a trial had when it came to a rung; minus infinity where it has not."""
        until = min((step for step in trial.values if step >= rung), default=0)
        found = {step: one for step, one in trial.values.items() if step <= until and not math.isnan(one)}
        if not found:
            return -math.inf
        return max(found.values()) if self.value == "best" else found[max(found)]


def _without_failed(trials: Sequence[Progress]) -> list[Progress]:
    return [trial for trial in trials if trial.state != "failed"]


def _ended(trials: Sequence[Progress]) -> int:
    return sum(trial.state == "ended" for trial in trials)


def promotion_of(spec: Mapping[str, Any] | None) -> Promotion | None:
    """Build what decides where the sweep's pruner is promotion; None: it is another, or none. InputError."""
    if spec is None or spec.get("_target_") != TARGET:
        return None
    promotion: Promotion = part(spec, "hydra.sweeper.pruner")
    return promotion
