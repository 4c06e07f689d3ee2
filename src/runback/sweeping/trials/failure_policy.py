"""What is done about a trial that fails."""

from collections.abc import Mapping
from dataclasses import dataclass

from runback.errors import InputError

RETRIES = {
    "lost": 2,
    "stopped": 2,
    "out_of_memory": 1,
    "store": 2,
    "timeout": 0,
    "diverged": 0,
    "data": 0,
    "input": 0,
    "code": 0,
}
"""How often a trial is tried again after a failure of each kind, by default."""

BAD_REGIONS = ("diverged", "out_of_memory")
"""The kinds of failures that a trial's params are to blame for: the sampler shall learn from them.

A trial that fails for good with one of these counts as pruned: finished, and worse than every completed one.
"""


@dataclass(frozen=True)
class Policy:
    """What is done about a trial that fails.

    `retries` has a number for each kind; "stopped" counts where the sweep itself goes on. `trial_timeout` and
    `stall_timeout` are seconds, for a whole trial and from one report to the next.
    """

    retries: Mapping[str, int]
    trial_timeout: float | None = None
    stall_timeout: float | None = None

    def overdue(self, running: float, silent: float) -> str | None:
        """Return why a trial has to end that began, and was last heard, so many seconds ago, if it has to."""
        if self.trial_timeout is not None and running > self.trial_timeout:
            return f"it ran for more than {self.trial_timeout:g} s"
        if self.stall_timeout is not None and silent > self.stall_timeout:
            return f"it said nothing for more than {self.stall_timeout:g} s"
        return None


def check_retries(retries: Mapping[str, int]) -> None:
    """Raise InputError for a kind that is none, or a number below 0."""
    for kind, count in retries.items():
        if kind not in RETRIES:
            raise InputError(f"hydra.sweeper.retries has no {kind}: expected one of {', '.join(RETRIES)}")
        if count < 0:
            raise InputError(f"hydra.sweeper.retries.{kind} must be at least 0; got {count}")
