"""The coordinator with trials that pause: a study in memory, scripted trials, no process, no clock."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.pruners import NopPruner
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from runback.errors import TrainingError
from runback.sweeping.deciding.decisions import Decisions
from runback.sweeping.deciding.promoting import PromotingDecisions
from runback.sweeping.deciding.promotion import Promotion
from runback.sweeping.deciding.proposer import proposed_trial
from runback.sweeping.study.attributes import ALONE, ATTEMPTS, PARTS, PAUSED_AT
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.optuna_internals import storage_of, study_id
from runback.sweeping.study.states import is_paused, state
from runback.sweeping.trials import messages
from runback.sweeping.trials.coordinator import Coordinator
from runback.sweeping.trials.engines.engine import Ended, MessageReceived
from runback.sweeping.trials.events import TrainedAgain, TrialEnded, TrialRequeued, TrialStarted
from runback.sweeping.trials.failures import FAILURES_IN_A_ROW, RETRIES, FailurePolicy
from runback.sweeping.trials.outcome_file import write_outcome
from runback.sweeping.trials.trial import Trial

SPACE = {"x": FloatDistribution(0, 1)}

Script = Generator[Any, messages.Answer | None, None]
"""Yields what a trial sends, gets the answers to its reports, and ends with its outcome; None: not yet."""

ENDS = messages.Completed | messages.Pruned | messages.Failed | messages.Paused


class Killed(BaseException):
    """The coordinator is no more."""


class MortalStorage(InMemoryStorage):
    """A study in memory whose coordinator is killed before the write behind so many; None: it is not."""

    writes_left: int | None = None

    def _write(self) -> None:
        if self.writes_left is not None:
            self.writes_left -= 1
            if self.writes_left < 0:
                raise Killed

    def create_new_trial(self, *arguments, **named):
        self._write()
        return super().create_new_trial(*arguments, **named)

    def set_trial_state_values(self, *arguments, **named):
        self._write()
        return super().set_trial_state_values(*arguments, **named)

    def set_trial_intermediate_value(self, *arguments):
        self._write()
        return super().set_trial_intermediate_value(*arguments)

    def set_trial_user_attr(self, *arguments):
        self._write()
        return super().set_trial_user_attr(*arguments)


def new_study():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(storage=MortalStorage(), direction="maximize")


def added(study, state=TrialState.WAITING, values=(), x=None, **attributes):
    """Put a trial into a study as an earlier coordinator left it; its values are those of steps 1, 2, ..."""
    number = len(study.trials)
    trial = proposed_trial(number, {"x": number * 37 % 100 / 100 if x is None else x}, SPACE)
    trial.user_attrs, trial.state = attributes, state
    trial.intermediate_values = dict(enumerate(values, 1))
    storage_of(study).create_new_trial(study_id(study), template_trial=trial)


def paused(study, value, **attributes):
    """Put a trial into a study that is paused after its first step."""
    attributes = {"parts": [[len(study.trials), 0]], "paused_at": 1, **attributes}
    added(study, values=[value], **attributes)


class NumberedProposer:
    """Proposes a point that depends on a trial's number alone."""

    def has_more(self, asked):
        return True

    def propose(self, study, known, asked, pruner):
        return proposed_trial(len(asked), {"x": len(asked) * 37 % 100 / 100}, SPACE)


@dataclass
class Climbing:
    """Plays trials that report a value which grows with the step, and keep a checkpoint behind each."""

    steps: int = 9
    keeps: bool = True
    """Whether they do: else each process begins again."""
    leaving: int = 0
    """For how many events of each other trial it is pausing."""
    checkpoints: dict[int, int] = field(default_factory=dict)

    def __call__(self, trial: FrozenTrial) -> Script:
        yield messages.Attribute("epochs", str(self.steps))
        for step in range(1 + self.checkpoints.get(trial.number, 0), self.steps + 1):
            answer = yield messages.Report(step, trial.params["x"] * step)
            if answer is messages.Answer.PRUNE:
                yield messages.Pruned()
            if self.keeps:
                self.checkpoints[trial.number] = step
            if answer is messages.Answer.PAUSE:
                for _ in range(self.leaving):
                    yield None
                yield messages.Paused()
        yield messages.Completed((trial.params["x"] * self.steps,))


