"""The coordinator with real processes and a real SQLite study, on tasks that need no TensorFlow."""

import contextlib
import ctypes
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil
import pytest
from optuna.pruners import NopPruner, SuccessiveHalvingPruner
from optuna.trial import TrialState

from runback.errors import DataError, Diverged, InputError, StoreError, TrainingError
from runback.sweeping import report
from runback.sweeping.deciding.decisions import Decisions
from runback.sweeping.deciding.proposer import Proposer
from runback.sweeping.space.search_identity import Search
from runback.sweeping.space.search_space import parse
from runback.sweeping.study.attributes import PROCESS
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.study_store import create_entry, open_study
from runback.sweeping.trials import messages
from runback.sweeping.trials.coordinator import STOP_GRACE, Coordinator
from runback.sweeping.trials.engines.local_engine import LocalEngine  # noqa: F401 - scripts below
from runback.sweeping.trials.engines.orphans import GRACE
from runback.sweeping.trials.events import TrialEnded, TrialRecovered, TrialRequeued, TrialStarted
from runback.sweeping.trials.failures import RETRIES, FailurePolicy
from runback.sweeping.trials.outcome_file import FILE, read_outcome, write_outcome
from runback.sweeping.trials.trial import Trial, current
from runback.sweeping.trials.trial_output import OUTPUT
from runback.system.files.folder_lock import alone_in

RANDOM = {"_target_": "optuna.samplers.RandomSampler"}
SPACE = {"x": "interval(0, 1)"}


@dataclass
class Seen:
    """An observer that remembers when trials started and ended."""

    started: dict[int, float] = field(default_factory=dict)
    finished: dict[int, float] = field(default_factory=dict)
    outcomes: dict[int, messages.Outcome] = field(default_factory=dict)
    put_backs: list = field(default_factory=list)
    recoveries: list = field(default_factory=list)

    def observe(self, event):
        match event:
            case TrialStarted(trial):
                self.started[trial.number] = time.monotonic()
            case TrialRequeued(trial, failure):
                self.finished[trial.number] = time.monotonic()
                self.put_backs.append((trial.number, failure))
            case TrialRecovered(trial):
                self.recoveries.append(trial.number)
            case TrialEnded(trial, outcome):
                self.finished[trial.number] = time.monotonic()
                self.outcomes[trial.number] = outcome


def sweep(tmp_path, engine, task, *, n_trials=6, n_workers=2, pruner=None, space=SPACE, sampler=RANDOM, directions=("maximize",), retries=None, window=None, **limits):  # fmt: skip  # noqa: E501
    searched = parse(space, [], None)
    study = open_study(tmp_path, "s", Search.of(searched, directions, {}))
    seen = Seen()

    def new_trial(proposed, previous_run_id, device):
        return Trial.of(
            partial(task, proposed.number, proposed.params),
            number=proposed.number,
            sweep="s",
            threads=1,
            parent=None,
            previous_run_id=previous_run_id,
            device=device,
            folder=tmp_path / str(proposed.number),
        )

    proposer = Proposer(sampler, searched, seed=0)
    budget = Budget(n_trials, None, n_workers)
    policy = FailurePolicy({**RETRIES, **(retries or {})}, **limits)
    decisions = Decisions(study, proposer, pruner or NopPruner, window)
    return study, seen, Coordinator(study, decisions, engine, budget, policy, new_trial, [seen.observe])


def asked(study, coordinator):
    """Put the next trial into the study, as a coordinator does that dies before it starts it."""
    return coordinator.decisions.next_trial(study.trials)


def states(study):
    return [trial.state for trial in study.get_trials(deepcopy=False)]


def square(number, params):
    return params["x"] ** 2


def test_every_trial_gets_a_process_of_its_own_and_its_value_is_told(tmp_path, engine):
    def pid(number, params):
        return os.getpid()

    study, _, coordinator = sweep(tmp_path, engine, pid)
    coordinator.run()
    assert states(study) == [TrialState.COMPLETE] * 6
    assert len({trial.value for trial in study.trials}) == 6


