"""What a trial may tell: numbers, in few words, by itself. Real processes and a real SQLite study."""

import contextlib
import math
import multiprocessing
import os
import signal
import subprocess
import threading
import time
from decimal import Decimal
from functools import partial

import numpy as np
import psutil
import pytest
from optuna.pruners import MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.trial import TrialState

from runback.errors import TrainingError
from runback.sweeping import report
from runback.sweeping.deciding.decisions import Decisions
from runback.sweeping.deciding.proposer import Proposer
from runback.sweeping.space.search_identity import Search
from runback.sweeping.space.search_space import parse
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.study_store import best_trials, open_study
from runback.sweeping.trials import messages
from runback.sweeping.trials.coordinator import STOP_GRACE, Coordinator
from runback.sweeping.trials.engines.local_engine import LocalEngine
from runback.sweeping.trials.events import TrialEnded, TrialReported, TrialRequeued
from runback.sweeping.trials.failures import RETRIES, FailurePolicy
from runback.sweeping.trials.outcome_file import FILE
from runback.sweeping.trials.trial import Trial, current


class Seen:
    """An observer that remembers how trials ended."""

    def __init__(self):
        self.put_backs, self.outcomes, self.values = [], {}, []

    def observe(self, event):
        match event:
            case TrialReported(value=value):
                self.values.append(value)
            case TrialRequeued(trial, failure):
                self.put_backs.append((trial.number, failure))
            case TrialEnded(trial, outcome):
                self.outcomes[trial.number] = outcome


@pytest.fixture(scope="module")
def engine():
    with contextlib.closing(LocalEngine()) as local:
        yield local


def sweep(folder, engine, task, *, n_trials=2, n_workers=1, pruner=NopPruner):
    searched = parse({"x": "interval(0, 1)"}, [], None)
    study = open_study(folder, "s", Search.of(searched, ("maximize",), {}))
    seen = Seen()

    def new_trial(proposed, previous_run_id, device):
        number = proposed.number
        facts = {"sweep": "s", "threads": 1, "parent": None, "previous_run_id": previous_run_id}
        facts |= {"device": device, "folder": folder / str(number)}
        return Trial.of(partial(task, number), number=number, **facts)

    proposer = Proposer({"_target_": "optuna.samplers.RandomSampler"}, searched, seed=0)
    decisions = Decisions(study, proposer, pruner)
    budget, policy = Budget(n_trials, None, n_workers), FailurePolicy(RETRIES)
    return study, seen, Coordinator(study, decisions, engine, budget, policy, new_trial, [seen.observe])


def first(folder, engine, task):
    """Return how a trial ends that does this; the one after it is sound."""
    study, seen, coordinator = sweep(folder, engine, lambda number: 1.0 if number else task(), n_trials=2)
    coordinator.run()
    assert seen.put_backs == []
    return study, seen.outcomes[0]


def raises(error):
    def task():
        raise error

    return task


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SystemExit(0), "SystemExit: 0"),
        (SystemExit(3), "SystemExit: 3"),
        (SystemExit("no\nway"), "SystemExit: no"),
        (KeyboardInterrupt(), "KeyboardInterrupt:"),
        (GeneratorExit(), "GeneratorExit:"),
        (BaseException("of its own kind"), "BaseException: of its own kind"),
    ],
    ids=["exit-0", "exit-3", "exit-text", "interrupt", "generator", "base"],
)
def test_whatever_ends_a_task_but_a_value_is_a_failure_of_its_code(tmp_path, engine, error, reason):
    study, outcome = first(tmp_path, engine, raises(error))
    assert (outcome.kind, outcome.reason) == ("code", reason)
    assert study.trials[0].state == TrialState.FAIL


class Mute(Exception):  # noqa: N818 - its texts are the error
    def __str__(self):
        raise ValueError("no text")


class Slow(Exception):  # noqa: N818 - the same
    def __str__(self):
        time.sleep(600)
        return "at last"


@pytest.mark.parametrize("error", [Mute(), Slow()], ids=["mute", "slow"])
def test_an_exception_that_cannot_be_told_is_a_failure_all_the_same(tmp_path, engine, error):
    began = time.monotonic()
    _, outcome = first(tmp_path, engine, raises(error))
    assert outcome.kind == "code"
    assert outcome.reason.startswith(f"{type(error).__name__}: (its text cannot be had")
    assert time.monotonic() - began < 30