@dataclass
class ScriptedEngine:
    """Lets the trials that run say what is next in their scripts, one after the other."""

    play: Callable[[FrozenTrial], Script]
    study: Any
    starts: list[tuple[int, list[int]]] = field(default_factory=list)
    """The numbers of the trials in the order in which they were started, each with those beside it."""
    answers: list[tuple[int, int, messages.Answer]] = field(default_factory=list)
    """A number, a step, and the answer to its report."""
    _running: dict[int, Script] = field(default_factory=dict)
    _folders: dict[int, Any] = field(default_factory=dict)
    _given: dict[int, messages.Answer] = field(default_factory=dict)
    _reported: dict[int, int] = field(default_factory=dict)

    @property
    def is_busy(self):
        return bool(self._running)

    def start(self, trial):
        assert trial.number not in self._running, f"trial {trial.number} runs already"
        self.starts.append((trial.number, sorted(self._running)))
        trial.folder.mkdir(exist_ok=True)
        self._folders[trial.number] = trial.folder
        self._running[trial.number] = self.play(self.study.get_trials(deepcopy=False)[trial.number])

    is_ready = True

    def end_orphans(self, trials): ...

    def resize(self, n): ...

    def events(self, timeout):
        if not self._running:
            return []
        number = next(iter(self._running))
        script = self._running.pop(number)
        given = self._given.pop(number, None)
        said = next(script) if given is None else script.send(given)
        if isinstance(said, ENDS):
            if isinstance(said, messages.Completed | messages.Pruned):
                write_outcome(self._folders[number], said)
            return [Ended(number, said)]
        self._running[number] = script  # it comes again behind the others
        if said is None:
            return []
        if isinstance(said, messages.Report):
            self._reported[number] = said.step
        return [MessageReceived(number, said)]

    def answer(self, number, answer):
        self._given[number] = answer
        self.answers.append((number, self._reported[number], answer))

    def stop(self, number):
        self._end(number, messages.Failed("stopped", "stopped"))

    def kill(self, number):
        self._end(number, messages.Failed("lost", "its process was killed by SIGKILL"))

    def _end(self, number, outcome):
        if number in self._running:
            self._given.pop(number, None)
            self._running[number] = iter_of(outcome)


def iter_of(outcome) -> Script:
    yield outcome


def coordinated(
    tmp_path,
    study,
    play=None,
    *,
    n_trials=9,
    n_workers=1,
    promotion=Promotion(),  # noqa: B008 - it is frozen
    window=None,
    timeout=None,
    retries=None,
    **limits,
):
    """Return coordinator, engine and events; without a `promotion` no trial pauses."""
    proposer, events = NumberedProposer(), []
    if promotion is None:
        decisions = Decisions(study, proposer, NopPruner, window)
    else:
        decisions = PromotingDecisions(study, proposer, NopPruner, window, promotion)
    engine = ScriptedEngine(play or Climbing(), study)

    def new_trial(found, previous_run_id, device):
        folder = tmp_path / str(found.number)
        return Trial.of(
            int,
            number=found.number,
            sweep="s",
            folder=folder,
            threads=1,
            parent=None,
            previous_run_id=previous_run_id,
            device=device,
        )

    budget = Budget(n_trials, timeout, n_workers)
    policy = FailurePolicy({**RETRIES, **(retries or {})}, **limits)
    coordinator = Coordinator(study, decisions, engine, budget, policy, new_trial, [events.append])
    return coordinator, engine, events


def states(study):
    return [state(trial) for trial in study.get_trials(deepcopy=False)]


def facts(study):
    """Return what a deterministic sweep repeats."""
    return [
        (one.params, one.state, one.values, one.intermediate_values, one.user_attrs[PARTS])
        for one in study.get_trials(deepcopy=False)
    ]


def test_two_trials_that_were_pausing_when_the_coordinator_was_killed_are_put_back_both(tmp_path):
    study = new_study()
    for value in (0.9, 0.1, 0.05):
        attributes = {PARTS: [[len(study.trials), 0]], PAUSED_AT: 1}
        added(study, TrialState.RUNNING, [value], x=value, **attributes)
    coordinator, _, events = coordinated(tmp_path, study, n_trials=3, n_workers=3)
    coordinator.run()
    assert states(study) == ["done", "pruned", "pruned"]
    assert sum(isinstance(event, TrialEnded) for event in events) == 3


