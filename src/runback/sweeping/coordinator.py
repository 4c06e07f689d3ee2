"""The loop that owns a study: asks, starts, relays reports, decides pruning, tells.

One process writes the study. A free slot gets the next trial at once; nobody waits for a batch.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import Trial, TrialState

from runback.errors import TrainingError
from runback.interruption import held_signals
from runback.sweeping import messages
from runback.sweeping.engines.engine import Ended, Engine, Said
from runback.sweeping.process import Job
from runback.sweeping.study import FINISHED, Proposer

STOP_GRACE = 10
"""Seconds that running trials get to close their runs after Ctrl-C."""

KILL_GRACE = 5
"""Seconds that the system gets to end killed processes."""

FAILURES_IN_A_ROW = 5
"""So many failed trials in a row (or one for each worker, if that is more) end a sweep."""

ORPHANED = "its coordinator ended before it did"


class Observer(Protocol):
    """Sees everything that happens to trials; the live table and the MLflow parent run are observers."""

    def asked(self, number: int, params: dict[str, Any]) -> None:
        """A trial was proposed and is about to start."""

    def reported(self, number: int, step: int, value: float) -> None:
        """A trial reported an intermediate value."""

    def ended(self, number: int, outcome: messages.Outcome) -> None:
        """A trial's process is gone and its outcome is in the study."""

    def idle(self) -> None:
        """Nothing happened for a moment."""


@dataclass(frozen=True)
class Budget:
    """When to stop asking: `n_trials` completed or pruned in the whole study, `timeout` seconds from now.

    A timeout ends the asking; trials that run then are not cut short.
    """

    n_trials: int | None
    timeout: float | None
    n_workers: int


@dataclass
class Coordinator:
    """Runs trials of one study until the budget is used up."""

    study: Study
    proposer: Proposer
    engine: Engine
    budget: Budget
    distributions: dict[str, Any]
    job: Callable[[int, dict[str, Any]], Job]
    observers: Sequence[Observer] = ()
    _running: dict[int, Trial] = field(default_factory=dict)
    _failures_in_a_row: list[str] = field(default_factory=list)
    _stopping: bool = False

    def run(self) -> None:
        """Run until the budget is used up; on Ctrl-C, SIGTERM or SIGHUP stop the running trials and re-raise.

        A second signal kills them.
        """
        self._close_orphans()
        deadline = None if self.budget.timeout is None else time.monotonic() + self.budget.timeout
        with held_signals() as signals:  # at any moment, one could cost a trial the answer that it waits for
            try:
                while not signals.waiting:
                    while not signals.waiting and (sampler := self._next_sampler(deadline)) is not None:
                        self._start_next(sampler)
                    if not self._running:
                        return
                    self._handle_events(0.25)
                self._stop_all()
            except BaseException:
                self._kill_all()
                raise

    def _close_orphans(self) -> None:
        """Trials that a dead coordinator left running would repel the sampler for ever."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING)):
            self.study.tell(trial.number, state=TrialState.FAIL)
            for observer in self.observers:
                observer.ended(trial.number, messages.Failed("lost", ORPHANED))

    def _next_sampler(self, deadline: float | None) -> BaseSampler | None:
        """Return what proposes the next trial, or None while no slot is free or the budget is used up."""
        if len(self._running) >= self.budget.n_workers:
            return None
        if deadline is not None and time.monotonic() >= deadline:
            return None
        trials = self.study.get_trials(deepcopy=False)
        finished = sum(trial.state in FINISHED for trial in trials)
        if self.budget.n_trials is not None and finished + len(self._running) >= self.budget.n_trials:
            return None
        return self.proposer.next_sampler(trials)

    def _start_next(self, sampler: BaseSampler) -> None:
        self.study.sampler = sampler
        trial = self.study.ask(self.distributions)
        self._running[trial.number] = trial
        for observer in self.observers:
            observer.asked(trial.number, trial.params)
        self.engine.start(self.job(trial.number, trial.params))

    def _handle_events(self, timeout: float) -> None:
        events = self.engine.events(timeout)
        for event in events:
            if isinstance(event, Said):
                self._said(event.number, event.message)
            elif isinstance(event, Ended):
                self._tell(event.number, event.outcome)
        if not events:
            for observer in self.observers:
                observer.idle()

    def _said(self, number: int, message: messages.Report | messages.Attribute) -> None:
        trial = self._running[number]
        if isinstance(message, messages.Attribute):
            trial.set_user_attr(message.name, message.value)
            return
        prune = False
        if len(self.study.directions) == 1:
            trial.report(message.value, message.step)
            prune = trial.should_prune()
        self.engine.answer(number, prune)
        for observer in self.observers:
            observer.reported(number, message.step, message.value)

    def _tell(self, number: int, outcome: messages.Outcome) -> None:
        trial = self._running.pop(number)
        match outcome:
            case messages.Completed(values) if len(values) != len(self.study.directions):
                outcome = messages.Failed(
                    "code",
                    f"expected {len(self.study.directions)} objective values; the task gave {len(values)}",
                )
            case messages.Completed(values) if any(value != value for value in values):
                outcome = messages.Failed("diverged", "the objective's value is nan")
        match outcome:
            case messages.Completed(values):
                self.study.tell(trial, list(values))
            case messages.Pruned():
                self.study.tell(trial, state=TrialState.PRUNED)
            case messages.Failed(kind, reason):
                trial.set_user_attr("failure", f"{kind}: {reason}")
                self.study.tell(trial, state=TrialState.FAIL)
        for observer in self.observers:
            observer.ended(number, outcome)
        self._give_up_if_hopeless(outcome)

    def _give_up_if_hopeless(self, outcome: messages.Outcome) -> None:
        """Failed trials do not use up `n_trials`: without an end, a bug would be tried for ever."""
        if not isinstance(outcome, messages.Failed):
            self._failures_in_a_row.clear()
            return
        if outcome.kind == "stopped":
            return
        self._failures_in_a_row.append(outcome.reason)
        failures = self._failures_in_a_row
        if len(failures) >= max(FAILURES_IN_A_ROW, self.budget.n_workers) and not self._stopping:
            raise TrainingError(
                f"{len(failures)} trials in a row failed, the last one with: {outcome.reason}"
            )

    def _stop_all(self) -> None:
        self._stopping = True
        for number in self._running:
            self.engine.stop(number)
        self._wait_for_ends(STOP_GRACE)
        self._kill_all()

    def _kill_all(self) -> None:
        self._stopping = True
        for number in self._running:
            self.engine.kill(number)
        self._wait_for_ends(KILL_GRACE)
        for number in list(self._running):  # asked, but never started
            self._tell(number, messages.Failed("stopped", "stopped before it started"))

    def _wait_for_ends(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._running and time.monotonic() < deadline:
            self._handle_events(0.1)
            if not self.engine.is_busy:
                return