def huge_error():
    raise ValueError("token=tell-nobody " + "x" * 50_000_000)


def huge_cause():
    try:
        huge_error()
    except ValueError as error:
        raise RuntimeError("y" * 50_000_000) from error


def huge_text():
    return "1" * 100_000_000


def huge_list():
    return [0.5] * 1_000_000


def huge_number():
    return 10**400


def huge_step():
    report(0.5, 10**30)


@pytest.mark.parametrize("task", [huge_error, huge_cause, huge_text, huge_list, huge_number, huge_step])
def test_however_much_a_task_has_to_say_little_of_it_is_kept(tmp_path, engine, task):
    study, outcome = first(tmp_path, engine, task)
    assert outcome.kind == "code"
    assert len(outcome.reason) <= 500
    assert len(outcome.traceback) < 20_000
    kept = sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())
    assert kept < 3_000_000
    assert "tell-nobody" not in study.trials[0].user_attrs["failure"]
    assert b"tell-nobody" not in (tmp_path / "0" / "output.log").read_bytes()


@pytest.mark.parametrize(
    "value",
    [
        "0.5",
        b"0.5",
        None,
        True,
        1j,
        Decimal("0.5"),
        np.array([0.5]),
        np.bool_(True),
        {"a": 1},
        [],
        (0.5, 1.0),
    ],
    ids=repr,
)
def test_what_is_no_number_is_no_value(tmp_path, engine, value):
    _, outcome = first(tmp_path, engine, lambda: value)
    assert outcome.kind == "code"
    assert "\n" not in outcome.reason


def test_what_is_no_number_cannot_be_reported(tmp_path, engine):
    _, outcome = first(tmp_path, engine, lambda: report("0.5", 1))
    assert (outcome.kind, outcome.reason) == ("code", "TypeError: expected a number; got '0.5'")


@pytest.mark.parametrize(
    "value", [1, 0.5, np.float32(0.5), np.int64(1), np.array(0.5), [0.5], (0.5,)], ids=repr
)
def test_numbers_are_values(tmp_path, engine, value):
    _, outcome = first(tmp_path, engine, lambda: value)
    assert isinstance(outcome, messages.Completed)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, np.float32("inf")], ids=repr)
def test_what_is_not_finite_is_no_best_value(tmp_path, engine, value):
    study, outcome = first(tmp_path, engine, lambda: value)
    assert outcome == messages.Failed("diverged", f"the objective's value is {float(value)}")
    assert study.best_trial.number == 1
    assert [trial.number for trial in best_trials(study, 5)] == [1]


@pytest.mark.parametrize(
    "pruner",
    [NopPruner, MedianPruner, partial(SuccessiveHalvingPruner, min_resource=1)],
    ids=["none", "median", "asha"],
)
def test_an_infinite_report_is_no_best_one(tmp_path, engine, pruner):
    def task(number):
        report(math.inf if number == 0 else 0.5 + number / 100, 1)
        report(0.5 + number / 100, 2)
        return 0.5 + number / 100

    study, seen, coordinator = sweep(tmp_path, engine, task, n_trials=4, pruner=pruner)
    coordinator.run()
    assert math.inf not in seen.values
    assert study.best_trial.number == 3
    assert all(value is None or math.isfinite(value) for value in (trial.value for trial in study.trials))
    if isinstance(pruner, partial):  # the median of none prunes none
        assert study.trials[0].state == TrialState.PRUNED


def test_a_trial_that_somebody_stops_again_and_again_fails_in_the_end(tmp_path, engine):
    def stopped(number):
        if number == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        return 1.0

    study, seen, coordinator = sweep(tmp_path, engine, stopped)
    coordinator.run()
    assert seen.put_backs == [(0, messages.Failed("stopped", "stopped by SIGTERM"))] * 2
    assert study.trials[0].state == TrialState.FAIL
    assert study.trials[0].user_attrs["ended_by"] == "stopped"
    assert [trial.state for trial in study.trials[1:]] == [TrialState.COMPLETE] * 2


def is_stopped(pid):
    return pid and psutil.Process(pid).status() == psutil.STATUS_STOPPED