def test_a_free_slot_never_waits_for_another_slots_trial(tmp_path, engine):
    sign = tmp_path / "trial 4 was here"

    def unequal(number, params):
        while number == 0 and not sign.exists():
            time.sleep(0.02)
        if number == 4:
            sign.touch()
        return 0.0

    # Trial 0 ends only after trial 4 ran: with a barrier after each batch of two this would hang.
    _, seen, coordinator = sweep(tmp_path, engine, unequal, n_trials=6)
    coordinator.run()
    assert all(seen.finished[number] < seen.finished[0] for number in (1, 2, 3))
    assert seen.started[1] < seen.finished[0]


def test_a_poor_trial_is_pruned_and_a_good_one_is_not(tmp_path, engine):
    def steps(number, params):
        for step in range(1, 10):
            report(params["x"], step)
        return params["x"]

    pruner = partial(SuccessiveHalvingPruner, min_resource=1, reduction_factor=2)
    study, _, coordinator = sweep(tmp_path, engine, steps, n_trials=10, n_workers=1, pruner=pruner)
    coordinator.run()
    pruned = [t for t in study.trials if t.state == TrialState.PRUNED]
    assert pruned
    assert all(t.intermediate_values for t in pruned)
    assert study.best_trial.value == max(t.params["x"] for t in study.trials)


def test_a_killed_trial_costs_only_itself(tmp_path, engine):
    def suicidal(number, params):
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return 1.0

    study, seen, coordinator = sweep(tmp_path, engine, suicidal)
    coordinator.run()
    assert states(study).count(TrialState.COMPLETE) == 6
    assert states(study)[2] == TrialState.FAIL
    lost = messages.Failed("lost", "its process was killed by SIGKILL")
    assert seen.put_backs == [(2, lost), (2, lost)]  # it is tried twice more
    assert seen.outcomes[2] == lost


def test_a_killed_trial_is_tried_again_with_its_number_and_its_params(tmp_path, engine):
    def killed_once(number, params):
        report(0.5, 1)
        if number == 1 and not (tmp_path / "killed").exists():
            (tmp_path / "killed").write_text(repr(params))
            os.kill(os.getpid(), signal.SIGKILL)
        report(0.6, 2)
        return params["x"]

    study, _, coordinator = sweep(tmp_path, engine, killed_once, n_trials=3)
    coordinator.run()
    assert states(study) == [TrialState.COMPLETE] * 3
    assert repr(study.trials[1].params) == (tmp_path / "killed").read_text()
    assert study.trials[1].intermediate_values == {1: 0.5, 2: 0.6}


def test_a_trial_that_died_after_it_had_ended_is_not_done_again(tmp_path, engine):
    def ends_and_dies(number, params):
        current().completed((0.75,))
        os.kill(os.getpid(), signal.SIGKILL)

    study, seen, coordinator = sweep(tmp_path, engine, ends_and_dies, n_trials=2)
    coordinator.run()
    assert [trial.value for trial in study.trials] == [0.75, 0.75]
    assert sorted(seen.recoveries) == [0, 1]
    assert seen.put_backs == []


def test_an_outcome_that_a_task_has_kept_itself_is_written_once(tmp_path, engine):
    def completes(number, params):
        current().completed((0.75,))
        current().attribute("inode", str((tmp_path / str(number) / FILE).stat().st_ino))
        return 0.75

    study, _, coordinator = sweep(tmp_path, engine, completes, n_trials=1)
    coordinator.run()
    # It would be a new file: one is written beside it and takes its place.
    assert study.trials[0].user_attrs["inode"] == str((tmp_path / "0" / FILE).stat().st_ino)


def test_the_values_that_a_task_returns_count_whatever_it_has_kept_before(tmp_path, engine):
    def completes(number, params):
        current().completed((0.75,))
        return 0.5

    study, _, coordinator = sweep(tmp_path, engine, completes, n_trials=1)
    coordinator.run()
    assert study.trials[0].value == 0.5
    assert read_outcome(tmp_path / "0") == messages.Completed((0.5,))


def test_a_task_that_keeps_no_outcome_has_one_when_it_returns(tmp_path, engine):
    _, _, coordinator = sweep(tmp_path, engine, lambda number, params: 0.5, n_trials=1)
    coordinator.run()
    assert read_outcome(tmp_path / "0") == messages.Completed((0.5,))


