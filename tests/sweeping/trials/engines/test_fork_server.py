"""The server that forks trials: signalled, stopped, killed."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing import forkserver
from multiprocessing import process as processes

import psutil
import pytest

from runback.sweeping import report
from runback.sweeping.trials import messages
from runback.sweeping.trials.engines import fork_server
from runback.sweeping.trials.engines.engine import Ended, MessageReceived
from runback.sweeping.trials.engines.local_engine import LocalEngine
from runback.sweeping.trials.trial import Trial


@pytest.fixture
def engine():
    with contextlib.closing(LocalEngine()) as engine:
        yield engine


def server() -> psutil.Process:
    children = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    [alive] = [child for child in children if "forkserver" in " ".join(child.cmdline())]
    return alive


def runs(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def job(folder, task, number=0):
    return Trial.of(task, number=number, sweep="s", threads=1, parent=None, folder=folder / str(number))


def ended(engine, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for event in engine.events(0.1):
            if isinstance(event, MessageReceived) and isinstance(event.message, messages.Report):
                engine.answer(event.number, messages.Answer.GO_ON)
            if isinstance(event, Ended):
                return event.outcome
    raise TimeoutError


def wait_for(file):
    deadline = time.monotonic() + 600
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert file.exists()


def reports_until(folder):
    """Return a task that goes on reporting until it is told to end."""

    def task():
        step = 0
        (folder / "pid").write_text(str(os.getpid()))
        while not (folder / "end").exists():
            step += 1
            report(0.5, step)
            time.sleep(0.02)
        return 0.25

    return task


def test_what_is_private_to_multiprocessing_is_what_it_was(engine):
    assert isinstance(forkserver._forkserver._forkserver_pid, int)
    child = multiprocessing.get_context("forkserver").Process(target=os.getpid)
    child.start()
    assert child in processes._children
    fork_server.disown(child)
    assert child not in multiprocessing.active_children()
    child.join(30)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_group_does_not_end_the_server(engine, tmp_path, signum):
    before = server()
    before.send_signal(signum)  # also while it still imports
    engine.start(job(tmp_path, lambda: 1.0))
    assert ended(engine) == messages.Completed((1.0,))
    before.send_signal(signum)
    engine.start(job(tmp_path, lambda: 2.0))
    assert ended(engine) == messages.Completed((2.0,))
    assert server() == before


def test_what_the_server_forks_hears_signals_again(engine, tmp_path):
    def blocked():
        return len(signal.pthread_sigmask(signal.SIG_BLOCK, []))

    engine.start(job(tmp_path, blocked))
    assert ended(engine) == messages.Completed((0.0,))

    def of_a_pool():
        with multiprocessing.get_context("forkserver").Pool(1) as pool:
            return pool.apply(os.getpid)  # to leave the block, SIGTERM has to end it

    engine.start(job(tmp_path, of_a_pool, 1))
    assert isinstance(ended(engine), messages.Completed)


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSTOP])
def test_a_trial_goes_on_without_its_server_and_is_heard(engine, tmp_path, signum):
    engine.start(job(tmp_path, reports_until(tmp_path)))
    wait_for(tmp_path / "pid")
    server().send_signal(signum)
    time.sleep(0.5)
    events = [event for _ in range(5) for event in engine.events(0.1)]
    assert not [event for event in events if isinstance(event, Ended)]
    for event in events:
        engine.answer(event.number, messages.Answer.GO_ON)
    (tmp_path / "end").touch()
    assert ended(engine) == messages.Completed((0.25,))


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSTOP])
def test_the_end_of_a_trial_without_a_server_is_noticed(engine, tmp_path, signum):
    engine.start(job(tmp_path, reports_until(tmp_path)))
    wait_for(tmp_path / "pid")
    server().send_signal(signum)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    outcome = ended(engine, 20)
    assert (outcome.kind, "is gone" in outcome.reason) == ("lost", True)


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSTOP])
def test_a_server_is_replaced(engine, tmp_path, signum):
    before = server()
    before.send_signal(signum)
    engine.start(job(tmp_path, lambda: 1.0))
    assert ended(engine, 30) == messages.Completed((1.0,))
    assert server() != before


def test_a_server_that_goes_on_soon_stays(engine, tmp_path):
    before = server()
    before.suspend()
    time.sleep(1.2)
    before.resume()
    engine.start(job(tmp_path, lambda: 1.0))
    assert ended(engine) == messages.Completed((1.0,))
    assert server() == before


def test_closing_ends_all_although_everything_is_stopped(tmp_path):
    engine = LocalEngine()
    engine.start(job(tmp_path, reports_until(tmp_path)))
    wait_for(tmp_path / "pid")
    engine.events(0.1)  # another process waits
    family = [server(), *server().children()]
    assert len(family) == 3
    for process in family:
        process.suspend()
    began = time.monotonic()
    engine.close()
    assert time.monotonic() - began < 10
    assert not [process for process in family if runs(process)]


COORDINATOR = """
import time
from runback.sweeping.trials.engines.local_engine import LocalEngine
engine = LocalEngine()
print("started", flush=True)
time.sleep(600)
"""


def test_a_stopped_server_does_not_outlive_a_killed_coordinator():
    coordinator = subprocess.Popen([sys.executable, "-c", COORDINATOR], stdout=subprocess.PIPE, text=True)
    assert coordinator.stdout.readline() == "started\n"
    time.sleep(2)
    children = psutil.Process(coordinator.pid).children()
    [forking] = [child for child in children if "forkserver" in " ".join(child.cmdline())]
    forking.suspend()
    coordinator.kill()
    coordinator.communicate()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