def is_gone(pid):
    """Whether a process is gone, or about to be: whatever forked it takes a moment to hear of its end."""
    try:
        psutil.Process(pid).wait(timeout=10)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def test_ctrl_c_ends_a_trial_that_somebody_has_stopped(tmp_path, engine):
    def sleeps(number):
        (tmp_path / "pid").write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(600)

    asked = []

    def interrupts():
        while not (tmp_path / "pid").exists() or not is_stopped(int((tmp_path / "pid").read_text() or 0)):
            time.sleep(0.05)
        asked.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    _, seen, coordinator = sweep(tmp_path, engine, sleeps)
    threading.Thread(target=interrupts, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        coordinator.run()
    assert time.monotonic() - asked[0] < STOP_GRACE
    assert seen.put_backs == [
        (0, messages.Failed("stopped", "stopped by SIGTERM"))
    ]  # it was woken to stop well
    assert is_gone(int((tmp_path / "pid").read_text()))


def test_what_a_killed_trial_had_started_is_ended_with_it(tmp_path, engine):
    def starts_a_program(number):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        helper = subprocess.Popen(["sleep", "600"])
        (tmp_path / "pid").write_text(str(helper.pid))
        time.sleep(600)

    _, _, coordinator = sweep(tmp_path, engine, starts_a_program)
    for seconds in (2.0, 2.5):
        threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        coordinator.run()
    helper = int((tmp_path / "pid").read_text())
    assert not psutil.pid_exists(helper) or psutil.Process(helper).status() == psutil.STATUS_ZOMBIE


def child_that(does):
    """Return a task that forks a child which does this, waits for it, and returns 1."""

    def task():
        pid = os.fork()
        if pid == 0:
            return does()
        _, status = os.waitpid(pid, 0)
        assert not (current().trial.folder / FILE).exists()
        current().attribute("child", str(os.waitstatus_to_exitcode(status)))
        return 1.0

    return task


def exits():
    raise SystemExit(7)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("does", "code"),
    [
        (lambda: 0.25, "0"),
        (raises(ValueError("in the child")), "1"),
        (exits, "7"),
        (lambda: report(0.5, 1) or 0.25, "0"),
    ],
    ids=["returns", "raises", "exits", "reports"],
)
def test_a_child_that_a_task_forks_never_reports_for_it(tmp_path, engine, does, code):
    study, outcome = first(tmp_path, engine, child_that(does))
    assert outcome == messages.Completed((1.0,))
    assert study.trials[0].user_attrs["child"] == code
    assert study.trials[0].intermediate_values == {}


def test_a_trial_object_in_a_forked_child_says_that_it_cannot_report(tmp_path, engine):
    def task():
        trial = current()
        if (pid := os.fork()) == 0:
            for call in (lambda: trial.report(0.5, 1), lambda: trial.completed((0.5,))):
                with contextlib.suppress(TrainingError):
                    call()
                    os._exit(1)
            os._exit(0)
        return float(os.waitpid(pid, 0)[1] == 0)

    assert first(tmp_path, engine, task)[1] == messages.Completed((1.0,))


def test_a_child_that_lives_on_keeps_no_trial_from_ending(tmp_path, engine):
    def task():
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)

    began = time.monotonic()
    _, seen, coordinator = sweep(tmp_path, engine, lambda number: 1.0 if number else task())
    coordinator.run()
    assert seen.outcomes[0] == messages.Failed("lost", "its process was killed by SIGKILL")
    assert time.monotonic() - began < 15


def test_a_program_that_a_trial_starts_holds_nothing_of_it(tmp_path, engine):
    def task():
        listed = subprocess.run(["ls", "/proc/self/fd"], close_fds=False, capture_output=True, text=True)
        return float(max(map(int, listed.stdout.split())))

    _, outcome = first(tmp_path, engine, task)
    assert outcome.values[0] <= 3  # 3 is the listing's own


def test_a_pool_of_processes_works_in_a_task(tmp_path, engine):
    def task():
        with multiprocessing.get_context("fork").Pool(2) as pool:
            return sum(pool.map(abs, [-1, 2]))

    assert first(tmp_path, engine, task)[1] == messages.Completed((3.0,))