def test_out_of_memory_is_tried_once_more_with_nothing_beside_it(tmp_path, engine):
    def hungry(number, params):
        if number == 0:
            raise MemoryError("cannot allocate")
        time.sleep(0.3)
        return 1.0

    study, seen, coordinator = sweep(tmp_path, engine, hungry, n_trials=4)
    coordinator.run()
    assert seen.outcomes[0].kind == "out_of_memory"
    assert len(seen.put_backs) == 1
    assert states(study) == [TrialState.PRUNED, *[TrialState.COMPLETE] * 3]  # the sampler shall learn
    others = [(seen.started[number], seen.finished[number]) for number in (1, 2, 3)]
    assert all(end <= seen.started[0] or start >= seen.finished[0] for start, end in others)


def test_trials_are_divided_among_gpus_and_one_without_memory_gets_its_own(tmp_path, engine):
    def notes_its_gpu(number, params):
        time.sleep(0.3)
        if number == 0:
            raise MemoryError
        return float(os.environ["CUDA_VISIBLE_DEVICES"])

    study, _, coordinator = sweep(tmp_path, engine, notes_its_gpu, n_trials=8, n_workers=4)
    coordinator.devices = ["4", "7"]
    coordinator.run()
    assert states(study) == [TrialState.PRUNED, *[TrialState.COMPLETE] * 7]
    beside = [study.trials[number].value for number in (1, 2, 3)]
    assert sorted(beside) == [4, 7, 7]  # trial 0 has the other half of GPU 4


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Diverged("diverged: loss is nan"), "diverged"),
        (DataError("image.png is damaged"), "data"),
        (InputError("cannot be trained"), "input"),
        (ValueError("a bug"), "code"),
        (RuntimeError("around a MemoryError"), "out_of_memory"),
    ],
    ids=["diverged", "data", "input", "code", "memory"],
)
def test_failures_have_kinds(tmp_path, engine, error, kind):
    def fails(number, params):
        if number:
            return 1.0
        if kind == "out_of_memory":
            raise error from MemoryError()
        raise error

    none = dict.fromkeys(RETRIES, 0)
    study, seen, coordinator = sweep(tmp_path, engine, fails, n_trials=2, n_workers=1, retries=none)
    coordinator.run()
    assert seen.outcomes[0].kind == kind
    is_bad = kind in ("diverged", "input", "out_of_memory")
    assert states(study)[0] == (TrialState.PRUNED if is_bad else TrialState.FAIL)
    assert study.trials[0].user_attrs["failure"].startswith(f"{kind}: ")


@pytest.mark.parametrize("limit", ["trial_timeout", "stall_timeout"])
def test_a_trial_that_hangs_is_ended(tmp_path, engine, limit):
    def hangs(number, params):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for step in range(1, 1000 if number == 0 and limit == "trial_timeout" else 3):
            report(1.0, step)
            time.sleep(0.05)
        time.sleep(60 if number == 0 else 0)
        return 1.0

    study, seen, coordinator = sweep(tmp_path, engine, hangs, n_trials=2, **{limit: 1.0})
    coordinator.run()
    assert seen.outcomes[0].kind == "timeout"
    assert states(study) == [TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE]


def test_a_segfault_is_a_lost_trial(tmp_path, engine):
    def crashes(number, params):
        if number == 0:
            ctypes.string_at(0)
        return 1.0

    _, seen, coordinator = sweep(tmp_path, engine, crashes, n_trials=1, retries={"lost": 0})
    coordinator.run()
    assert seen.outcomes[0] == messages.Failed("lost", "its process was killed by SIGSEGV")


def test_an_exception_is_told_with_its_first_line_and_kept_in_the_log(tmp_path, engine):
    def buggy(number, params):
        if number == 0:
            raise ValueError("a bug\nin two lines")
        return 1.0

    study, _, coordinator = sweep(tmp_path, engine, buggy, n_trials=2)
    coordinator.run()
    assert study.trials[0].user_attrs["failure"] == "code: ValueError: a bug"
    assert "in two lines" in (tmp_path / "0" / "output.log").read_text()


def test_a_sweep_in_which_everything_fails_gives_up(tmp_path, engine):
    def buggy(number, params):
        raise ValueError("always")

    study, _, coordinator = sweep(tmp_path, engine, buggy, n_trials=100)
    with pytest.raises(TrainingError, match="always"):
        coordinator.run()
    assert len(study.trials) <= 4  # the same error thrice, and the trial beside it
    assert TrialState.RUNNING not in states(study)


