"""The loop that owns a study: asks, starts, relays reports, decides pruning, tells.

One process writes the study. A free slot gets the next trial at once; nobody waits for a batch. A trial that
was stopped, or is tried again, waits in the study (Optuna's state WAITING) with its params, its reports and
its number; what is asked for next is the first that waits.

A trial's states in the study, which the coordinator alone writes:

                                    +--> COMPLETE  it has its values
    proposed --> RUNNING -----------+--> PRUNED    it was pruned, or failed for good by its params' fault
                 |  ^ |  ^          +--> FAIL      it failed for good by another fault
    it failed or |  | |  | the decisions choose it, before a new trial
     was stopped v  | |  |
             WAITING  v  |
                      WAITING, paused -> PRUNED    it can go on no more, or nothing is left to do

What waits otherwise starts first, when a slot is free. A paused trial (see `promoting`) has the attribute
`paused_at`, and no part that began behind it; its checkpoints are removed when it is pruned.

From RUNNING on, in this order (an arrow is a message; the coordinator writes what goes to the study):

    coordinator   params, RUNNING -> study;  removes outcome.json;  the trial -> a process
    trial         output.log;  `process` -> study
    trial         its run in MLflow, run.json;  `run_id` -> study
    trial         each epoch: metrics.jsonl;  the value -> study
    coordinator      `pruned_at` -> study, where it is decided that the trial ends, or `paused_at`, that it
                     pauses;  the answer -> trial
    trial         a checkpoint and the end of its run, where it pauses
    trial         outcome.json, unless it has failed;  the end of its run;  its outcome -> coordinator
    coordinator   COMPLETE or PRUNED -> study, or WAITING, of a paused one
                  of a failure: `failure`, then `attempts`, WAITING -> study
                                or `ended_by`, FAIL or PRUNED -> study

What a kill leaves:

    trial, before outcome.json   a failure: the trial is tried again, or has failed for good
    trial, after `paused_at`     it is paused: it goes on from the checkpoint that it has. A failure of
                                 another kind than lost or stopped takes the pause back, and is one as before
    trial, after outcome.json    the outcome counts: the coordinator closes the run, then writes the state
    coordinator                  RUNNING, with the attributes of that moment. Its trials stop by themselves;
                                 the next coordinator waits for them, takes the outcomes that it finds in
                                 their folders, and puts the others back to WAITING
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
from runback.sweeping.study.attributes import (
    ALONE,
    ATTEMPTS,
    ENDED_BY,
    FAILURE,
    PAUSED_AT,
    PROCESS,
    PRUNED_AT,
    REQUEUED_AT,
    RUN_ID,
    TIMES,
)
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.states import has_paused, is_paused, last_pause, state
from runback.sweeping.study.study_store import FINISHED, TrialEntry
from runback.sweeping.study.training_times import process_ended, process_started, trained_seconds
from runback.sweeping.trials import messages
from runback.sweeping.trials import outcome_file as outcomes
from runback.sweeping.trials.devices import least_used
from runback.sweeping.trials.engines.engine import Ended, Engine, MessageReceived
from runback.sweeping.trials.events import (
    Idle,
    Observer,
    PartEnded,
    SweepEvent,
    TrainedAgain,
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
from runback.tracking.layout import CHECKPOINTS

STOP_GRACE = 10
"""Seconds that running trials get to write their checkpoints and close their runs after Ctrl-C."""

KILL_GRACE = 5
"""Seconds that the system gets to end killed processes."""

ORPHAN_GRACE = 15
"""Seconds that trials of a coordinator that was killed get to end by themselves."""


@dataclass(frozen=True)
class _Slot:
    device: str | None
    alone: bool
    """Whether nothing else may run on the device."""


@dataclass
class _RunningTrial:
    entry: TrialEntry
    pruning: Pruning
    reported: set[int]
    """Steps whose values the study has."""
    pruned_at: int | None
    slot: _Slot
    started: float
    """The clock's time, as if it had not paused since it was last put back."""
    last_message: float
    folder: Path | None = None
    """None until it has a process."""
    overdue: str | None = None
    """Why it was killed for taking too long."""
    paused_at: int | None = None
    """The step of the pause that it goes on from; None where it goes on from none, or has reported since."""


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
    clock: Callable[[], float] = time.monotonic
    """Tells the seconds that budget and patience are measured by: those of the engine's trials."""
    _running: dict[int, _RunningTrial] = field(default_factory=dict)
    _n_trials: int = 0
    """The number of trials in the study."""
    _stopping: bool = False
    _deadline: float = math.inf
    """The clock's time from which on no trial is started or goes on."""

    def __post_init__(self) -> None:
        self._failures_in_a_row = FailuresInARow(self.budget.n_workers)

    def run(self) -> None:
        """Run until the budget is used up; on Ctrl-C, SIGTERM or SIGHUP stop the running trials and re-raise.

        A second signal kills them.
        """
        if self.budget.timeout is not None:
            self._deadline = self.clock() + self.budget.timeout
        with held_signals() as signals:  # at any moment, one could cost a trial the answer that it waits for
            try:
                self._recover()
                while not signals.waiting:
                    while not signals.waiting and self._start_next():
                        pass
                    if not self._running:
                        return self._end_paused()
                    self._handle_events(0.25)
                    self._kill_overdue()
                self._stop_all()
            except BaseException:
                self._kill_all()
                raise

    @property
    def was_timed_out(self) -> bool:
        """Whether its budget's timeout is over."""
        return self.clock() >= self._deadline

    def _recover(self) -> None:
        """Recover the trials that another coordinator left running: their outcomes, or else put them back."""
        trials = self.study.get_trials(deepcopy=False)
        self._n_trials = len(trials)
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        folders = [self.new_trial(trial, None, None).folder for trial in running]
        processes = [str(trial.user_attrs.get(PROCESS, "")) for trial in running]
        _wait_for_orphans(list(zip(processes, folders, strict=True)))
        for trial, folder in zip(running, folders, strict=True):
            entry = TrialEntry(self.study, trial)
            _note_end(entry, _last_written(folder))
            tidy(folder / OUTPUT)
            written = outcomes.read_outcome(folder)
            if written is None and is_paused(trial):
                self._pause(entry, is_process_lost=True)
            else:
                outcome = written or messages.Failed("stopped", ORPHANED)
                self._conclude(entry, outcome, is_recovered=True)
        if running:
            self._eliminate()

    def _start_next(self) -> bool:
        """Start a trial, unless no slot is free or the budget is used up; return whether one was started."""
        if len(self._running) >= self.budget.n_workers:
            return False
        if self.was_timed_out:
            return False
        if self._free_slot(alone=False) is None:
            return False
        trials = self.study.get_trials(deepcopy=False)
        entry = self._next_entry(trials)
        if entry is None:
            return False
        slot = self._free_slot(alone=bool(entry.found.user_attrs.get(ALONE)))
        if slot is None:  # it waits until those that run have left its device, and starts first
            return False
        is_new = entry.number >= len(trials)
        self._n_trials = max(self._n_trials, entry.number + 1)
        self._start(entry, self.decisions.pruning(entry.found, trials), slot, is_new=is_new)
        return True

    def _next_entry(self, trials: Sequence[FrozenTrial]) -> TrialEntry | None:
        """Return the trial that starts next: the first that waits, else what the decisions choose."""
        may_begin = self._may_begin(trials)
        for trial in trials:
            if state(trial) == "waiting" and (may_begin or has_paused(trial)):
                return TrialEntry(self.study, trial)
        return self.decisions.next_trial(trials, may_begin=may_begin)

    def _may_begin(self, trials: Sequence[FrozenTrial]) -> bool:
        """Tell whether the budget has room for one trial more than have ended, run or have paused."""
        if self.budget.n_trials is None:
            return True
        counted = len(self._running)
        counted += sum(
            trial.state in FINISHED or (trial.state == TrialState.WAITING and has_paused(trial))
            for trial in trials
            if trial.number not in self._running
        )
        return counted < self.budget.n_trials

    def _free_slot(self, *, alone: bool) -> _Slot | None:
        """Return the slot beside the fewest others, none of which has to be alone; None: there is none."""
        slots = [running.slot for running in self._running.values()]
        used = [slot.device for slot in slots]
        closed = used if alone else [slot.device for slot in slots if slot.alone]
        if not self.devices:
            return None if closed else _Slot(None, alone)
        device = least_used(self.devices, used, closed)
        return None if device is None else _Slot(device, alone)

    def _start(self, entry: TrialEntry, pruning: Pruning, slot: _Slot, *, is_new: bool) -> None:
        now = self.clock()
        times = entry.found.user_attrs.get(TIMES, [])
        running = _RunningTrial(
            entry,
            pruning,
            reported=set(entry.found.intermediate_values),
            pruned_at=entry.found.user_attrs.get(PRUNED_AT),
            slot=slot,
            started=now - trained_seconds(times, entry.found.user_attrs.get(REQUEUED_AT, 0.0)),
            last_message=now,
        )
        if is_paused(entry.found):
            running.paused_at = entry.found.user_attrs[PAUSED_AT]
        self._running[entry.number] = running
        entry.note(TIMES, process_started(times, time.time()))
        entry.begin()
        self._emit(TrialStarted(entry.found))
        previous_run_id = None if is_new else str(entry.found.user_attrs.get(RUN_ID, ""))
        trial = self.new_trial(entry.found, previous_run_id, slot.device)
        running.folder = trial.folder
        outcomes.forget(trial.folder)
        self.engine.start(trial)

    def _handle_events(self, timeout: float) -> None:
        events = self.engine.events(timeout)
        for event in events:
            match event:
                case MessageReceived(number, message):
                    self._handle_message(number, message)
                case Ended(number, outcome):
                    self._handle_end(number, outcome)
        if not events:
            self._emit(Idle())

    def _emit(self, event: SweepEvent) -> None:
        for observer in self.observers:
            observer(event)

    def _read(self, entry: TrialEntry) -> FrozenTrial:
        """Return a trial as the study has it now."""
        return self.study.get_trials(deepcopy=False)[entry.number]

    def _handle_message(
        self, number: int, message: messages.Report | messages.Attribute | messages.Notice
    ) -> None:
        running = self._running[number]
        running.last_message = self.clock()
        if isinstance(message, messages.Notice):  # read before the first trial, see `optimize`
            return
        if isinstance(message, messages.Attribute):
            running.entry.note(message.name, message.value)
            return
        value = message.value if math.isfinite(message.value) else math.nan  # no pruner takes it for the best
        if running.paused_at is not None and message.step <= running.paused_at:
            self._emit(TrainedAgain(running.entry.found, message.step, running.paused_at))
        running.paused_at = None
        self.engine.answer(number, self._answer(running, message.step, value))
        self._emit(TrialReported(running.entry.found, message.step, value))

    def _answer(self, running: _RunningTrial, step: int, value: float) -> messages.Answer:
        if len(self.study.directions) > 1:
            return messages.Answer.GO_ON
        if self._is_pruned(running, step, value):
            return messages.Answer.PRUNE
        if self.decisions.pauses(running.entry, step) and not self._goes_on(running.entry, step):
            return messages.Answer.PAUSE
        return messages.Answer.GO_ON

    def _goes_on(self, entry: TrialEntry, step: int) -> bool:
        """Pause a trial in the study, and tell whether it is what comes next: then it just goes on.

        Nothing does when the time is up.
        """
        entry.note(PAUSED_AT, step)
        if self.was_timed_out:
            return False
        trials = self.study.get_trials(deepcopy=False)
        return self.decisions.goes_on(entry, trials, may_begin=self._may_begin(trials))

    def _is_pruned(self, running: _RunningTrial, step: int, value: float) -> bool:
        if step not in running.reported:  # a trial that is tried again repeats itself
            running.entry.report(step, value)
            running.reported.add(step)
        if running.pruned_at is None and running.pruning.decide(step, value):
            # Before the trial gets its answer: whoever is killed next, the decision stays.
            running.entry.note(PRUNED_AT, step)
            running.pruned_at = step
        return running.pruned_at is not None and step >= running.pruned_at

    def _kill_overdue(self) -> None:
        now = self.clock()
        for number, running in self._running.items():
            reason = self.policy.overdue(now - running.started, now - running.last_message)
            if reason is not None and running.overdue is None:
                running.overdue = reason
                self.engine.kill(number)

    def _handle_end(self, number: int, outcome: messages.Outcome | messages.Paused) -> None:
        running = self._running[number]  # it stays there until the study has the outcome
        if isinstance(outcome, messages.Paused):
            self._pause(running.entry)
            return self._eliminate()
        written = None if running.folder is None else outcomes.read_outcome(running.folder)
        if isinstance(outcome, messages.Failed) and written is not None:
            return self._conclude(running.entry, written, is_recovered=True)
        if isinstance(outcome, messages.Failed) and running.overdue is not None:
            outcome = messages.Failed("timeout", running.overdue)
        is_lost = isinstance(outcome, messages.Failed) and outcome.kind in ("lost", "stopped")
        if is_lost and is_paused(self._read(running.entry)):
            self._pause(running.entry, is_process_lost=True)
            return self._eliminate()
        return self._conclude(running.entry, outcome)

    def _pause(self, entry: TrialEntry, *, is_process_lost: bool = False) -> None:
        """Put a paused trial back into the study."""
        _note_end(entry, time.time())
        entry.wait()
        self._running.pop(entry.number, None)
        self._emit(PartEnded(self._read(entry), is_process_lost))
        if not is_process_lost:
            self._failures_in_a_row.clear()

    def _eliminate(self) -> None:
        """End the paused trials that can go on no more, but for those whose process has yet to leave."""
        trials = self.study.get_trials(deepcopy=False)
        for number in self.decisions.eliminated(trials, self.budget.n_trials):
            if trials[number].state == TrialState.WAITING:
                self._prune_paused(trials[number])

    def _end_paused(self) -> None:
        """End the trials that are still paused when nothing is left to do for them.

        Where the time is up, they may go on with the same command.
        """
        if self.was_timed_out:
            return
        for trial in self.study.get_trials(deepcopy=False):
            if is_paused(trial):
                self._prune_paused(trial)

    def _prune_paused(self, trial: FrozenTrial) -> None:
        """End a paused trial as pruned: its checkpoints go."""
        folder = self.new_trial(trial, None, None).folder
        entry = TrialEntry(self.study, trial)
        entry.note(PRUNED_AT, trial.user_attrs[PAUSED_AT])
        self._emit(TrialRecovered(trial, messages.Pruned()))
        entry.begin()
        self.study.tell(trial.number, state=TrialState.PRUNED)
        for checkpoint in folder.glob(CHECKPOINTS):
            checkpoint.unlink(missing_ok=True)
        self._emit(TrialEnded(self._read(entry), messages.Pruned()))

    def _conclude(self, entry: TrialEntry, outcome: messages.Outcome, *, is_recovered: bool = False) -> None:
        """Put a trial's outcome into the study, or the trial back."""
        _note_end(entry, time.time())
        outcome = self._validated(outcome)
        if self._stopping and isinstance(outcome, messages.Failed) and outcome.kind == "lost":
            outcome = messages.Failed("stopped", "killed when the sweep was stopped")
        if is_recovered and not isinstance(outcome, messages.Failed):
            self._emit(TrialRecovered(self._read(entry), outcome))
        if isinstance(outcome, messages.Failed):
            entry.note(FAILURE, f"{outcome.kind}: {outcome.reason}")
            is_stopping = self._stopping or is_recovered  # and not one trial alone, by somebody else
            if (outcome.kind == "stopped" and is_stopping) or self._may_retry(entry, outcome.kind):
                return self._requeue(entry, outcome)
            entry.note(ENDED_BY, outcome.kind)
        self._finish(entry, outcome)
        self._running.pop(entry.number, None)
        self._emit(TrialEnded(self._read(entry), outcome))
        if not self._stopping:
            self._failures_in_a_row.count(outcome, self._n_trials - len(self._running))
        return None

    def _finish(self, entry: TrialEntry, outcome: messages.Outcome) -> None:
        self.decisions.annotate(entry)
        match outcome:
            case messages.Completed(values):
                self.study.tell(entry.number, list(values))
            case messages.Failed(kind) if not KINDS[kind].blames_params:
                self.study.tell(entry.number, state=TrialState.FAIL)
            case _:
                self.study.tell(entry.number, state=TrialState.PRUNED)

    def _validated(self, outcome: messages.Outcome) -> messages.Outcome:
        match outcome:
            case messages.Completed(values) if len(values) != len(self.study.directions):
                expected = len(self.study.directions)
                return messages.Failed(
                    "code", f"expected {expected} objective values; the task gave {len(values)}"
                )
            case messages.Completed(values) if not all(map(math.isfinite, values)):
                value = next(value for value in values if not math.isfinite(value))
                return messages.Failed("diverged", f"the objective's value is {value}")
        return outcome

    def _may_retry(self, entry: TrialEntry, kind: str) -> bool:
        """Count a failure; return whether the trial is tried again after it."""
        attempts = {**entry.attributes.get(ATTEMPTS, {})}
        attempts[kind] = attempts.get(kind, 0) + 1
        if attempts[kind] > self.policy.retries[kind]:
            return False
        entry.note(ATTEMPTS, attempts)
        if KINDS[kind].retried_alone:
            entry.note(ALONE, True)
        return True

    def _requeue(self, entry: TrialEntry, failure: messages.Failed) -> None:
        trial = self._read(entry)
        if is_paused(trial):  # it has failed to: else it would wait for its promotion
            entry.note(PAUSED_AT, last_pause(trial.user_attrs))
        entry.note(REQUEUED_AT, time.time())
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
        for number in list(self._running):  # in the study, but never started
            self._handle_end(number, messages.Failed("stopped", "stopped before it started"))

    def _wait_for_ends(self, seconds: float) -> None:
        deadline = self.clock() + seconds
        while self._running and self.clock() < deadline:
            self._handle_events(0.1)
            if not self.engine.is_busy:
                return


def _note_end(entry: TrialEntry, at: float) -> None:
    """Note when a trial's process has ended, unless that is noted."""
    times = process_ended(entry.attributes.get(TIMES, []), at)
    if times is not None:
        entry.note(TIMES, times)


def _last_written(folder: Path) -> float:
    """Return when a process was last heard of that writes into its trial's folder."""
    return max((file.lstat().st_mtime for file in folder.glob("*")), default=0.0)


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
