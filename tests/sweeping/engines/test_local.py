"""Real processes; the tasks need no TensorFlow."""

import contextlib
import os
import time

import psutil
import pytest

from runback.sweeping import messages
from runback.sweeping.engines import local
from runback.sweeping.engines.engine import Ended
from runback.sweeping.process import Job


@pytest.fixture
def engine(monkeypatch):
    monkeypatch.setattr(local, "SETTLING", 0.0)
    with contextlib.closing(local.LocalEngine(warm_up=warm)) as engine:
        yield engine


def warm() -> None:
    os.environ["WARM"] = "yes"


def outcome_of(engine, folder, task):
    engine.start(Job.of(task, number=0, sweep="s", threads=1, parent=None, folder=folder))
    deadline = time.monotonic() + 60
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


def test_a_job_finds_its_process_warmed_up(engine, tmp_path):
    assert outcome_of(engine, tmp_path, is_warm) == messages.Completed((1.0,))


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
    engine.close()
    assert waiting() == []
