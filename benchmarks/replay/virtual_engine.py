"""An engine that plays trials on a virtual clock: what takes minutes takes no time, in the same order."""

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from replay.curve_model import Curve
from runback.sweeping.study.attributes import EPOCHS
from runback.sweeping.study.trial_label import Label
from runback.sweeping.trials import messages
from runback.sweeping.trials.engines.engine import Ended, Event, MessageReceived
from runback.sweeping.trials.trial import Trial

NOWHERE = Path("/dev/null/no-folder")
"""The folder of trials that write nothing."""


def no_time(running: int) -> tuple[float, float]:
    """Return the seconds of a coordinator that takes no time."""
    return 0.0, 0.0


@dataclass(frozen=True)
class Costs:
    """Seconds that a training costs besides its epochs."""

    start: float
    """From a free slot to the first step: a process, the data, the network."""
    checkpoint: float
    """Each epoch's checkpoint."""
    coordination: Callable[[int], tuple[float, float]] = no_time
    """Returns what the coordinator takes to start a trial, and to answer a report, during which it does
    nothing else, by the number of trials that run."""


@dataclass(frozen=True)
class Reported:
    """An epoch that has been trained, at a time in seconds from the search's begin."""

    time: float
    trial: int
    epoch: int
    reported: float
    true: float


class SearchOver(Exception):  # noqa: N818 - no error
    """A report has come to the level that was searched for, or the time is over."""


@dataclass
class _Training:
    curve: Curve
    epoch: int
    """The last epoch trained."""
    last: int
    """The epoch after which it is done."""


@dataclass
class VirtualEngine:
    """Plays the trials that it starts; `train` is asked for the curve of a trial's params.

    A trial that is started again goes on behind the highest epoch that the study has of it, and costs its
    start and the longer first epoch of a new process again. It reports an epoch at step `epoch - 1 +
    first_step`.
    """

    train: Callable[[Mapping[str, Any]], Curve]
    costs: Costs
    n_epochs: Callable[[Mapping[str, Any]], int]
    """Returns the epochs that a trial's params ask for."""
    first_step: int = 1
    now: float = 0.0
    history: list[Reported] = field(default_factory=list)
    """All epochs trained, in the order of time."""
    level: float = math.inf
    """The value whose first report ends the search: SearchOver comes out of `events`."""
    seconds: float = math.inf
    """The time at which it ends so, too."""
    trained: float = 0.0
    """Seconds that slots had trained when it ended so, all of them together."""
    ended: float = math.nan
    """The time when it did."""

    def __post_init__(self) -> None:
        self._occupied = self._waited = 0.0
        self._begun: dict[int, float] = {}
        self._made: dict[int, FrozenTrial] = {}
        self._running: dict[int, _Training] = {}
        self._agenda: list[tuple[float, int, Event]] = []
        self._count = 0

    @property
    def is_busy(self) -> bool:
        """Whether any trial runs."""
        return bool(self._running)

    def clock(self) -> float:
        """Tell the virtual time in seconds."""
        return self.now

    def new_trial(self, proposed: FrozenTrial, previous_run_id: str | None, device: str | None) -> Trial:
        """Return the study's trial for `start`; it has nothing to call."""
        self._made[proposed.number] = proposed
        label = Label(f"#{proposed.number}", str(proposed.number), {})
        return Trial(proposed.number, "replay", label, NOWHERE, b"", 1, None, previous_run_id, device)

    def start(self, trial: Trial) -> None:
        """Begin its training, or go on with it."""
        self.now += self.costs.coordination(len(self._running))[0]
        self._begun[trial.number] = self.now
        proposed = self._made.pop(trial.number)
        steps = proposed.intermediate_values
        done = max(steps) + 1 - self.first_step if steps else 0
        training = _Training(self.train(proposed.params), done, self.n_epochs(proposed.params))
        self._running[trial.number] = training
        self._schedule(0.0, MessageReceived(trial.number, messages.Attribute(EPOCHS, str(training.last))))
        if done >= training.last:
            self._schedule(self.costs.start, self._completed(trial.number))
        else:
            self._train_epoch(trial.number, self.costs.start + training.curve.first_seconds)

    is_ready = True

    def resize(self, n: int) -> None:
        """Do nothing: it takes any number of trials."""

    def end_orphans(self, trials: Sequence[tuple[int, str, Path]]) -> None:
        """Nothing runs that is not this engine's."""

    def close(self) -> None:
        """Nothing is left."""

    def events(self, timeout: float) -> list[Event]:
        """Return what happens next, and let the time pass until then, unless `timeout` is 0."""
        if not self._agenda or (timeout == 0 and self._agenda[0][0] > self.now):
            return []
        due, _, event = heapq.heappop(self._agenda)
        late = max(0.0, self.now - due)  # the coordinator was busy with others
        self.now = max(self.now, due)
        if self.now >= self.seconds:
            self._end_search()
        if isinstance(event, Ended):
            self._running.pop(event.number, None)
            self._occupied += self.now - self._begun.pop(event.number)
        elif isinstance(event.message, messages.Report):
            self._waited += late
            self._note(event.number)
        return [event]

    def answer(self, number: int, answer: messages.Answer) -> None:
        """Let a trial go on after its report, pause or end."""
        seconds = self.costs.coordination(len(self._running))[1]
        self.now += seconds
        self._waited += seconds
        training = self._running[number]
        if answer is messages.Answer.PRUNE:
            self._schedule(0.0, Ended(number, messages.Pruned()))
        elif answer is messages.Answer.PAUSE:
            self._schedule(0.0, Ended(number, messages.Paused()))
        elif training.epoch >= training.last:
            self._schedule(0.0, self._completed(number))
        else:
            self._train_epoch(number, training.curve.seconds)

    def stop(self, number: int) -> None:
        """End a trial at once, as stopped."""
        self._end(number, messages.Failed("stopped", "stopped"))

    def kill(self, number: int) -> None:
        """End a trial at once."""
        self._end(number, messages.Failed("lost", "killed"))

    def _train_epoch(self, number: int, seconds: float) -> None:
        training = self._running[number]
        training.epoch += 1
        value = float(training.curve.reported[training.epoch - 1])
        report = messages.Report(training.epoch - 1 + self.first_step, value)
        self._schedule(seconds + self.costs.checkpoint, MessageReceived(number, report))

    def _note(self, number: int) -> None:
        training = self._running[number]
        place = training.epoch - 1
        values = (float(training.curve.reported[place]), float(training.curve.true[place]))
        self.history.append(Reported(self.now, number, training.epoch, *values))
        if values[0] >= self.level:
            self._end_search()

    def _end_search(self) -> None:
        self.level = self.seconds = math.inf  # its trials are ended, which takes events
        running = sum(self.now - begun for begun in self._begun.values())
        self.trained, self.ended = self._occupied + running - self._waited, self.now
        raise SearchOver

    def _completed(self, number: int) -> Ended:
        training = self._running[number]
        return Ended(number, messages.Completed((float(training.curve.reported[: training.last].max()),)))

    def _end(self, number: int, outcome: messages.Outcome) -> None:
        if number in self._running:
            self._agenda = [entry for entry in self._agenda if entry[2].number != number]
            heapq.heapify(self._agenda)
            self._schedule(0.0, Ended(number, outcome))

    def _schedule(self, seconds: float, event: Event) -> None:
        self._count += 1
        heapq.heappush(self._agenda, (self.now + seconds, self._count, event))
