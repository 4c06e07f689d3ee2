"""The messages of the trial protocol: small, picklable, sent over the pipe between trial and coordinator."""

from dataclasses import dataclass

KINDS = {
    "out_of_memory": "the system killed it for its memory, or the device had none left",
    "diverged": "the loss or the objective is not finite",
    "timeout": "it took too long as a whole, or from one report to the next",
    "lost": "its process was killed, crashed, or went away with its machine",
    "data": "the images or labels cannot be used",
    "input": "its config cannot be trained",
    "store": "what it records cannot be kept: the disk is full, or the store was away for too long",
    "code": "an exception, or a value that is no number",
    "stopped": "it was asked to stop: with the whole sweep, or by somebody else",
}
"""Why a trial ends without a value."""


@dataclass(frozen=True)
class Report:
    """The objective's value at a step; the coordinator answers with True to prune, False to go on."""

    step: int
    value: float


@dataclass(frozen=True)
class Attribute:
    """A fact about the trial, kept in the study as a user attribute."""

    name: str
    value: str


@dataclass(frozen=True)
class Completed:
    """The task function returned; one value for each objective."""

    values: tuple[float, ...]


@dataclass(frozen=True)
class Pruned:
    """The trial obeyed the order to end."""


@dataclass(frozen=True)
class Failed:
    """The trial ended without a value, for one of the `KINDS` of reasons."""

    kind: str
    reason: str
    traceback: str = ""


@dataclass(frozen=True)
class Unfit:
    """The process was warmed up in a way that rules the job out; nothing was done, a fresh one can do it."""


Outcome = Completed | Pruned | Failed
Message = Report | Attribute | Unfit | Outcome
