"""Proposes what a plan says: each finalist on each seed, once."""

from collections.abc import Collection, Sequence

from optuna.distributions import BaseDistribution, IntDistribution
from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial

from runback.sweeping.deciding.proposer import point_key, proposed_trial

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    name: IntDistribution(0, 2**31 - 1) for name in ("trial", "seed")
}
"""The same in every study: Optuna keeps a param's range, and other finalists may come later."""


class Points:
    """Proposes `points` in their order, without those that the study has."""

    def __init__(self, points: Sequence[dict[str, int]], again: Collection[int] = ()) -> None:
        """`again` are the numbers of failed trials, of which another one is due."""
        self._points = points
        self._again = again

    def propose(
        self, study: Study, known: Sequence[FrozenTrial], asked: Sequence[FrozenTrial], pruner: BasePruner
    ) -> FrozenTrial | None:
        """Return the trial after all that were `asked` for; None where there is none left."""
        point = self._next(asked)
        return None if point is None else proposed_trial(len(asked), point, DISTRIBUTIONS)

    def has_more(self, asked: Sequence[FrozenTrial]) -> bool:
        """Tell whether there is one left."""
        return self._next(asked) is not None

    def _next(self, asked: Sequence[FrozenTrial]) -> dict[str, int] | None:
        taken = {point_key(trial.params) for trial in asked if trial.number not in self._again}
        return next((point for point in self._points if point_key(point) not in taken), None)