@pytest.mark.parametrize(
    "error", [Diverged("diverged: loss is nan"), InputError("cannot be trained")], ids=["diverged", "input"]
)
def test_bad_regions_in_a_row_use_up_the_budget_and_end_no_sweep(tmp_path, engine, error):
    def fails(number, params):
        if number < 6:
            raise error
        return 1.0

    study, _, coordinator = sweep(tmp_path, engine, fails, n_trials=7, n_workers=1)
    coordinator.run()
    assert states(study) == [*[TrialState.PRUNED] * 6, TrialState.COMPLETE]


def test_ctrl_c_ends_running_trials_and_leaves_none_running(tmp_path, engine):
    def forever(number, params):
        while True:
            time.sleep(0.1)

    study, seen, coordinator = sweep(tmp_path, engine, forever)
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        coordinator.run()
    assert states(study) == [TrialState.WAITING, TrialState.WAITING]  # to go on with the sweep
    assert {failure.kind for _, failure in seen.put_backs} == {"stopped"}


def test_ctrl_c_while_pruning_is_decided_leaves_no_trial_waiting_for_its_answer(tmp_path, engine):
    class Interrupted(NopPruner):
        def prune(self, study, trial):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)  # the signal arrives here
            return False

    def reports_and_goes_on(number, params):
        report(1.0, 1)
        while True:
            time.sleep(0.1)

    study, seen, coordinator = sweep(tmp_path, engine, reports_and_goes_on, n_workers=1, pruner=Interrupted)
    with pytest.raises(KeyboardInterrupt):
        coordinator.run()
    assert seen.put_backs[0][1].kind == "stopped"  # by itself: it was not killed
    assert states(study) == [TrialState.WAITING]


def test_a_second_ctrl_c_kills(tmp_path, engine):
    def deaf(number, params):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)

    study, seen, coordinator = sweep(tmp_path, engine, deaf, n_workers=1)
    for seconds in (1.0, 2.0):
        threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        coordinator.run()
    assert time.monotonic() - began < STOP_GRACE
    assert seen.put_backs[0][1] == messages.Failed("stopped", "killed when the sweep was stopped")
    assert states(study) == [TrialState.WAITING]


def test_an_error_before_a_trial_has_a_process_leaves_nothing_running(tmp_path, engine):
    study, _, coordinator = sweep(tmp_path, engine, lambda number, params: time.sleep(60))
    start = coordinator.new_trial

    def interrupted(proposed, *where):
        if proposed.number == 1:
            raise InputError("cannot be composed")
        return start(proposed, *where)

    coordinator.new_trial = interrupted
    with pytest.raises(InputError):
        coordinator.run()
    assert states(study) == [TrialState.WAITING, TrialState.WAITING]


def test_a_trial_that_ignores_the_request_to_stop_is_killed(tmp_path, engine, monkeypatch):
    monkeypatch.setattr("runback.sweeping.trials.coordinator.STOP_GRACE", 1)

    def deaf(number, params):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)

    study, seen, coordinator = sweep(tmp_path, engine, deaf, n_workers=1)
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        coordinator.run()
    assert seen.put_backs[0][1] == messages.Failed("stopped", "killed when the sweep was stopped")
    assert states(study) == [TrialState.WAITING]


def test_a_sweep_continues_where_it_was_and_counts_on(tmp_path, engine):
    _, _, first = sweep(tmp_path, engine, square, n_trials=3)
    first.run()
    study, _, second = sweep(tmp_path, engine, square, n_trials=5)
    second.run()
    assert [t.number for t in study.trials] == [0, 1, 2, 3, 4]


def test_trials_of_a_dead_coordinator_are_taken_up_first(tmp_path, engine):
    study, seen, coordinator = sweep(tmp_path, engine, square, n_trials=3)
    asked(study, coordinator)
    asked(study, coordinator).note("run_id", "begun before")
    begun = []
    start = coordinator.new_trial

    def noted(proposed, run, device):
        begun.append((proposed.number, run))
        return start(proposed, run, device)

    coordinator.new_trial = noted
    coordinator.run()
    assert states(study) == [TrialState.COMPLETE] * 3
    assert {number for number, _ in seen.put_backs} == {0, 1}
    assert begun[:4] == [(0, None), (1, None), (0, ""), (1, "begun before")]  # first it looks for results


