"""The engine that a coordinator runs its trials on: a contract, whatever machines are behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runback.sweeping.trials import messages
from runback.sweeping.trials.trial import Trial


@dataclass(frozen=True)
class MessageReceived:
    """A running trial has sent a report or an attribute."""

    number: int
    message: messages.Report | messages.Attribute | messages.Notice


@dataclass(frozen=True)
class Ended:
    """A trial has succeeded, or its process is gone, with or without having sent an outcome."""

    number: int
    outcome: messages.Outcome | messages.Paused | messages.Preempted


Event = MessageReceived | Ended


class Engine(Protocol):
    """Runs trials, one process each, and relays their messages."""

    @property
    def is_busy(self) -> bool:
        """Whether any trial runs."""

    @property
    def is_ready(self) -> bool:
        """Whether a trial could start now: there is a worker for it."""

    def start(self, trial: Trial) -> None:
        """Start a process for this trial; returns at once."""

    def events(self, timeout: float) -> list[Event]:
        """Return what happened, waiting up to `timeout` seconds for something to happen."""

    def answer(self, number: int, answer: messages.Answer) -> None:
        """Answer a trial's report."""

    def stop(self, number: int) -> None:
        """Ask a trial to stop; it ends as failed (stopped) within its grace period."""

    def kill(self, number: int) -> None:
        """End a trial's process at once."""

    def end_orphans(self, trials: Sequence[tuple[int, str, Path]]) -> None:
        """Wait until no process runs any more of trials of an earlier coordinator: number, mark, folder.

        A mark says which process it was, see `process_owner`; it is empty where none was noted.
        """

    def resize(self, n: int) -> None:
        """Be ready for `n` trials at once, where that has to be seen to."""

    def close(self) -> None:
        """End what still runs, and whatever runs trials."""
