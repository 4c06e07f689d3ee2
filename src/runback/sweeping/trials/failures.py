"""The kinds of failures: what each means, how a trial is tried again after it, when a sweep gives up."""

from collections.abc import Mapping
from dataclasses import dataclass

from runback.errors import InputError, TrainingError
from runback.sweeping.trials import messages


@dataclass(frozen=True)
class FailureKind:
    """A reason why a trial ends without a value."""

    sentence: str
    retries: int
    """The number of times that a trial is tried again after it, by default."""
    blames_params: bool = False
    """Whether the trial's params are to blame, so that the sampler shall learn from them.

    A trial that fails for good with such a kind counts as pruned: finished, and worse than every completed
    one.
    """
    retried_alone: bool = False
    """Whether nothing else runs on its device while it is tried again."""


REQUESTED = "ended on request"
"""Why a trial was stopped that somebody wanted to end: it is not tried again."""

KINDS = {
    "lost": FailureKind("its process was killed, crashed, or went away with its machine", retries=2),
    "stopped": FailureKind("it was asked to stop: with the whole sweep, or by somebody else", retries=2),
    "out_of_memory": FailureKind(
        "the system killed it for its memory, or the device had none left",
        retries=1,
        blames_params=True,
        retried_alone=True,
    ),
    "store": FailureKind(
        "what it records cannot be kept: the disk is full, or the store was away for too long", retries=2
    ),
    "timeout": FailureKind("it took too long as a whole, or from one report to the next", retries=0),
    "diverged": FailureKind("the loss or the objective is not finite", retries=0, blames_params=True),
    "data": FailureKind("the images or labels cannot be used", retries=0),
    "input": FailureKind("its config cannot be trained", retries=0, blames_params=True),
    "code": FailureKind("an exception, or a value that is no number", retries=0),
}
"""Every kind of failure, by the name that `hydra.sweeper.retries` and MLflow have for it."""

RETRIES = {name: kind.retries for name, kind in KINDS.items()}

FAILURES_IN_A_ROW = 5
"""The failed trials in a row that end a sweep (or one for each worker, if that is more)."""

SAME_FIRST_FAILURES = 3
"""The first trials that end a sweep if all of them fail of the same error."""


@dataclass(frozen=True)
class FailurePolicy:
    """The answer to failures: how often a trial is tried again, and when it is ended.

    `retries` has a number for each kind; "stopped" counts where the sweep itself goes on. `trial_timeout` and
    `stall_timeout` are seconds, for a whole trial without its pauses and from one report to the next; a trial
    that is tried again has them anew.
    """

    retries: Mapping[str, int]
    trial_timeout: float | None = None
    stall_timeout: float | None = None

    def overdue(self, running: float, silent: float) -> str | None:
        """Return why a trial has to end that runs, and is silent, for so many seconds; None: it need not."""
        if self.trial_timeout is not None and running > self.trial_timeout:
            return f"it ran for more than {self.trial_timeout:g} s"
        if self.stall_timeout is not None and silent > self.stall_timeout:
            return f"it said nothing for more than {self.stall_timeout:g} s"
        return None


def check_retries(retries: Mapping[str, int]) -> None:
    """Raise InputError for a kind that is none, or a number below 0."""
    for kind, count in retries.items():
        if kind not in KINDS:
            raise InputError(f"hydra.sweeper.retries has no {kind}: expected one of {', '.join(KINDS)}")
        if count < 0:
            raise InputError(f"hydra.sweeper.retries.{kind} must be at least 0; got {count}")


class FailuresInARow:
    """Counts failures since the last trial that did not fail: a bug would else be tried for ever.

    Failed trials do not use up `n_trials`; those that their params are to blame for do.
    """

    def __init__(self, n_workers: int) -> None:
        self._enough = max(FAILURES_IN_A_ROW, n_workers)
        self._failures: list[messages.Failed] = []

    def clear(self) -> None:
        """Take in that a trial has not failed: it has ended well, or paused."""
        self._failures.clear()

    def count(self, outcome: messages.Outcome, ended: int) -> None:
        """Take in how the study's `ended`-th trial ended. Raises TrainingError when it is time to give up."""
        if not isinstance(outcome, messages.Failed) or KINDS[outcome.kind].blames_params:
            return self.clear()
        self._failures.append(outcome)
        errors = {(failure.kind, failure.reason) for failure in self._failures}
        are_first = len(self._failures) == ended
        same_error = are_first and errors == {("code", outcome.reason)}
        if len(self._failures) >= (SAME_FIRST_FAILURES if same_error else self._enough):
            raise TrainingError(
                f"{len(self._failures)} trials in a row failed, the last one with: {outcome.reason}"
            )
        return None