def test_results_that_a_dead_coordinator_did_not_hear_of_are_kept(tmp_path, engine):
    study, seen, coordinator = sweep(tmp_path, engine, square, n_trials=2)
    for how in (messages.Completed((0.25,)), messages.Pruned()):
        trial = asked(study, coordinator)
        (tmp_path / str(trial.number)).mkdir()
        write_outcome(tmp_path / str(trial.number), how)
    coordinator.run()
    assert states(study) == [TrialState.COMPLETE, TrialState.PRUNED]
    assert study.trials[0].value == 0.25
    assert seen.recoveries == [0, 1]


IGNORES_ITS_END = """
import signal, sys, time
from runback.system.files.process_owner import this_process
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(this_process(), file=sys.stderr, flush=True)
time.sleep(600)
"""


@contextlib.contextmanager
def left_running(study, coordinator, log):
    """Put a trial into the study whose process goes on, with its output in `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        words = [sys.executable, "-c", IGNORES_ITS_END]
        process = subprocess.Popen(words, stdout=output, stderr=subprocess.PIPE, text=True)
    try:
        asked(study, coordinator).note(PROCESS, process.stderr.readline().strip())
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_trial_of_a_dead_coordinator_that_goes_on_is_killed(tmp_path, engine, monkeypatch):
    monkeypatch.setattr("runback.sweeping.trials.engines.orphans.GRACE", 0.2)
    study, _, coordinator = sweep(tmp_path, engine, square, n_trials=1)
    with left_running(study, coordinator, tmp_path / "0" / OUTPUT) as process:
        coordinator.run()
        assert not psutil.pid_exists(process.pid)
    assert states(study) == [TrialState.COMPLETE]


@pytest.mark.parametrize("how", ["elsewhere", "link", "hard-link"])
def test_a_process_that_is_no_trial_is_left_alone_whatever_a_study_says(tmp_path, engine, how):
    study, _, coordinator = sweep(tmp_path, engine, square, n_trials=1)
    log, taken = tmp_path / "server.log", tmp_path / "0" / OUTPUT
    with left_running(study, coordinator, log) as process:
        taken.parent.mkdir()
        if how == "link":
            taken.symlink_to(log)
        elif how == "hard-link":
            taken.hardlink_to(log)
        began = time.monotonic()
        coordinator.run()
        assert time.monotonic() - began < GRACE
        assert process.poll() is None
    # A trial prints into no link: that one fails.
    assert states(study) == [*([TrialState.FAIL] if how == "link" else []), TrialState.COMPLETE]


KILLED_COORDINATOR = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_coordinator import LocalEngine, sweep
folder = Path(sys.argv[2])
def forever(number, params):
    (folder / str(number) / "pid").write_text(str(os.getpid()))
    while True:
        time.sleep(0.1)
sweep(folder, LocalEngine(), forever)[2].run()
"""


