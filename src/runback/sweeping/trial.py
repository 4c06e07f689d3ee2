"""The trial's end of the pipe: what code that runs inside a trial can say to the coordinator."""

from dataclasses import dataclass
from multiprocessing.connection import Connection

from runback.errors import Stopped, TrialPruned
from runback.sweeping import messages


@dataclass(frozen=True)
class Trial:
    """The trial that this process runs.

    `parent` is the run ID of the sweep's MLflow run (None: the sweep is not tracked), `threads` the
    number of CPU threads that are this trial's share.
    """

    number: int
    sweep: str
    threads: int
    parent: str | None
    connection: Connection

    def attribute(self, name: str, value: str) -> None:
        """Keep a fact about this trial in the study (as a user attribute)."""
        self._send(messages.Attribute(name, value))

    def report(self, value: float, step: int) -> None:
        """Report an intermediate value; raises TrialPruned when the pruner has seen enough."""
        self._send(messages.Report(step, value))
        try:
            prune = self.connection.recv()
        except (EOFError, OSError):
            raise Stopped("the coordinator is gone") from None
        if prune:
            raise TrialPruned(f"pruned after step {step}")

    def _send(self, message: messages.Message) -> None:
        try:
            self.connection.send(message)
        except OSError:
            raise Stopped("the coordinator is gone") from None


_current: Trial | None = None


def current() -> Trial | None:
    """Return the trial that this process runs, or None outside a sweep."""
    return _current


def enter(trial: Trial | None) -> None:
    """Make `trial` the one that this process runs."""
    global _current
    _current = trial


def report(value: float, step: int) -> None:
    """Report the objective's value at a step to the sweep; outside a sweep this does nothing.

    `step` counts from 1 (epochs, boosting rounds, folds). Raises TrialPruned when the pruner decides
    that the trial should end; let it propagate.
    """
    if _current is not None:
        _current.report(float(value), int(step))
