"""Decides which trial comes next and which one ends early: sampler and pruner, and what they may know."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial

from runback.sweeping.deciding.pruning import LivePruning, OrderedPruning, Pruning
from runback.sweeping.study.attributes import PARTS, PAUSED_AT
from runback.sweeping.study.optuna_internals import trial_id
from runback.sweeping.study.states import state
from runback.sweeping.study.study_store import TrialEntry, create_entry


class Proposes(Protocol):
    """Says what comes next, such as a `Proposer`."""

    def propose(
        self, study: Study, known: Sequence[FrozenTrial], asked: Sequence[FrozenTrial], pruner: BasePruner
    ) -> FrozenTrial | None:
        """Return the trial after all that were `asked` for, not in the study yet; None: there is none."""

    def has_more(self, asked: Sequence[FrozenTrial]) -> bool:
        """Tell whether there is one."""


@dataclass
class Decisions:
    """Decides by all that the study has or, with a `window` w, about trial k by trials up to k - w alone.

    So with a window nothing depends on which of the running trials is faster.
    """

    study: Study
    proposer: Proposes
    new_pruner: Callable[[], BasePruner]
    window: int | None = None

    def __post_init__(self) -> None:
        self._pruner = self.new_pruner()

    def next_trial(self, trials: Sequence[FrozenTrial], *, may_begin: bool = True) -> TrialEntry | None:
        """Return the trial that is trained next, a new one only where it `may_begin`.

        None where there is none, or it is too early for it. Trials that another pruner has paused come first.
        """
        paused = next((one for one in trials if state(one) == "paused"), None)
        if paused is not None:
            return self._go_on(paused, next_part(trials))
        if not may_begin:
            return None
        known = self._known(trials, len(trials))
        if self.window is not None and not all(trial.state.is_finished() for trial in known):
            return None
        proposed = self.proposer.propose(self.study, known, trials, self._own_pruner())
        return None if proposed is None else create_entry(self.study, proposed)

    def may_have_next(self, trials: Sequence[FrozenTrial], *, may_begin: bool) -> bool:
        """Tell whether there may be a trial to train next; whether there is one, `next_trial` finds out."""
        is_new = may_begin and self.proposer.has_more(trials)
        return is_new or any(state(one) == "paused" for one in trials)

    def pruning(self, trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> Pruning:
        """Return what decides when a trial ends, one of `trials`."""
        if self.window is None:
            return LivePruning(self.study, self._pruner, trial_id(trial))
        return OrderedPruning(self.study, self._own_pruner(), self._known(trials, trial.number), trial)

    def pauses(self, entry: TrialEntry, step: int) -> bool:
        """Tell whether a trial pauses at a step that it has just reported."""
        return False

    def goes_on(self, entry: TrialEntry, trials: Sequence[FrozenTrial], *, may_begin: bool) -> bool:
        """Tell whether what is trained next is the trial that has just been paused; then it has begun."""
        return True

    def eliminated(self, trials: Sequence[FrozenTrial], n_trials: int | None) -> list[int]:
        """Return the paused trials that can go on no more."""
        return []

    def annotate(self, entry: TrialEntry) -> None:
        """Give a trial that is about to end what its pruner has noted, for trials that come to know of it."""
        if self.window is not None:
            trials = self.study.get_trials(deepcopy=False)
            known = self._known(trials, entry.number)
            ordered = OrderedPruning(self.study, self.new_pruner(), known, trials[entry.number])
            entry.annotate(ordered.notes)

    def _go_on(self, trial: FrozenTrial, number: int) -> TrialEntry:
        """Let a paused trial go on, as the part of this number."""
        entry = TrialEntry(self.study, trial)
        entry.note(PARTS, [*trial.user_attrs.get(PARTS, []), [number, trial.user_attrs[PAUSED_AT]]])
        return entry

    def _known(self, trials: Sequence[FrozenTrial], number: int) -> Sequence[FrozenTrial]:
        return trials if self.window is None else trials[: max(0, number - self.window + 1)]

    def _own_pruner(self) -> BasePruner:
        """Return a pruner; a fresh one where what it remembers of other trials must not count."""
        return self._pruner if self.window is None else self.new_pruner()


def next_part(trials: Sequence[FrozenTrial]) -> int:
    """Return the number of the part that is trained next."""
    return 1 + max((part for trial in trials for part, _ in trial.user_attrs.get(PARTS, [])), default=-1)