@pytest.mark.parametrize(("n_workers", "window"), [(1, None), (3, None), (2, 2)])
@pytest.mark.parametrize("keeps", [True, False], ids=["checkpoints", "none"])
@pytest.mark.parametrize("leaving", [0, 3])
def test_killed_before_any_write_a_sweep_ends_with_its_exact_budget(
    tmp_path, n_workers, window, keeps, leaving
):
    settings = {"n_trials": 7, "n_workers": n_workers, "window": window}
    (tmp_path / "whole").mkdir()
    whole = new_study()
    coordinated(tmp_path / "whole", whole, Climbing(keeps=keeps, leaving=leaving), **settings)[0].run()
    for kill in range(10_000):
        folder = tmp_path / str(kill)
        folder.mkdir()
        study, play = new_study(), Climbing(keeps=keeps, leaving=leaving)
        study._storage.writes_left = kill
        try:
            coordinated(folder, study, play, **settings)[0].run()
        except Killed:
            study._storage.writes_left = None
            coordinated(folder, study, play, **settings)[0].run()
        else:
            break
        trials = study.get_trials(deepcopy=False)
        assert len(trials) == 7
        assert {one.state for one in trials} == {TrialState.COMPLETE, TrialState.PRUNED}
        assert not any(map(is_paused, trials))
        for one in trials:
            assert [*one.intermediate_values] == [*range(1, len(one.intermediate_values) + 1)]
        if window is not None:
            assert facts(study) == facts(whole)
    assert kill > 50


@pytest.mark.parametrize("is_promoting", [True, False])
def test_killed_before_any_write_a_sweep_tries_again_what_failed_while_it_paused(tmp_path, is_promoting):
    """Those that a killed coordinator left are finished by one that promotes, or by one that pauses none."""
    for kill in range(10_000):
        folder = tmp_path / str(kill)
        folder.mkdir()
        study, climbing = new_study(), Climbing(leaving=1)
        failures = {1: "store", 2: "out_of_memory"}

        def fails_once(trial, climbing=climbing, failures=failures):
            script, given = climbing(trial), None
            while True:
                said = next(script) if given is None else script.send(given)
                if isinstance(said, messages.Paused) and trial.number in failures:
                    del climbing.checkpoints[trial.number]
                    said = messages.Failed(failures.pop(trial.number), "no room")
                given = yield said

        study._storage.writes_left = kill
        try:
            coordinated(folder, study, fails_once, n_trials=5, n_workers=2)[0].run()
        except Killed:
            study._storage.writes_left = None
            promotion = Promotion() if is_promoting else None
            coordinated(folder, study, climbing, n_trials=5, n_workers=2, promotion=promotion)[0].run()
        else:
            break
        assert len(study.trials) == 5
        assert set(states(study)) <= {"done", "pruned"}
    assert kill > 50


@pytest.mark.parametrize("window", [None, 3])
def test_a_trial_goes_on_when_the_process_has_left_that_it_paused_in(tmp_path, window):
    study = new_study()
    for number, x in enumerate((0.9, 0.1, 0.2)):
        added(study, x=x, **{PARTS: [[number, 0]]})

    def best_is_slow(trial):
        return Climbing(leaving=5 if trial.number == 0 else 0)(trial)

    coordinator, engine, _ = coordinated(
        tmp_path, study, best_is_slow, n_trials=3, n_workers=3, window=window
    )
    coordinator.run()
    assert [number for number, _ in engine.starts] == [0, 1, 2, 0]
    assert states(study) == ["done", "pruned", "pruned"]


def test_a_sweep_whose_trials_pause_between_failures_goes_on(tmp_path):
    study, climbing = new_study(), Climbing()

    def every_third_fails(trial):
        if trial.number % 3 == 2:
            return iter_of(messages.Failed("code", f"error {trial.number}"))
        return climbing(trial)

    coordinator, _, _ = coordinated(
        tmp_path, study, every_third_fails, n_trials=30, promotion=Promotion(reduction_factor=20)
    )
    coordinator.run()
    assert len([one for one in states(study) if one in ("done", "pruned")]) == 30
    assert states(study).count("failed") > FAILURES_IN_A_ROW


