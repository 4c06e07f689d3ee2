"""The trial's end of the pipe: what code that runs inside a trial can say to the coordinator."""

import os
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from runback.errors import DiskFull, Stopped, TrainingError, TrialPruned
from runback.sweeping.study.objective_value import number
from runback.sweeping.study.objective_value import step as steps
from runback.sweeping.study.trial_label import Label
from runback.sweeping.trials import messages, outcome_file
from runback.system.files.full_disk import is_full
from runback.system.secrecy import redacted_excerpt

ATTRIBUTE = 1000
"""Characters of an attribute."""

STORE_PATIENCE = 600.0
"""Seconds that a trial waits for a store that is away before it begins or goes on."""


@dataclass(frozen=True)
class Trial:
    """The trial that this process runs.

    `parent` is the run ID of the sweep's MLflow run (None: the sweep is not tracked), `threads` the
    number of CPU threads that are this trial's share, `begun` the run ID that an earlier process of this
    trial gave it, which was stopped or died (empty: it did not say; None: there was none), `device` its GPU
    (None: the CPU), `label` what it is called.
    """

    number: int
    sweep: str
    threads: int
    parent: str | None
    folder: Path
    connection: Connection
    label: Label
    begun: str | None = None
    device: str | None = None
    _process: int = field(default_factory=os.getpid)

    @property
    def is_own_process(self) -> bool:
        """Whether this process is the trial's own, and not one that it has forked."""
        return os.getpid() == self._process

    def attribute(self, name: str, value: str) -> None:
        """Keep a fact about this trial in the study (as a user attribute)."""
        self._send(messages.Attribute(name, redacted_excerpt(value, ATTRIBUTE)))

    def report(self, value: float, step: int) -> None:
        """Report an intermediate value; raises TrialPruned when the pruner has seen enough."""
        self._send(messages.Report(steps(step), number(value)))
        try:
            prune = self.connection.recv()
        except (EOFError, OSError):
            raise Stopped("the coordinator is gone") from None
        if prune:
            self.end(messages.Pruned())
            raise TrialPruned(f"pruned after step {step}")

    def completed(self, values: tuple[float, ...]) -> None:
        """Keep the objectives' values: from here on the trial counts as completed, whoever dies next."""
        self.end(messages.Completed(values))

    def end(self, how: messages.Completed | messages.Pruned) -> None:
        """Keep how this trial ends where the coordinator's successor finds it. Errors: TrainingError."""
        self._refuse_fork()
        try:
            outcome_file.write_outcome(self.folder, how)
        except OSError as error:
            if is_full(error):
                raise DiskFull(f"the disk is full: cannot write {self.folder}") from error
            raise TrainingError(f"cannot write {self.folder}: {error.strerror or error}") from error

    def _refuse_fork(self) -> None:
        if not self.is_own_process:
            raise TrainingError("a process that a trial has forked cannot report for it")

    def _send(self, message: messages.Message) -> None:
        self._refuse_fork()
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
        _current.report(value, step)
