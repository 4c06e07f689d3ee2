"""Real processes; the tasks need no TensorFlow."""

import contextlib
import importlib.util
import os
import signal
import sys
import time

import psutil
import pytest

from runback.errors import NeedsFreshProcess, TrialPaused
from runback.sweeping.trials import messages, trial_output
from runback.sweeping.trials.engines import local_engine
from runback.sweeping.trials.engines.engine import Ended
from runback.sweeping.trials.out_of_memory import OomCounter
from runback.sweeping.trials.trial import Trial


@pytest.fixture
def engine(monkeypatch):
    monkeypatch.setattr(local_engine, "SETTLING", 0.0)
    with contextlib.closing(local_engine.LocalEngine(warm_up=warm)) as engine:
        yield engine


def warm() -> None:
    os.environ["WARM"] = "yes"
    print("warming up", file=sys.stderr)
    raise RuntimeError("what fails here will fail in the job")


def outcome_of(engine, folder, task):
    engine.start(Trial.of(task, number=0, sweep="s", threads=1, parent=None, folder=folder))
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        for event in engine.events(0.1):
            if isinstance(event, Ended):
                return event.outcome
    raise TimeoutError


def waiting():
    """Return the processes that wait for a job: children of the server that forks them."""
    servers = [child for child in psutil.Process().children() if "forkserver" in " ".join(child.cmdline())]
    return [child for server in servers for child in server.children()]


def pid() -> float:
    return os.getpid()


def is_warm() -> float:
    return float(os.environ.get("WARM") == "yes")


def test_every_job_has_a_process_of_its_own(engine, tmp_path):
    outcomes = [outcome_of(engine, tmp_path, pid) for _ in range(3)]
    assert all(isinstance(outcome, messages.Completed) for outcome in outcomes)
    assert len({outcome.values for outcome in outcomes}) == 3


def needs_a_fresh_process() -> float:
    if os.environ.get("WARM") == "yes":
        raise NeedsFreshProcess("too warm")
    return os.getpid()


def needs_the_impossible() -> float:
    raise NeedsFreshProcess("whatever was done before")


def test_a_job_finds_its_process_warmed_up(engine, tmp_path, capfd):
    assert outcome_of(engine, tmp_path, is_warm) == messages.Completed((0.0,))  # it did not wait for that
    assert outcome_of(engine, tmp_path, is_warm) == messages.Completed((1.0,))
    assert "warming up" not in capfd.readouterr().err


def test_a_job_that_its_warm_process_rules_out_gets_a_fresh_one(engine, tmp_path):
    assert isinstance(outcome_of(engine, tmp_path, pid), messages.Completed)
    engine.events(0.1)
    assert isinstance(outcome_of(engine, tmp_path, needs_a_fresh_process), messages.Completed)
    assert not engine.is_busy


def test_a_job_that_a_fresh_process_rules_out_too_has_failed(engine, tmp_path):
    assert isinstance(outcome_of(engine, tmp_path, pid), messages.Completed)
    engine.events(0.1)
    outcome = outcome_of(engine, tmp_path, needs_the_impossible)
    assert outcome == messages.Failed("input", "whatever was done before")


def test_a_job_starts_although_the_process_that_waited_for_it_was_killed(engine, tmp_path):
    outcome_of(engine, tmp_path, pid)
    engine.events(0.1)  # the next process is forked
    ready = waiting()
    assert ready
    for process in ready:
        process.kill()
    psutil.wait_procs(ready, timeout=10)
    assert isinstance(outcome_of(engine, tmp_path, pid), messages.Completed)


def test_closing_leaves_no_process_waiting(engine, tmp_path):
    outcome_of(engine, tmp_path, pid)
    engine.events(0.1)
    ready = waiting()
    assert ready
    engine.close()
    assert psutil.wait_procs(ready, timeout=10)[1] == []  # the server takes a moment to hear of a child's end
    assert waiting() == []


@pytest.fixture
def kernel(monkeypatch, tmp_path):
    """Stand in for the kernel's count: to fill a machine's memory for real would kill others beside it."""
    file = tmp_path / "memory.events"
    file.write_text("low 0\noom 0\noom_kill 4\n")
    monkeypatch.setattr(OomCounter, "of", classmethod(lambda cls, pid: cls(file)))
    return file


def both_die(engine, folder, kernel):
    """Run two trials: one dies while the kernel counts a process, the other after that."""
    for number in (0, 1):
        facts = {"sweep": "s", "threads": 1, "parent": None, "folder": folder / str(number)}
        engine.start(Trial.of(lambda: time.sleep(600), number=number, **facts))
    outcomes = {}
    for number in (0, 1):
        kernel.write_text("low 0\noom 1\noom_kill 5\n")
        engine.kill(number)
        deadline = time.monotonic() + 600
        while number not in outcomes and time.monotonic() < deadline:
            outcomes |= {e.number: e.outcome for e in engine.events(0.1) if isinstance(e, Ended)}
    return outcomes


def test_a_process_killed_for_its_memory_is_told_from_one_killed_beside_it(engine, tmp_path, kernel):
    outcomes = both_die(engine, tmp_path, kernel)
    assert outcomes[0].kind == "out_of_memory"
    assert outcomes[1] == messages.Failed("lost", "its process was killed by SIGKILL")


def test_kills_before_a_trial_are_none_of_its_business(engine, tmp_path, kernel):
    def dies():
        os.kill(os.getpid(), signal.SIGKILL)

    assert outcome_of(engine, tmp_path, dies).kind == "lost"


def test_an_abort_for_want_of_memory_is_told_by_its_last_words(engine, tmp_path):
    def aborts():
        print("  what():  std::bad_alloc", file=sys.stderr, flush=True)
        os.abort()

    def only_aborts():
        os.abort()

    assert outcome_of(engine, tmp_path, aborts).kind == "out_of_memory"
    again = outcome_of(engine, tmp_path, only_aborts)  # its log goes on after the words of the first one
    assert again == messages.Failed("lost", "its process was killed by SIGABRT")


def test_what_is_imported_ahead_is_there():
    """A server that forks processes passes over what it cannot import."""
    for name in local_engine.PRELOADED:
        assert importlib.util.find_spec(name) is not None


def test_a_trial_that_goes_on_prints_when_its_last_process_has_tidied_up(engine, tmp_path):
    going_on, pid_file = tmp_path / "going on", tmp_path / "pid"

    def wait_until(happened, seconds):
        deadline = time.monotonic() + seconds
        while not happened() and time.monotonic() < deadline:
            time.sleep(0.01)

    def pauses():
        tidy_all = trial_output.tidy_all

        def tidies_late(folder):
            wait_until(going_on.exists, 1.0)
            tidy_all(folder)

        trial_output.tidy_all = tidies_late  # in its own process
        pid_file.write_text(str(os.getpid()))
        os.write(1, b"a line\n" * (trial_output.HEAD // 2))  # far too much
        raise TrialPaused("paused")

    def goes_on():
        going_on.touch()
        wait_until(lambda: not psutil.pid_exists(int(pid_file.read_text())), 10.0)
        print("went on")
        return 1.0

    folder = tmp_path / "0"
    assert outcome_of(engine, folder, pauses) == messages.Paused()
    assert outcome_of(engine, folder, goes_on) == messages.Completed((1.0,))
    engine.close()
    content = (folder / trial_output.OUTPUT).read_text()
    assert "bytes left out" in content
    assert content.endswith("went on\n")