def test_a_process_that_was_lost_while_it_paused_is_no_success_between_failures(tmp_path):
    study = new_study()

    def fails(trial):
        if trial.number % 3 == 2:
            yield messages.Report(1, 0.1)
            yield messages.Failed("lost", "its process was killed by SIGKILL")
        yield messages.Failed("code", f"error {trial.number}")

    coordinator, _, _ = coordinated(
        tmp_path, study, fails, n_trials=30, promotion=Promotion(reduction_factor=20)
    )
    with pytest.raises(TrainingError, match="5 trials in a row failed"):
        coordinator.run()
    assert states(study).count("failed") == FAILURES_IN_A_ROW
    assert len(study.trials) == 7


@pytest.mark.parametrize("left", [TrialState.WAITING, TrialState.RUNNING])
def test_trials_that_another_pruner_left_pause_and_go_on(tmp_path, left):
    study = new_study()
    for x in (0.9, 0.1, 0.2):
        added(study, left, [x], x=x)
    coordinator, _, _ = coordinated(tmp_path, study, n_trials=5)
    coordinator.run()
    assert len(states(study)) == 5
    assert set(states(study)) == {"done", "pruned"}
    assert states(study)[0] == "done"


@pytest.mark.parametrize("is_running", [False, True])
@pytest.mark.parametrize("n_trials", [2, 4])
def test_paused_trials_are_finished_by_a_sweep_that_pauses_none(tmp_path, n_trials, is_running):
    study = new_study()
    for x in (0.1, 0.2, 0.3):
        state_left = TrialState.RUNNING if is_running else TrialState.WAITING
        added(study, state_left, [x], x=x, **{PARTS: [[len(study.trials), 0]], PAUSED_AT: 1})
    coordinator, engine, _ = coordinated(tmp_path, study, n_trials=n_trials, promotion=None)
    coordinator.run()
    assert states(study) == ["done"] * max(3, n_trials)
    assert [number for number, _ in engine.starts][:3] == [0, 1, 2]


def test_a_trial_that_crashes_when_it_goes_on_without_a_pause_is_tried_as_often_as_any(tmp_path):
    study = new_study()
    paused(study, 0.5)
    lost = messages.Failed("lost", "its process was killed by SIGKILL")
    coordinator, engine, _ = coordinated(
        tmp_path, study, lambda trial: iter_of(lost), n_trials=1, promotion=None
    )
    with pytest.raises(TrainingError, match="in a row failed"):
        coordinator.run()
    assert [number for number, _ in engine.starts][:4] == [0, 0, 0, 1]


def test_a_sweep_that_paused_none_for_a_while_promotes_again(tmp_path):
    study = new_study()
    for x in (0.1, 0.9, 0.2):
        paused(study, x, x=x)

    def stops(trial):
        return iter_of(messages.Failed("code", "no")) if trial.number == 2 else Climbing()(trial)

    coordinated(tmp_path, study, stops, n_trials=2, promotion=None)[0].run()
    coordinated(tmp_path, study, n_trials=6)[0].run()
    assert states(study)[:3] == ["done", "done", "failed"]
    assert len([one for one in states(study) if one in ("done", "pruned")]) == 6


def test_a_trial_that_has_to_be_alone_is_alone_when_it_goes_on(tmp_path):
    study = new_study()
    paused(study, 0.9, x=0.9, **{ALONE: True})
    paused(study, 0.1, x=0.1)
    paused(study, 0.2, x=0.2)
    coordinator, engine, _ = coordinated(tmp_path, study, n_trials=9, n_workers=2)
    coordinator.run()
    [(at, beside)] = [(at, beside) for at, (number, beside) in enumerate(engine.starts) if number == 0]
    assert beside == []
    assert states(study)[0] == "done"
    assert [number for number, others in engine.starts if 0 in others] == []
    assert at == 0


