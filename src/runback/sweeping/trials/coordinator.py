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

Where several coordinators share the study (see `claims`), each writes to the trials that it has a lease on.
Taking a trial, ending it and letting paused ones go on is done by one of them at a time. A trial whose lease
has expired is taken over as one of a killed coordinator; whoever has lost a lease ends its own process of the
trial, and writes nothing more.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from runback.errors import InputError
from runback.sweeping.deciding.decisions import Decisions
from runback.sweeping.deciding.pruning import Pruning
from runback.sweeping.shared.claims import Claims, LeaseLost, OwnStudy
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
    TO_END,
)
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.states import has_paused, is_paused, last_pause, state
from runback.sweeping.study.study_store import FINISHED, TrialEntry
from runback.sweeping.study.training_times import process_ended, process_started, trained_seconds
from runback.sweeping.trials import messages
from runback.sweeping.trials import outcome_file as outcomes
from runback.sweeping.trials.devices import least_used
from runback.sweeping.trials.engines.engine import Ended, Engine, Event, MessageReceived
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
    TrialTakenOver,
)
from runback.sweeping.trials.failures import KINDS, REQUESTED, FailurePolicy, FailuresInARow
from runback.sweeping.trials.trial import Trial
from runback.sweeping.trials.trial_output import OUTPUT, tidy
from runback.sweeping.trials.worker import ORPHANED
from runback.system.stop_signals import HeldSignals, held_signals
from runback.tracking.layout import CHECKPOINTS

STOP_GRACE = 10
"""Seconds that running trials get to write their checkpoints and close their runs after Ctrl-C."""

ANOTHERS = "trial {} is another coordinator's: ask where that runs"

KILL_GRACE = 5
"""Seconds that the system gets to end killed processes."""

