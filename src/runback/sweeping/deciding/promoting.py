"""Decides by promotion: which trials pause, and whether a paused or a new one comes next."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from optuna.pruners import NopPruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from runback.sweeping.deciding.decisions import Decisions, next_part
from runback.sweeping.deciding.promotion import Progress, Promotion
from runback.sweeping.deciding.shared_steps import ranked_at_shared_steps
from runback.sweeping.study.attributes import EPOCHS, PARTS, PAUSED_AT
from runback.sweeping.study.states import has_paused, is_paused, last_pause
from runback.sweeping.study.study_store import TrialEntry, create_entry


@dataclass
class PromotingDecisions(Decisions):
    """Decides what is trained next: the next part of a paused trial, or the first one of a new trial.

    The parts of all trials are counted. With a `window` w, what part k is, is decided by what the parts up
    to k - w came to, and by what the others are.
    """

    promotion: Promotion = field(default_factory=Promotion)
    has_baseline: bool = False
    """Whether trial 0 is what the others are measured by: it is trained to its end before any other goes on.

    With a window its parts are counted too, so that the others need not wait for its end.
    """
    max_resource: int | None = None
    """The last step of a training that does not say itself how long it is; None: that is not known."""

    def next_trial(self, trials: Sequence[FrozenTrial], *, may_begin: bool = True) -> TrialEntry | None:
        """Return the trial that is trained next, a new one only where it `may_begin`.

        None where there is none, or it is too early for it.
        """
        number = next_part(trials)
        seen = self._seen(trials, number)
        paused = self._next_paused(seen, trials, may_begin=may_begin)
        if paused is not None:
            return self._go_on_when_left(trials[paused], number)
        if seen is None or not may_begin:
            return None
        proposed = self.proposer.propose(self.study, self.learned(seen), trials, NopPruner())
        if proposed is None:  # a grid has no more points, though one has failed that does not count
            paused = self._next_paused(seen, trials, may_begin=False)
            return None if paused is None else self._go_on_when_left(trials[paused], number)
        proposed.user_attrs = {**proposed.user_attrs, PARTS: [[number, 0]]}
        return create_entry(self.study, proposed)

    def may_have_next(self, trials: Sequence[FrozenTrial], *, may_begin: bool) -> bool:
        """Tell whether there may be a trial to train next; whether there is one, `next_trial` finds out."""
        seen = self._seen(trials, next_part(trials))
        is_new = may_begin and self.proposer.has_more(trials)
        return is_new or self._next_paused(seen, trials, may_begin=False) is not None

    def learned(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return trials as the sampler learns from them."""
        return ranked_at_shared_steps(trials, self.study.direction)

    def pauses(self, entry: TrialEntry, step: int) -> bool:
        """Tell whether a trial pauses at a step that it has just reported."""
        if self.has_baseline and entry.number == 0 and self.window is None:
            return False
        attributes = entry.attributes
        epochs = _epochs(attributes) or self.max_resource
        return self.promotion.pauses(step, last_pause(attributes), epochs)

    def goes_on(self, entry: TrialEntry, trials: Sequence[FrozenTrial], *, may_begin: bool) -> bool:
        """Tell whether what is trained next is the trial that has just been paused; then it has begun."""
        number = next_part(trials)
        seen = self._seen(trials, number)
        if self._next_paused(seen, trials, may_begin=may_begin) != entry.number:
            return False
        self._go_on(trials[entry.number], number)
        return True

    def eliminated(self, trials: Sequence[FrozenTrial], n_trials: int | None) -> list[int]:
        """Return the paused trials that can go on no more.

        With a window there are none: one may go on after all if a better one fails, and who goes on must not
        depend on which of the two comes first.
        """
        if n_trials is None or self.window is not None:
            return []
        return self.promotion.eliminated(self._progress(trials), n_trials)

    def _next_paused(
        self, seen: Sequence[FrozenTrial] | None, trials: Sequence[FrozenTrial], *, may_begin: bool
    ) -> int | None:
        if self.has_baseline and seen and is_paused(seen[0]):
            return 0
        found = None if seen is None else self.promotion.next_paused(self._progress(seen))
        is_end = not may_begin and not any(map(_goes_on, trials))
        if found is None and is_end:
            found = self.promotion.next_paused(self._progress(trials), is_end=True)
        return found

    def _go_on_when_left(self, trial: FrozenTrial, number: int) -> TrialEntry | None:
        """Let a paused trial go on; None while the process has yet to leave that it paused in."""
        return None if trial.state == TrialState.RUNNING else self._go_on(trial, number)

    def _seen(self, trials: Sequence[FrozenTrial], number: int) -> list[FrozenTrial] | None:
        """Return the trials as they may be known to a part; None: what it must know has not ended yet."""
        if self.window is None:
            return [*trials]
        seen = [one for trial in trials if (one := _seen_until(trial, number - self.window)) is not None]
        return seen if len(seen) == len(trials) else None

    def _progress(self, trials: Sequence[FrozenTrial]) -> list[Progress]:
        sign = 1 if self.study.direction == StudyDirection.MAXIMIZE else -1
        return [_progress(trial, sign) for trial in trials]


def _goes_on(trial: FrozenTrial) -> bool:
    """Tell whether a trial runs on, or starts again, where no new one may begin."""
    is_waiting = trial.state == TrialState.WAITING and not has_paused(trial)
    return not (trial.state.is_finished() or is_paused(trial) or is_waiting)


def _seen_until(trial: FrozenTrial, last: int) -> FrozenTrial | None:
    """Return a trial without what its parts behind the one of this number came to.

    None: one that counts still runs.
    """
    parts = trial.user_attrs.get(PARTS, [])
    hidden = next((start_step for number, start_step in parts if number > last), None)
    if hidden is None:
        return trial if trial.state.is_finished() or is_paused(trial) else None
    seen = copy.copy(trial)
    seen.state, seen.values = TrialState.RUNNING, None
    seen.intermediate_values = {s: v for s, v in trial.intermediate_values.items() if s <= hidden}
    seen.user_attrs = {name: value for name, value in trial.user_attrs.items() if name != PAUSED_AT}
    return seen


def _progress(trial: FrozenTrial, sign: int) -> Progress:
    values = {step: sign * value for step, value in trial.intermediate_values.items()}
    return Progress(trial.number, _state(trial), values, last_pause(trial.user_attrs))


def _state(trial: FrozenTrial) -> Literal["running", "paused", "ended", "failed"]:
    if trial.state == TrialState.FAIL:
        return "failed"
    if trial.state.is_finished():
        return "ended"
    return "paused" if is_paused(trial) else "running"


def _epochs(attributes: Mapping[str, Any]) -> int | None:
    text = str(attributes.get(EPOCHS, ""))
    return int(text) if text.isdecimal() else None