def test_a_trial_that_has_to_be_alone_waits_for_those_that_run_and_no_other_begins_meanwhile(tmp_path):
    study = new_study()
    paused(study, 0.99, x=0.99, **{ALONE: True})
    paused(study, 0.1, x=0.1)
    slow = Climbing(leaving=3)
    coordinator, engine, _ = coordinated(tmp_path, study, slow, n_trials=6, n_workers=2)
    coordinator.run()
    starts = [number for number, _ in engine.starts]
    assert starts[:3] == [2, 3, 0]  # with trial 2 it is the best of three
    assert all(beside == [] for number, beside in engine.starts if number == 0)
    assert [number for number, others in engine.starts if 0 in others] == []
    assert states(study)[0] == "done"


@pytest.mark.parametrize("kind", ["store", "out_of_memory"])
@pytest.mark.parametrize("at", [1, 3])
def test_a_trial_that_fails_while_it_pauses_is_tried_again_first(tmp_path, kind, at):
    study, climbing = new_study(), Climbing()
    failures = [messages.Failed(kind, "no room")]

    def fails_once(trial):
        script, given = climbing(trial), None
        while True:
            said = next(script) if given is None else script.send(given)
            is_at = climbing.checkpoints.get(trial.number) == at
            if trial.number == 0 and isinstance(said, messages.Paused) and is_at and failures:
                climbing.checkpoints.clear()
                said = failures.pop()
            given = yield said

    for x in (0.99, 0.1):
        added(study, x=x)
    coordinator, _, events = coordinated(
        tmp_path, study, fails_once, n_trials=4, promotion=Promotion(eager=False)
    )
    coordinator.run()
    again = next(place for place, event in enumerate(events) if isinstance(event, TrialRequeued))
    assert state(events[again].trial) == "waiting"
    following = next(event for event in events[again + 1 :] if isinstance(event, TrialStarted))
    assert following.trial.number == 0
    assert not failures
    assert set(states(study)) == {"done", "pruned"}
    assert study.trials[0].user_attrs[ATTEMPTS] == {kind: 1}


def test_a_trial_that_hangs_while_it_pauses_took_too_long(tmp_path):
    study, now = new_study(), [0.0]

    def hangs(trial):
        yield messages.Report(1, 0.5)
        while True:
            now[0] += 1.0
            yield None

    coordinator, engine, _ = coordinated(tmp_path, study, hangs, n_trials=1, stall_timeout=10.0)
    coordinator.clock = lambda: now[0]
    with pytest.raises(TrainingError, match="it said nothing for more than 10 s"):
        coordinator.run()
    assert states(study) == ["failed"] * FAILURES_IN_A_ROW
    assert len(engine.starts) == FAILURES_IN_A_ROW


def again(events):
    return [
        (event.trial.number, event.step, event.paused_at)
        for event in events
        if isinstance(event, TrainedAgain)
    ]


@pytest.mark.parametrize("promotion", [None, Promotion()])
def test_a_trial_that_counts_from_0_trains_no_step_again(tmp_path, promotion):
    def counts_from_0(trial):
        for step in range(9):
            yield messages.Report(step, trial.params["x"])
        yield messages.Completed((trial.params["x"],))

    study = new_study()
    coordinator, _, events = coordinated(tmp_path, study, counts_from_0, n_trials=4, promotion=promotion)
    coordinator.run()
    assert again(events) == []


def test_only_what_has_paused_trains_again_and_says_so(tmp_path):
    study = new_study()
    for x in (0.99, 0.1):
        added(study, x=x)
    coordinator, _, events = coordinated(tmp_path, study, Climbing(keeps=False), n_trials=4)
    coordinator.run()
    assert again(events) == [(0, 1, 1)]


def test_a_trial_that_crashes_behind_a_rung_that_it_passed_has_not_paused_there(tmp_path):
    study, climbing, crashes = new_study(), Climbing(), [messages.Failed("lost", "killed")]

    def crashes_after_the_rung(trial):
        for said in (script := climbing(trial)):
            while True:
                given = yield said
                if isinstance(said, messages.Report) and said.step == 4 and crashes:
                    climbing.checkpoints[trial.number] = 2  # not each epoch has one
                    yield crashes.pop()
                if given is None:
                    break
                said = script.send(given)

    paused(study, 0.9, x=0.9)
    climbing.checkpoints[0] = 1
    coordinator, engine, events = coordinated(tmp_path, study, crashes_after_the_rung, n_trials=1)
    coordinator.run()
    assert [number for number, _ in engine.starts] == [0, 0]
    assert states(study) == ["done"]
    assert again(events) == []