LOOK_AROUND = 2.0
"""Seconds from one look at the trials of other coordinators to the next."""


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
    patience: float = math.inf
    """The clock's time at which it is killed, because it was asked to end before."""


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
    attend: "Callable[[Coordinator], None] | None" = None
    """Called once a turn: it may call `change` and `end_trial`."""
    claims: Claims = field(default_factory=OwnStudy)
    """Which trials are this coordinator's, where others share the study."""
    stays: bool = True
    """Whether it waits for the end of other coordinators' trials, which it may have to take over."""
    more: Callable[[], int | None] | None = None
    """Returns the `n_trials` as they are by now; then this goes on, when they are used up, until a signal."""
    _running: dict[int, _RunningTrial] = field(default_factory=dict)
    _n_trials: int = 0
    """The number of trials in the study."""
    _stopping: bool = False
    _began: float = 0.0
    _deadline: float = math.inf
    """The clock's time from which on no trial is started or goes on."""
    _backlog: list[Event] = field(default_factory=list)
    """Events that came while the study's database was away."""
    _answered: set[tuple[int, int]] = field(default_factory=set)
    """Of these the reports, by number and step, that were answered at once."""
    _handled: Event | None = None
    """The event that is being handled."""
    _lost: set[int] = field(default_factory=set)
    """The trials that were taken over by others, whose processes here have yet to end."""
    _looked: float = -math.inf

    def __post_init__(self) -> None:
        self._failures_in_a_row = FailuresInARow(self.budget.n_workers)

    def run(self) -> None:
        """Run until the budget is used up; on Ctrl-C, SIGTERM or SIGHUP stop the running trials and re-raise.

        A second signal kills them.
        """
        self._began = self.clock()
        self.change(timeout=self.budget.timeout)
        with held_signals() as signals:  # at any moment, one could cost a trial the answer that it waits for
            self.claims.wait_by(lambda seconds: self._serve(seconds, signals))
            try:
                self._recover()
                while not signals.waiting:
                    if self.attend is not None:
                        self.attend(self)
                    while not signals.waiting and self._start_next():
                        self._handle_events(0)  # nobody waits for an answer until all slots are filled
                    if not self._running and not self._could_start() and self._is_over():
                        return self._end_paused()
                    self._handle_events(0.25)
                    self._kill_overdue()
                    self._look_around()
                self._stop_all()
            except BaseException:
                self.claims.give_up()
                self._kill_all()
                raise
            finally:
                self.claims.wait_by(None)

    def change(
        self, *, n_workers: int | None = None, n_trials: int | None = None, timeout: float | None = None
    ) -> None:
        """Go on with another budget; None: as it is. A timeout counts from the start.

        Errors: InputError where the engine cannot have as many workers; nothing is changed then.
        """
        if n_workers is not None:
            self.engine.resize(n_workers)
            self.budget.n_workers = n_workers
        if n_trials is not None:
            self.budget.n_trials = n_trials
        if timeout is not None:
            self.budget.timeout = timeout
            self._deadline = self._began + timeout

    def end_trial(self, number: int) -> None:
        """End a trial for good: it fails, or is pruned if it is paused.

        Errors: InputError for one that has ended, has not begun, or is another coordinator's.
        """
        try:
            if number in self._running:
                self._running[number].entry.note(TO_END, True)
                self._running[number].patience = self.clock() + STOP_GRACE
                self.engine.stop(number)
                return
            entry = self.claims.exclusively(lambda: self._end_waiting(number))
            if entry is not None:
                self._conclude(entry, messages.Failed("stopped", REQUESTED))
        except LeaseLost:
            if number not in self._running:
                self.claims.drop(number)
            raise InputError(ANOTHERS.format(number)) from None

    def _end_waiting(self, number: int) -> TrialEntry | None:
        """Prune a trial that is paused; take one that waits otherwise, to end it, and return it."""
        trials = self.study.get_trials(deepcopy=False)
        if number >= len(trials):
            raise InputError(f"trial {number} has not begun")
        trial = trials[number]
        if trial.state.is_finished():
            raise InputError(f"trial {number} has ended")
        if trial.state == TrialState.RUNNING:
            raise InputError(ANOTHERS.format(number))
        if is_paused(trial):
            self._prune_paused(trial)
            return None
        entry = TrialEntry(self.study, trial)
        self.claims.take(number)
        entry.writing = partial(self.claims.write, number)
        entry.note(TO_END, True)
        entry.begin()
        return entry

    @property
    def was_timed_out(self) -> bool:
        """Whether its budget's timeout is over."""
        return self.clock() >= self._deadline

    def _could_start(self) -> bool:
        """Tell whether a trial is left that waits for a worker: it starts when one is there."""
        if self.was_timed_out or self.engine.is_ready:
            return False
        trials = self.study.get_trials(deepcopy=False)
        may_begin = self._may_begin(trials)
        waits = any(state(one) == "waiting" and (may_begin or has_paused(one)) for one in trials)
        return waits or self.decisions.may_have_next(trials, may_begin=may_begin)

    def _is_over(self) -> bool:
        """Tell whether nothing is left to do here, when no trial can be started and none runs here."""
        if self.was_timed_out:
            return True
        if self.more is not None:
            return False
        return not (self.stays and self.claims.is_shared_with(self.study.get_trials(deepcopy=False)))

    def _serve(self, seconds: float, signals: HeldSignals) -> None:
        """Have trials go on while the study's database is away: their reports are decided on later."""
        waiting = [*([] if self._handled is None else [self._handled]), *self._backlog]
        came = [] if any(map(self._answer_at_once, waiting)) else self.engine.events(seconds)
        for event in came:
            self._answer_at_once(event)
        self._backlog += came
        if signals.waiting:
            self.claims.give_up()

    def _answer_at_once(self, event: Event) -> bool:
        """Answer a report that nobody has answered yet; return whether this is one."""
        if not isinstance(event, MessageReceived) or not isinstance(event.message, messages.Report):
            return False
        report = (event.number, event.message.step)
        if report in self._answered or event.number in self._lost:
            return False
        self._answered.add(report)
        self.engine.answer(event.number, messages.Answer.GO_ON)
        return True

    def _look_around(self) -> None:
        """Give up the trials that others have taken over, and take over those that nobody runs any more."""
        now = self.clock()
        if now - self._looked < LOOK_AROUND:
            return
        self._looked = now
        for number in [*self._running]:
            if number not in self._lost and not self.claims.is_mine(number):
                self._give_up(number)
        if not isinstance(self.claims, OwnStudy):
            self._recover()
        if self.more is not None:
            self.budget.n_trials = self.more()

    def _give_up(self, number: int) -> None:
        """End the process of a trial that somebody else runs by now; nothing of it is written any more."""
        self._lost.add(number)
        self.claims.drop(number)
        self.engine.kill(number)
        if self._running[number].folder is None:
            self._forget(number)

    def _forget(self, number: int) -> None:
        self._lost.discard(number)
        running = self._running.pop(number)
        self._emit(TrialTakenOver(running.entry.found))

    def _recover(self) -> None:
        """Recover the trials that another coordinator left running: their outcomes, or else put them back."""
        trials = self.study.get_trials(deepcopy=False)
        self._n_trials = len(trials)
        running = self.claims.dead(trials, self._running.keys())
        folders = [self.new_trial(trial, None, None).folder for trial in running]
        processes = [str(trial.user_attrs.get(PROCESS, "")) for trial in running]
        numbers = [trial.number for trial in running]
        if running:
            self.engine.end_orphans(list(zip(numbers, processes, folders, strict=True)))
        for trial, folder in zip(running, folders, strict=True):
            entry = TrialEntry(self.study, trial)
            entry.writing = partial(self.claims.write, trial.number)
            tidy(folder / OUTPUT)
            written = outcomes.read_outcome(folder)
            is_to_pause = is_paused(trial) and not trial.user_attrs.get(TO_END)
            try:
                _note_end(entry, _last_written(folder))
                if written is None and is_to_pause:
                    self._pause(entry, is_process_lost=True)
                else:
                    outcome = written or messages.Failed("stopped", ORPHANED)
                    self._conclude(entry, outcome, is_recovered=True)
            except LeaseLost:
                self.claims.drop(trial.number)
        if running:
            self._eliminate()

    def _start_next(self) -> bool:
        """Start a trial, unless no slot is free or the budget is used up; return whether one was started."""
        if len(self._running) >= self.budget.n_workers:
            return False
        if self.was_timed_out or not self.engine.is_ready:
            return False
        if self._free_slot(alone=False) is None:
            return False
        trials: list[FrozenTrial] = []

        def begin() -> tuple[TrialEntry, _Slot] | None:
            trials[:] = self.study.get_trials(deepcopy=False)
            entry = self._next_entry(trials)
            slot = None if entry is None else self._free_slot(alone=bool(entry.found.user_attrs.get(ALONE)))
            if entry is None or slot is None:  # one waits until those that run have left its device
                return None
            self.claims.take(entry.number)
            if entry.found.user_attrs.get(PROCESS):  # another's, from before; nobody shall wait for that one
                entry.note(PROCESS, "")
            entry.begin()
            return entry, slot

        try:
            chosen = self.claims.exclusively(begin)
        except LeaseLost:
            return False
        if chosen is None:
            return False
        entry, slot = chosen
        is_new = entry.number >= len(trials)
        self._n_trials = max(self._n_trials, entry.number + 1)
        try:
            self._start(entry, self.decisions.pruning(entry.found, trials), slot, is_new=is_new)
        except LeaseLost:
            self._give_up(entry.number)
        return True

    def _next_entry(self, trials: Sequence[FrozenTrial]) -> TrialEntry | None:
        """Return the trial that starts next: the first that waits, else what the decisions choose."""
        may_begin = self._may_begin(trials)
        for trial in trials:
            if state(trial) == "waiting" and (may_begin or has_paused(trial)):
                return TrialEntry(self.study, trial)
        return self.decisions.next_trial(trials, may_begin=may_begin)

    def room(self, trials: Sequence[FrozenTrial]) -> float:
        """Return how many trials more the budget has room for than have ended, run or have paused."""
        if self.budget.n_trials is None:
            return math.inf
        counted = sum(
            trial.state in (*FINISHED, TrialState.RUNNING)
            or trial.number in self._running
            or (trial.state == TrialState.WAITING and has_paused(trial))
            for trial in trials
        )
        return self.budget.n_trials - counted

    def _may_begin(self, trials: Sequence[FrozenTrial]) -> bool:
        return self.room(trials) > 0

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
        entry.writing = partial(self.claims.write, entry.number)
        entry.note(TIMES, process_started(times, time.time()))
        self._emit(TrialStarted(entry.found))
        previous_run_id = None if is_new else str(entry.found.user_attrs.get(RUN_ID, ""))
        trial = self.new_trial(entry.found, previous_run_id, slot.device)
        running.folder = trial.folder
        self._say_whether_again(running, trial.folder)
        outcomes.forget(trial.folder)
        self.engine.start(trial)

    def _say_whether_again(self, running: _RunningTrial, folder: Path) -> None:
        """Say that a trial begins again whose checkpoint is elsewhere; a paused one's reports show that."""
        last_step = running.entry.found.last_step
        is_elsewhere = not isinstance(self.claims, OwnStudy) and not any(folder.glob(CHECKPOINTS))
        if last_step is not None and is_elsewhere and running.paused_at is None:
            self._emit(TrainedAgain(running.entry.found, 1, last_step))

    def _handle_events(self, timeout: float) -> None:
        self._backlog += self.engine.events(0 if self._backlog else timeout)
        if not self._backlog and timeout > 0:
            self._emit(Idle())
        while self._backlog:
            self._handled = self._backlog.pop(0)
            self._handle(self._handled)
            self._handled = None

    def _handle(self, event: Event) -> None:
        number = event.number
        if number in self._lost:
            if isinstance(event, Ended):
                self._forget(number)
            return
        is_mine = self.claims.is_mine(number)
        try:
            match event:
                case MessageReceived(_, message) if is_mine:
                    self._handle_message(number, message)
                case Ended(_, outcome) if is_mine:
                    self._handle_end(number, outcome)
        except LeaseLost:
            is_mine = False
        if not is_mine and number in self._running:
            self._give_up(number)
            if number in self._running and isinstance(event, Ended):
                self._forget(number)

    def _emit(self, event: SweepEvent) -> None:
        for observer in self.observers:
            observer(event)

    def _read(self, entry: TrialEntry) -> FrozenTrial:
        """Return a trial as the study has it now."""
        return entry.now()

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
        report = (number, message.step)
        if report in self._answered:
            self._is_pruned(running, message.step, value)  # it ends at its next report
        else:
            answer = self._answer(running, message.step, value)
            if report not in self._answered:
                self._answered.add(report)
                self.engine.answer(number, answer)
        self._answered.discard(report)
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

        def decide() -> bool:
            trials = self.study.get_trials(deepcopy=False)
            return self.decisions.goes_on(entry, trials, may_begin=self._may_begin(trials))

        return self.claims.exclusively(decide)

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
            elif now > running.patience:
                running.patience = math.inf
                self.engine.kill(number)

    def _handle_end(
        self, number: int, outcome: messages.Outcome | messages.Paused | messages.Preempted
    ) -> None:
        running = self._running[number]  # it stays there until the study has the outcome
        if not isinstance(outcome, messages.Completed | messages.Pruned) and _is_to_end(running.entry):
            outcome = messages.Failed("stopped", REQUESTED)
        if isinstance(outcome, messages.Preempted):
            return self._handle_preemption(running, outcome)
        if isinstance(outcome, messages.Paused):
            self._pause(running.entry)
            return self._eliminate()
        written = None if running.folder is None else outcomes.read_outcome(running.folder)
        if isinstance(outcome, messages.Failed) and written is not None:
            return self._conclude(running.entry, written, is_recovered=True)
        if isinstance(outcome, messages.Failed) and running.overdue is not None:
            outcome = messages.Failed("timeout", running.overdue)
        is_lost = isinstance(outcome, messages.Failed) and outcome.kind in ("lost", "stopped")
        if is_lost and not _is_to_end(running.entry) and is_paused(self._read(running.entry)):
            self._pause(running.entry, is_process_lost=True)
            return self._eliminate()
        return self._conclude(running.entry, outcome)

    def _handle_preemption(self, running: _RunningTrial, preempted: messages.Preempted) -> None:
        """Put a trial back that goes on elsewhere: nothing has failed."""
        written = None if running.folder is None else outcomes.read_outcome(running.folder)
        if written is not None:
            return self._conclude(running.entry, written, is_recovered=True)
        if is_paused(self._read(running.entry)):
            self._pause(running.entry, is_process_lost=True)
            return self._eliminate()
        _note_end(running.entry, time.time())
        failure = messages.Failed("stopped", preempted.reason)
        running.entry.note(FAILURE, f"{failure.kind}: {failure.reason}")
        return self._requeue(running.entry, failure)

    def _pause(self, entry: TrialEntry, *, is_process_lost: bool = False) -> None:
        """Put a paused trial back into the study."""
        _note_end(entry, time.time())
        self.claims.finish(entry.number, entry.wait)
        self._running.pop(entry.number, None)
        self._emit(PartEnded(self._read(entry), is_process_lost))
        if not is_process_lost:
            self._failures_in_a_row.clear()

    def _eliminate(self) -> None:
        """End the paused trials that can go on no more, but for those whose process has yet to leave."""
        pruned: list[FrozenTrial] = []

        def eliminate() -> None:
            trials = self.study.get_trials(deepcopy=False)
            for number in self.decisions.eliminated(trials, self.budget.n_trials):
                if trials[number].state == TrialState.WAITING:
                    self._prune_paused(trials[number])
                    pruned.append(trials[number])

        self.claims.exclusively(eliminate)
        self._see_off(pruned)

    def _end_paused(self) -> None:
        """End the trials that are still paused when nothing is left to do for them.

        Where the time is up, they may go on with the same command.
        """
        if self.was_timed_out:
            return
        pruned: list[FrozenTrial] = []

        def end() -> None:
            trials = self.study.get_trials(deepcopy=False)
            if self.claims.is_shared_with(trials):  # they go on where one of these fails
                return
            for trial in filter(is_paused, trials):
                self._prune_paused(trial)
                pruned.append(trial)

        self.claims.exclusively(end)
        self._see_off(pruned)

    def _prune_paused(self, trial: FrozenTrial) -> None:
        """End a paused trial as pruned."""
        entry = TrialEntry(self.study, trial)
        entry.note(PRUNED_AT, trial.user_attrs[PAUSED_AT])
        entry.begin()
        self.study.tell(trial.number, state=TrialState.PRUNED)

    def _see_off(self, pruned: Sequence[FrozenTrial]) -> None:
        """End the runs of paused trials that were pruned; their checkpoints go."""
        for trial in {trial.number: trial for trial in pruned}.values():
            self._emit(TrialRecovered(trial, messages.Pruned()))
            for checkpoint in self.new_trial(trial, None, None).folder.glob(CHECKPOINTS):
                checkpoint.unlink(missing_ok=True)
            self._emit(TrialEnded(self._read(TrialEntry(self.study, trial)), messages.Pruned()))

    def _conclude(self, entry: TrialEntry, outcome: messages.Outcome, *, is_recovered: bool = False) -> None:
        """Put a trial's outcome into the study, or the trial back."""
        _note_end(entry, time.time())
        outcome = self._validated(outcome)
        if self._stopping and isinstance(outcome, messages.Failed) and outcome.kind == "lost":
            outcome = messages.Failed("stopped", "killed when the sweep was stopped")
        if is_recovered and not isinstance(outcome, messages.Failed):
            self._emit(TrialRecovered(self._read(entry), outcome))
        is_to_end = isinstance(outcome, messages.Failed) and _is_to_end(entry)
        if isinstance(outcome, messages.Failed):
            entry.note(FAILURE, f"{outcome.kind}: {outcome.reason}")
            is_stopping = self._stopping or is_recovered  # and not one trial alone, by somebody else
            is_put_back = outcome.kind == "stopped" and is_stopping
            if not is_to_end and (is_put_back or self._may_retry(entry, outcome.kind)):
                return self._requeue(entry, outcome)
            entry.note(ENDED_BY, outcome.kind)
        self.claims.finish(entry.number, lambda: self._finish(entry, outcome))
        self._running.pop(entry.number, None)
        self._emit(TrialEnded(self._read(entry), outcome))
        if not self._stopping and not is_to_end:
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
        self.claims.finish(entry.number, entry.wait)
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
            self._handle(Ended(number, messages.Failed("stopped", "stopped before it started")))

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


def _is_to_end(entry: TrialEntry) -> bool:
    """Tell whether somebody has asked for a trial's end."""
    return bool(entry.attributes.get(TO_END))


def _last_written(folder: Path) -> float:
    """Return when a process was last heard of that writes into its trial's folder."""
    return max((file.lstat().st_mtime for file in folder.glob("*")), default=0.0)
