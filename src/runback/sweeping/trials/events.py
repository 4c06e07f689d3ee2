"""The events of a sweep, as its coordinator emits them to its observers, one after the other."""

from collections.abc import Callable
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from runback.sweeping.trials import messages


@dataclass(frozen=True)
class TrialStarted:
    """Emitted when a trial was proposed, or is taken from the study again, and before it gets a process."""

    trial: FrozenTrial


@dataclass(frozen=True)
class TrialReported:
    """Emitted when a trial has reported an intermediate value."""

    trial: FrozenTrial
    """The trial as it was when it started: to read it again at each report would cost too much."""
    step: int
    value: float


@dataclass(frozen=True)
class TrialRequeued:
    """Emitted when a trial's process is gone and the trial waits in the study for another."""

    trial: FrozenTrial
    failure: messages.Failed


@dataclass(frozen=True)
class PartEnded:
    """Emitted when a trial is paused in the study; its process is gone, or leaving."""

    trial: FrozenTrial
    is_process_lost: bool = False
    """Whether its process died before it could close its run."""


@dataclass(frozen=True)
class TrainedAgain:
    """Emitted when a trial trains a step, for once, that it had come to before, as before its pause.

    So no checkpoint of its last step could be used.
    """

    trial: FrozenTrial
    step: int
    paused_at: int


@dataclass(frozen=True)
class TrialRecovered:
    """Emitted when a trial's process died after the trial had ended, perhaps before it had closed its run.

    The outcome is not in the study yet: `TrialEnded` follows.
    """

    trial: FrozenTrial
    outcome: messages.Completed | messages.Pruned


@dataclass(frozen=True)
class TrialEnded:
    """Emitted when a trial's outcome is in the study; its process is gone, or leaving."""

    trial: FrozenTrial
    outcome: messages.Outcome


@dataclass(frozen=True)
class TrialTakenOver:
    """Emitted when a trial's process was ended here because another coordinator has taken the trial over."""

    trial: FrozenTrial


@dataclass(frozen=True)
class Idle:
    """Emitted when nothing has happened for a moment."""


SweepEvent = (
    TrialStarted
    | TrialReported
    | TrialRequeued
    | PartEnded
    | TrainedAgain
    | TrialRecovered
    | TrialEnded
    | TrialTakenOver
    | Idle
)

Observer = Callable[[SweepEvent], None]
"""Called for each event, in the coordinator's own thread: trials wait meanwhile."""
