"""The messages of the trial protocol: small, picklable, sent over the pipe between trial and coordinator."""

from dataclasses import dataclass
from enum import Enum


class Answer(Enum):
    """The coordinator's answer to a report."""

    GO_ON = "go on"
    PAUSE = "pause"
    """Keep a checkpoint and end: another process goes on from it, or none."""
    PRUNE = "prune"


@dataclass(frozen=True)
class Report:
    """The objective's value at a step; the coordinator gives an `Answer`."""

    step: int
    value: float


@dataclass(frozen=True)
class Attribute:
    """A fact about the trial, for a user attribute in the study."""

    name: str
    value: str


@dataclass(frozen=True)
class Notice:
    """Lines that a person should read before the sweep, from the check before its first trial."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Completed:
    """The task function returned; one value for each objective."""

    values: tuple[float, ...]


@dataclass(frozen=True)
class Pruned:
    """The trial obeyed the order to end."""


@dataclass(frozen=True)
class Paused:
    """The trial has kept a checkpoint, and waits to go on."""


@dataclass(frozen=True)
class Preempted:
    """The trial's worker had to leave, and it has kept a checkpoint: it goes on elsewhere."""

    reason: str


@dataclass(frozen=True)
class Failed:
    """The trial ended without a value, for one of the reasons of `failures.KINDS`."""

    kind: str
    reason: str
    traceback: str = ""


@dataclass(frozen=True)
class Unfit:
    """The process was warmed up in a way that rules the trial out; nothing was done, a fresh one can."""


Outcome = Completed | Pruned | Failed
"""The end of a trial."""

Message = Report | Attribute | Notice | Unfit | Paused | Preempted | Outcome
