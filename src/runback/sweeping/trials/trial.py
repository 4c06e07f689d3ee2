"""A trial: its description by the coordinator, and the client through which its process reports back."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from runback.errors import DiskFull, Stopped, TrainingError, TrialPaused, TrialPruned
from runback.sweeping.study.attributes import DATA, EPOCHS, RECORDED, RUN_ID
from runback.sweeping.study.objective_value import number
from runback.sweeping.study.objective_value import step as steps
from runback.sweeping.study.trial_label import Label
from runback.sweeping.trials import messages, outcome_file
from runback.system.files.full_disk import is_full
from runback.system.secrecy import redacted_excerpt

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from runback.sweeping.trial_run import TrialRun

ATTRIBUTE = 1000
"""Characters of an attribute, and of a line of a notice."""

STORE_PATIENCE = 600.0
"""Seconds that a trial waits for a store that is away before it begins or goes on."""


@dataclass(frozen=True)
class Trial:
    """One trial, ready to run in a process of its own."""

    number: int
    sweep: str
    label: Label
    folder: Path
    """Its output goes there."""
    call: bytes
    """The task: a function without arguments, cloudpickled (by value, because Hydra's decorator hides it from
    import). It travels over a pipe between our own processes, never over disk or network."""
    threads: int
    """Its share of the CPU's."""
    parent: str | None
    """The run ID of the sweep's MLflow run; None: the sweep is not tracked."""
    previous_run_id: str | None = None
    """The run of an earlier process of this trial that was stopped or died; empty: that process named none;
    None: there was no such process."""
    device: str | None = None
    """Its GPU; None: the CPU."""

    @classmethod
    def of(
        cls,
        task: Callable[[], Any],
        *,
        number: int,
        sweep: str,
        folder: Path,
        threads: int,
        parent: str | None,
        label: Label | None = None,
        previous_run_id: str | None = None,
        device: str | None = None,
    ) -> "Trial":
        """Return the trial that calls `task`, frozen as it is now, whatever it closes over included.

        By default its number is its label.
        """
        import cloudpickle  # a training outside a sweep needs none of it

        return cls(
            number=number,
            sweep=sweep,
            label=label or Label(f"#{number}", str(number), {}),
            folder=folder,
            call=cloudpickle.dumps(task),
            threads=threads,
            parent=parent,
            previous_run_id=previous_run_id,
            device=device,
        )


class TrialClient:
    """A trial in its own process: reports to the coordinator, and writes the trial's outcome."""

    def __init__(self, trial: Trial, connection: "Connection") -> None:
        self.trial = trial
        self.outcome: messages.Completed | messages.Pruned | None = None
        """The outcome that is written in the trial's folder; None: it has none yet."""
        self.run: TrialRun | None = None
        """The run that is recorded for it; None: its task records one itself, or the sweep is not tracked."""
        self.is_pausing = False
        """Whether it is to pause, as soon as it has kept a checkpoint."""
        self._connection = connection
        self._process = os.getpid()

    @property
    def is_own_process(self) -> bool:
        """Whether this process is the trial's own, and not one that it has forked."""
        return os.getpid() == self._process

    def attribute(self, name: str, value: str) -> None:
        """Set a user attribute of this trial in the study; secrets are left out of the text, which is cut."""
        self._send(messages.Attribute(name, redacted_excerpt(value, ATTRIBUTE)))

    def records(self, run_id: str) -> None:
        """Say that the task records a run itself, which has this ID."""
        self.run = None
        self.note_run(run_id)
        self.attribute(RECORDED, "true")

    def note_run(self, run_id: str) -> None:
        """Let the study know the trial's run."""
        self.attribute(RUN_ID, run_id)

    def notice(self, lines: Sequence[str]) -> None:
        """Send lines that the sweep prints once its check has passed: each cut, without secrets."""
        self._send(messages.Notice(tuple(redacted_excerpt(line, ATTRIBUTE) for line in lines)))

    def note_data(self, fingerprint: str) -> None:
        """Let the sweep know the fingerprint of the data that this process has read, in hexadecimal."""
        self._send(messages.Attribute(DATA, fingerprint))

    def has_epochs(self, epochs: int) -> None:
        """Let the study know how many epochs the trial has in all."""
        self.attribute(EPOCHS, str(epochs))

    def report(self, value: float, step: int) -> None:
        """Report an intermediate value; raises TrialPruned when the pruner has seen enough.

        Where the trial is to pause, `is_pausing` says so from here on.
        """
        if self.run is not None:
            self.run.report(number(value), steps(step))
        self._send(messages.Report(steps(step), number(value)))
        try:
            answer = self._connection.recv()
        except (EOFError, OSError):
            raise Stopped("the coordinator is gone") from None
        if answer is messages.Answer.PRUNE:
            self.end(messages.Pruned())
            raise TrialPruned(f"pruned after step {step}")
        self.is_pausing = answer is messages.Answer.PAUSE

    def pause(self) -> NoReturn:
        """End the process of a trial that is to pause. Raises TrialPaused."""
        raise TrialPaused("paused by the sweep")

    def completed(self, values: tuple[float, ...]) -> None:
        """Write the objectives' values: from here on the trial counts as completed, whoever dies next."""
        self.end(messages.Completed(values))

    def end(self, outcome: messages.Completed | messages.Pruned) -> None:
        """Write this trial's outcome into its folder, once. Errors: DiskFull, TrainingError."""
        self._refuse_fork()
        if outcome == self.outcome:
            return
        try:
            outcome_file.write_outcome(self.trial.folder, outcome)
        except OSError as error:
            folder = self.trial.folder
            if is_full(error):
                raise DiskFull(f"the disk is full: cannot write {folder}") from error
            raise TrainingError(f"cannot write {folder}: {error.strerror or error}") from error
        self.outcome = outcome

    def _refuse_fork(self) -> None:
        if not self.is_own_process:
            raise TrainingError("a process that a trial has forked cannot report for it")

    def _send(self, message: messages.Message) -> None:
        self._refuse_fork()
        try:
            self._connection.send(message)
        except OSError:
            raise Stopped("the coordinator is gone") from None


_current: TrialClient | None = None


def current() -> TrialClient | None:
    """Return the trial that this process runs, or None outside a sweep."""
    return _current


def enter(client: TrialClient | None) -> None:
    """Make `client` the trial that this process runs; None: it runs none."""
    global _current
    _current = client


def report(value: float, step: int) -> None:
    """Report the objective's value at a step to the sweep; outside a sweep this does nothing.

    `step` counts from 1 (epochs, boosting rounds, folds). Raises TrialPruned when the pruner decides
    that the trial should end, TrialPaused when it pauses; let them propagate.
    """
    if _current is not None:
        _current.report(value, step)
        if _current.is_pausing:  # it keeps no checkpoint: it begins again, where it goes on
            _current.pause()