LEFT = [  # six that are paused, and one that a stopped sweep left waiting
    (None, Promotion()),
    (None, Promotion(eager=False, reduction_factor=7)),
    (2, Promotion()),
    (2, Promotion(eager=False, reduction_factor=7)),
]


@pytest.mark.parametrize(("window", "promotion"), LEFT)
@pytest.mark.parametrize("n_trials", [2, 6])
def test_with_fewer_trials_the_best_goes_on_though_another_waits(tmp_path, window, promotion, n_trials):
    study = new_study()
    for number in range(6):
        paused(study, number / 10, x=number / 10)
    added(study, **{PARTS: [[6, 0]]})
    coordinator, _, _ = coordinated(tmp_path, study, n_trials=n_trials, window=window, promotion=promotion)
    coordinator.run()
    assert states(study)[5:] == ["done", "waiting"]
    assert set(states(study)[:5]) == {"pruned"}


def test_with_fewer_trials_what_was_to_go_on_when_the_sweep_was_stopped_does(tmp_path):
    study = new_study()
    for x in (0.1, 0.2):
        paused(study, x, x=x)
    added(study, values=[0.5], x=0.5, **{PARTS: [[2, 0], [3, 1]], PAUSED_AT: 1})
    coordinator, engine, _ = coordinated(tmp_path, study, n_trials=1)
    coordinator.run()
    assert engine.starts[0] == (2, [])
    assert states(study)[2] == "done"
    assert not any(map(is_paused, study.trials))


def test_no_trial_goes_on_when_the_time_is_up(tmp_path):
    study, now, climbing = new_study(), [0.0], Climbing(steps=30)

    def takes_a_second(trial):
        now[0] += 1.0
        yield from climbing(trial)

    coordinator, engine, _ = coordinated(
        tmp_path, study, takes_a_second, n_trials=1, timeout=0.5, promotion=Promotion()
    )
    coordinator.clock = lambda: now[0]
    coordinator.run()
    assert engine.answers == [(0, 1, messages.Answer.PAUSE)]
    assert states(study) == ["paused"]
    coordinated(tmp_path, study, climbing, n_trials=1)[0].run()
    assert states(study) == ["done"]


@pytest.mark.parametrize("retries", [0, 1])
def test_the_time_of_all_its_parts_counts_for_a_trial_and_each_try_has_it_anew(tmp_path, retries):
    study, now, climbing = new_study(), [0.0], Climbing(steps=30)

    def takes_a_second(trial):
        script, given = climbing(trial), None
        while True:
            said = next(script) if given is None else script.send(given)
            now[0] += 1.0
            given = yield said

    paused(study, 0.5, x=0.5, times=[[1000.0, 1030.0], [2000.0, 2066.0]])
    coordinator, engine, _ = coordinated(
        tmp_path, study, takes_a_second, n_trials=1, trial_timeout=100.0, retries={"timeout": retries}
    )
    coordinator.clock = lambda: now[0]
    coordinator.run()
    first, *others = study.trials
    assert first.user_attrs["failure"] == "timeout: it ran for more than 100 s"
    assert state(first) == ("done" if retries else "failed")
    assert len(others) == 1 - retries
    assert [number for number, _ in engine.starts if number == 0] == [0] * (1 + retries)


class NobodyThere(ScriptedEngine):
    """An engine whose workers have yet to come, or will never."""

    is_ready = False

    def events(self, timeout):
        raise TrainingError("no worker comes")


def test_a_sweep_with_nothing_left_to_start_ends_without_a_worker(tmp_path):
    study = new_study()
    added(study, TrialState.RUNNING, values=[0.5])
    study.tell(0, 0.5)
    coordinator, engine, _ = coordinated(tmp_path, study, n_trials=1)
    coordinator.engine = NobodyThere(engine.play, study)
    coordinator.run()


def test_one_with_a_trial_left_waits_for_a_worker(tmp_path):
    study = new_study()
    added(study, TrialState.RUNNING, values=[0.5])
    study.tell(0, 0.5)
    coordinator, engine, _ = coordinated(tmp_path, study, n_trials=2)
    coordinator.engine = NobodyThere(engine.play, study)
    with pytest.raises(TrainingError, match="no worker comes"):
        coordinator.run()
