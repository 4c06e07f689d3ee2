"""The loop that owns a study: asks, starts, relays reports, decides pruning, tells.

One process writes the study. A free slot gets the next trial at once; nobody waits for a batch. A trial that
was stopped, or is tried again, waits in the study (Optuna's state WAITING) with its params, its reports and
its number; what is asked for next is the first that waits.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from runback.sweeping.deciding.decisions import Decisions
from runback.sweeping.deciding.pruning import Pruning
from runback.sweeping.study.attributes import ALONE, ATTEMPTS, ENDED_BY, FAILURE, PROCESS, PRUNED_AT, RUN_ID
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.study_store import FINISHED, TrialEntry
from runback.sweeping.trials import messages
from runback.sweeping.trials import outcome_file as outcomes
from runback.sweeping.trials.devices import least_used
from runback.sweeping.trials.engines.engine import Ended, Engine, Said
from runback.sweeping.trials.events import (
    Idle,
    Observer,
    SweepEvent,
    TrialEnded,
    TrialRecovered,
    TrialReported,
    TrialRequeued,
    TrialStarted,
)
from runback.sweeping.trials.failures import KINDS, FailurePolicy, FailuresInARow
from runback.sweeping.trials.trial import Trial
from runback.sweeping.trials.trial_output import OUTPUT, tidy
from runback.sweeping.trials.worker import ORPHANED
from runback.system.files.process_owner import end, is_abandoned, is_open_in
from runback.system.stop_signals import held_signals

STOP_GRACE = 10
"""Seconds that running trials get to write their checkpoints and close their runs after Ctrl-C."""

KILL_GRACE = 5
"""Seconds that the system gets to end killed processes."""

ORPHAN_GRACE = 15
"""Seconds that trials of a coordinator that was killed get to end by themselves."""


@dataclass(frozen=True)
class _Place:
    device: str | None
    alone: bool
    """Whether nothing else may run there."""


@dataclass
class _RunningTrial:
    entry: TrialEntry
    pruning: Pruning
    reported: set[int]
    """Steps whose values the study has."""
    pruned_at: int | None
    place: _Place
    started: float
    heard: float
    folder: Path | None = None
    """None until it has a process."""
    overdue: str | None = None
    """Why it was killed for taking too long."""


@dataclass
class Coordinator:
    """Runs trials of one study until the budget is used up."""

    study: Study
    decisions: Decisions
    engine: Engine
    budget: Budget
    policy: FailurePolicy
    new_trial: Callable[[FrozenTrial, str | None, str | None], Trial]
    """Makes a trial, ready to run, from the study's, its `previous_run_id` and its device."""
    observers: Sequence[Observer] = ()
    devices: Sequence[str] = ()
    """The GPUs that trials run on; none: on the CPU."""
    _running: dict[int, _RunningTrial] = field(default_factory=dict)
    _asked: int = 0
    """How many trials the study has."""
    _stopping: bool = False

    def __post_init__(self) -> None:
        self._failures_in_a_row = FailuresInARow(self.budget.n_workers)

    def run(self) -> None:
        """Run until the budget is used up; on Ctrl-C, SIGTERM or SIGHUP stop the running trials and re-raise.

        A second signal kills them.
        """
        deadline = None if self.budget.timeout is None else time.monotonic() + self.budget.timeout
        with held_signals() as signals:  # at any moment, one could cost a trial the answer that it waits for
            try:
                self._take_up()
                while not signals.waiting:
                    while not signals.waiting and self._start_next(deadline):
                        pass
                    if not self._running:
                        return
                    self._handle_events(0.25)
                    self._kill_overdue()
                self._stop_all()
            except BaseException:
                self._kill_all()
                raise

    def _take_up(self) -> None:
        """Take up what another coordinator left: results that it did not hear of, and trials to go on."""
        trials = self.study.get_trials(deepcopy=False)
        self._asked = len(trials)
        left = [trial for trial in trials if trial.state == TrialState.RUNNING]
        folders = [self.new_trial(trial, None, None).folder for trial in left]
        marks = [str(found.user_attrs.get(PROCESS, "")) for found in left]
        _wait_for_orphans(list(zip(marks, folders, strict=True)))
        for found, folder in zip(left, folders, strict=True):
            tidy(folder / OUTPUT)
            outcome = outcomes.read_outcome(folder)
            entry = TrialEntry(self.study, found)
            self._settle(entry, outcome or messages.Failed("stopped", ORPHANED), is_recovered=True)

    def _start_next(self, deadline: float | None) -> bool:
        """Start a trial, unless no slot is free or the budget is used up; return whether one was started."""
        if len(self._running) >= self.budget.n_workers:
            return False
        if deadline is not None and time.monotonic() >= deadline:
            return False
        trials = self.study.get_trials(deepcopy=False)
        finished = sum(trial.state in FINISHED for trial in trials)
        if self.budget.n_trials is not None and finished + len(self._running) >= self.budget.n_trials:
            return False
        waiting = next((trial for trial in trials if trial.state == TrialState.WAITING), None)
        place = self._place(alone=waiting is not None and bool(waiting.user_attrs.get(ALONE)))
        if place is None:
            return False
        entry = self.decisions.next_trial(trials) if waiting is None else TrialEntry(self.study, waiting)
        if entry is None:
            return False
        self._asked = max(self._asked, entry.number + 1)
        self._start(entry, self.decisions.pruning(entry.found, trials), place, is_new=waiting is None)
        return True

    def _place(self, *, alone: bool) -> _Place | None:
        """Return where the next trial runs: beside the fewest others, where none has to be alone."""
        used = [running.place.device for running in self._running.values()]
        closed = used if alone else [r.place.device for r in self._running.values() if r.place.alone]
        if not self.devices:
            return None if closed else _Place(None, alone)
        device = least_used(self.devices, used, closed)
        return None if device is None else _Place(device, alone)

    def _start(self, entry: TrialEntry, pruning: Pruning, place: _Place, *, is_new: bool) -> None:
        now = time.monotonic()
        running = _RunningTrial(
            entry,
            pruning,
            reported=set(entry.found.intermediate_values),
            pruned_at=entry.found.user_attrs.get(PRUNED_AT),
            place=place,
            started=now,
            heard=now,
        )
        self._running[entry.number] = running
        entry.begin()
        self._emit(TrialStarted(entry.found))
        previous_run_id = None if is_new else str(entry.found.user_attrs.get(RUN_ID, ""))
        trial = self.new_trial(entry.found, previous_run_id, place.device)
        running.folder = trial.folder
        outcomes.forget(trial.folder)
        self.engine.start(trial)

    def _handle_events(self, timeout: float) -> None:
        events = self.engine.events(timeout)
        for event in events:
            if isinstance(event, Said):
                self._said(event.number, event.message)
            elif isinstance(event, Ended):
                self._ended(event.number, event.outcome)
        if not events:
            self._emit(Idle())

    def _emit(self, event: SweepEvent) -> None:
        for observer in self.observers:
            observer(event)

    def _read(self, entry: TrialEntry) -> FrozenTrial:
        """Return a trial as the study has it now."""
        return self.study.get_trials(deepcopy=False)[entry.number]

    def _said(self, number: int, message: messages.Report | messages.Attribute) -> None:
        running = self._running[number]
        running.heard = time.monotonic()
        if isinstance(message, messages.Attribute):
            running.entry.note(message.name, message.value)
            return
        value = message.value if math.isfinite(message.value) else math.nan  # no pruner takes it for the best
        prune = len(self.study.directions) == 1 and self._is_pruned(running, message.step, value)
        self.engine.answer(number, prune)
        self._emit(TrialReported(running.entry.found, message.step, value))

    def _is_pruned(self, running: _RunningTrial, step: int, value: float) -> bool:
        if step not in running.reported:  # a trial that is tried again repeats itself
            running.entry.report(step, value)
            running.reported.add(step)
        if running.pruned_at is None and running.pruning.decide(step, value):
            # Whoever is killed next: what was decided once, stays so.
            running.entry.note(PRUNED_AT, step)
            running.pruned_at = step
        return running.pruned_at is not None and step >= running.pruned_at

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for number, running in self._running.items():
            reason = self.policy.overdue(now - running.started, now - running.heard)
            if reason is not None and running.overdue is None:
                running.overdue = reason
                self.engine.kill(number)

    def _ended(self, number: int, outcome: messages.Outcome) -> None:
        running = self._running[number]  # until the study knows, whatever interrupts this
        kept = None if running.folder is None else outcomes.read_outcome(running.folder)
        if isinstance(outcome, messages.Failed) and kept is not None:
            self._settle(running.entry, kept, is_recovered=True)
        elif isinstance(outcome, messages.Failed) and running.overdue is not None:
            self._settle(running.entry, messages.Failed("timeout", running.overdue))
        else:
            self._settle(running.entry, outcome)

    def _settle(self, entry: TrialEntry, outcome: messages.Outcome, *, is_recovered: bool = False) -> None:
        """Put a trial's outcome into the study, or the trial back."""
        outcome = self._checked(outcome)
        if self._stopping and isinstance(outcome, messages.Failed) and outcome.kind == "lost":
            outcome = messages.Failed("stopped", "killed when the sweep was stopped")
        if is_recovered and not isinstance(outcome, messages.Failed):
            self._emit(TrialRecovered(self._read(entry), outcome))
        if isinstance(outcome, messages.Failed):
            entry.note(FAILURE, f"{outcome.kind}: {outcome.reason}")
            is_stopping = self._stopping or is_recovered  # and not one trial alone, by somebody else
            if (outcome.kind == "stopped" and is_stopping) or self._is_tried_again(entry, outcome.kind):
                return self._put_back(entry, outcome)
            entry.note(ENDED_BY, outcome.kind)
        self._tell(entry, outcome)
        self._running.pop(entry.number, None)
        self._emit(TrialEnded(self._read(entry), outcome))
        if not self._stopping:
            self._failures_in_a_row.count(outcome, self._asked - len(self._running))
        return None

    def _tell(self, entry: TrialEntry, outcome: messages.Outcome) -> None:
        self.decisions.annotate(entry)
        match outcome:
            case messages.Completed(values):
                self.study.tell(entry.number, list(values))
            case messages.Failed(kind) if not KINDS[kind].blames_params:
                self.study.tell(entry.number, state=TrialState.FAIL)
            case _:
                self.study.tell(entry.number, state=TrialState.PRUNED)

    def _checked(self, outcome: messages.Outcome) -> messages.Outcome:
        match outcome:
            case messages.Completed(values) if len(values) != len(self.study.directions):
                wanted = len(self.study.directions)
                return messages.Failed(
                    "code", f"expected {wanted} objective values; the task gave {len(values)}"
                )
            case messages.Completed(values) if not all(map(math.isfinite, values)):
                value = next(value for value in values if not math.isfinite(value))
                return messages.Failed("diverged", f"the objective's value is {value}")
        return outcome

    def _is_tried_again(self, entry: TrialEntry, kind: str) -> bool:
        attempts = {**entry.attributes.get(ATTEMPTS, {})}
        attempts[kind] = attempts.get(kind, 0) + 1
        if attempts[kind] > self.policy.retries[kind]:
            return False
        entry.note(ATTEMPTS, attempts)
        if kind == "out_of_memory":
            entry.note(ALONE, True)
        return True

    def _put_back(self, entry: TrialEntry, failure: messages.Failed) -> None:
        entry.wait()
        self._running.pop(entry.number, None)
        self._emit(TrialRequeued(self._read(entry), failure))

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
            self._ended(number, messages.Failed("stopped", "stopped before it started"))

    def _wait_for_ends(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._running and time.monotonic() < deadline:
            self._handle_events(0.1)
            if not self.engine.is_busy:
                return


def _wait_for_orphans(trials: Sequence[tuple[str, Path]]) -> None:
    """Wait until no trial of these processes and folders runs any more; in the end, kill what still does.

    The study may be somebody else's, and name any process: one that does not print into its trial's folder
    is left alone.
    """
    deadline = time.monotonic() + ORPHAN_GRACE
    left = [process for process, folder in trials if is_open_in(process, folder / OUTPUT)]
    while (
        left := [process for process in left if not is_abandoned(process)]
    ) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in left:
        end(process)