def test_trials_end_soon_after_their_coordinator_was_killed(tmp_path):
    coordinator = subprocess.Popen(
        [sys.executable, "-c", KILLED_COORDINATOR, str(Path(__file__).parent), str(tmp_path)]
    )
    deadline = time.monotonic() + 600
    while len(list(tmp_path.glob("*/pid"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    trials = [psutil.Process(int(file.read_text())) for file in tmp_path.glob("*/pid")]
    assert len(trials) == 2
    coordinator.kill()
    coordinator.wait()
    _, alive = psutil.wait_procs(trials, timeout=15)
    assert alive == []
    logs = [file.read_text() for file in tmp_path.glob("*/output.log")]
    assert ["its coordinator is gone" in log for log in logs] == [True, True]


@pytest.mark.parametrize("first", [None, signal.SIGSTOP], ids=["alone", "server-stopped"])
def test_a_signal_to_the_whole_group_leaves_no_process(tmp_path, first):
    coordinator = subprocess.Popen(
        [sys.executable, "-c", KILLED_COORDINATOR, str(Path(__file__).parent), str(tmp_path)],
        start_new_session=True,
    )
    deadline = time.monotonic() + 600
    while len(list(tmp_path.glob("*/pid"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    family = psutil.Process(coordinator.pid).children(recursive=True)
    trials = [int(file.read_text()) for file in tmp_path.glob("*/pid")]
    assert set(trials) <= {process.pid for process in family}
    if first is not None:
        psutil.Process(trials[0]).parent().send_signal(first)
    os.killpg(coordinator.pid, signal.SIGTERM)
    assert coordinator.wait(20) == -signal.SIGTERM
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
    study, _, _ = sweep(tmp_path, None, square)
    assert states(study) == [TrialState.WAITING, TrialState.WAITING]


def test_a_grid_ends_when_every_point_was_visited(tmp_path, engine):
    grid = {"_target_": "runback.sweeping.space.grid.points"}
    space = {"x": "choice(1, 2, 3)", "y": "range(0, 2)"}
    study, _, coordinator = sweep(
        tmp_path, engine, lambda number, p: float(p["x"]), n_trials=None, space=space, sampler=grid
    )
    coordinator.run()
    assert sorted((t.params["x"], t.params["y"]) for t in study.trials) == [
        (x, y) for x in (1, 2, 3) for y in (0, 1)
    ]


def test_a_grid_finishes_points_that_were_cut_short_and_leaves_broken_ones(tmp_path, engine):
    grid = {"_target_": "runback.sweeping.space.grid.points"}
    sign = tmp_path / "second visit"

    def fragile(number, params):
        if params["x"] == 1:
            raise ValueError("this point is broken")
        if params["x"] == 2 and not sign.exists():
            sign.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return float(params["x"])

    study, _, coordinator = sweep(
        tmp_path, engine, fragile, n_trials=None, n_workers=1, space={"x": "choice(1, 2, 3)"}, sampler=grid
    )
    coordinator.run()
    visits = [(trial.params["x"], trial.state) for trial in study.trials]
    failed, done = TrialState.FAIL, TrialState.COMPLETE
    assert visits == [(1, failed), (2, done), (3, done)]


def test_several_objectives_work_without_pruning(tmp_path, engine):
    def two(number, params):
        report(0.5, 1)
        return params["x"], 1 - params["x"]

    study, _, coordinator = sweep(tmp_path, engine, two, directions=("maximize", "minimize"), n_trials=4)
    coordinator.run()
    assert states(study) == [TrialState.COMPLETE] * 4
    assert study.best_trials


def test_too_few_values_fail_the_trial_and_say_so(tmp_path, engine):
    _, _, coordinator = sweep(
        tmp_path, engine, lambda n, p: 1.0, directions=("maximize", "minimize"), n_trials=1, n_workers=1
    )
    with pytest.raises(TrainingError, match="expected 2 objective values"):
        coordinator.run()


@pytest.mark.parametrize(
    "sampler",
    ["TPESampler", "RandomSampler", "QMCSampler", "CmaEsSampler", "NSGAIISampler"],
)
def test_what_a_sampler_proposes_depends_on_seed_and_number_not_on_restarts(tmp_path, sampler):
    searched = parse({"x": "interval(0, 1)", "y": "interval(0, 1)"}, [], None)
    spec = {"_target_": f"optuna.samplers.{sampler}"}

    def proposed(folder, restarts):
        folder.mkdir()
        for number in range(14):
            if number in restarts or number == 0:
                study = open_study(folder, "s", Search.of(searched, ["maximize"], {}))
                proposer = Proposer(spec, searched, seed=0)
            trials = study.get_trials(deepcopy=False)
            params = create_entry(study, proposer.propose(study, trials, trials, NopPruner())).found.params
            study.tell(number, params["x"] - params["y"])
        return [trial.params for trial in study.trials]

    assert proposed(tmp_path / "in one go", restarts=()) == proposed(tmp_path / "in parts", restarts=(5, 12))


def test_a_second_coordinator_is_told_who_holds_the_sweep(tmp_path):
    with (
        alone_in(tmp_path, "sweep s"),
        pytest.raises(InputError, match=f"already running .process {os.getpid()}"),
        alone_in(tmp_path, "sweep s"),
    ):
        pass


def test_a_study_locked_by_another_program_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("runback.sweeping.study.study_store.LOCK_TIMEOUT", 0.5)
    searched = parse(SPACE, [], None)
    open_study(tmp_path, "s", Search.of(searched, ["maximize"], {}))
    with contextlib.closing(sqlite3.connect(tmp_path / "study.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="locked by another program"):
            open_study(tmp_path, "s", Search.of(searched, ["maximize"], {}))


def test_a_damaged_study_is_refused(tmp_path):
    (tmp_path / "study.db").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="not a database"):
        open_study(tmp_path, "s", Search.of(parse(SPACE, [], None), ["maximize"], {}))
