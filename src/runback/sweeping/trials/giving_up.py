"""Tells when to give up: failed trials do not use up `n_trials`, and a bug would be tried for ever.

Those of a bad region of the search space do.
"""

from runback.errors import TrainingError
from runback.sweeping.trials import messages
from runback.sweeping.trials.failure_policy import BAD_REGIONS

FAILURES_IN_A_ROW = 5
"""So many failed trials in a row (or one for each worker, if that is more) end a sweep."""

SAME_FIRST_FAILURES = 3
"""So many first trials that all fail of the same error end a sweep."""


class FailuresInARow:
    """The failures since the last trial that did not fail."""

    def __init__(self, n_workers: int) -> None:
        self._enough = max(FAILURES_IN_A_ROW, n_workers)
        self._failures: list[messages.Failed] = []

    def count(self, outcome: messages.Outcome, ended: int) -> None:
        """Take in how the study's `ended`-th trial ended. Raises TrainingError when it is time to give up."""
        if not isinstance(outcome, messages.Failed) or outcome.kind in BAD_REGIONS:
            self._failures.clear()
            return
        self._failures.append(outcome)
        errors = {(failure.kind, failure.reason) for failure in self._failures}
        are_first = len(self._failures) == ended
        same_error = are_first and errors == {("code", outcome.reason)}
        if len(self._failures) >= (SAME_FIRST_FAILURES if same_error else self._enough):
            raise TrainingError(
                f"{len(self._failures)} trials in a row failed, the last one with: {outcome.reason}"
            )
