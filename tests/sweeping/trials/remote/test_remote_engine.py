"""Workers that are killed, told to leave, or are none; whose coordinator is killed, and comes again."""

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from runback.errors import InputError
from runback.sweeping import report
from runback.sweeping.trials import messages
from runback.sweeping.trials.engines.engine import Ended, MessageReceived
from runback.sweeping.trials.remote.local_workers import LocalWorkers
from runback.sweeping.trials.remote.meeting import Meeting
from runback.sweeping.trials.remote.remote_engine import RemoteEngine
from runback.sweeping.trials.remote.wire import client_context
from runback.sweeping.trials.trial import Trial

pytestmark = pytest.mark.timeout(600)


def epochs(folder, n, seconds):
    """Train n epochs, each on the disk; go on behind the last one."""
    done = folder / "done"
    first = int(done.read_text()) if done.exists() else 0
    for epoch in range(first, n):
        time.sleep(seconds)
        done.write_text(str(epoch + 1))
        with (folder / "epochs").open("a") as file:
            file.write(f"{epoch + 1} {os.getpid()}\n")
        report(epoch, epoch + 1)
    return float(n)


def trial(folder, number, task):
    return Trial.of(task, number=number, sweep="s", folder=folder, threads=1, parent=None)


@pytest.fixture
def engine(tmp_path):
    workers = LocalWorkers()
    with contextlib.closing(RemoteEngine(workers, tmp_path / "meeting", 1)) as engine:
        (tmp_path / "meeting").mkdir()
        yield engine, workers


def until(engine, happened, seconds=120):
    """Answer what comes, until something that has happened; return that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for event in engine.events(0.1):
            if isinstance(event, MessageReceived) and isinstance(event.message, messages.Report):
                engine.answer(event.number, messages.Answer.GO_ON)
            if happened(event):
                return event
    raise TimeoutError


def is_report(event):
    return isinstance(event, MessageReceived) and isinstance(event.message, messages.Report)


def is_end(event):
    return isinstance(event, Ended)


def begun(tmp_path, engine, n=200, seconds=0.05):
    folder = tmp_path / "0"
    folder.mkdir(exist_ok=True)
    engine.start(trial(folder, 0, partial(epochs, folder, n, seconds)))
    until(engine, is_report)
    return folder


def test_the_trial_of_a_worker_that_is_killed_is_lost_and_another_worker_comes(tmp_path, engine):
    engine, workers = engine
    folder = begun(tmp_path, engine)
    [process] = workers._processes.values()
    process.kill()
    outcome = until(engine, is_end).outcome
    assert outcome.kind == "lost"
    assert re.search(r"worker-\w+-1 is gone", outcome.reason)
    n = len((folder / "epochs").read_text().splitlines())
    engine.start(trial(folder, 0, partial(epochs, folder, n + 3, 0.01)))
    assert until(engine, is_end).outcome == messages.Completed((n + 3,))


def test_a_worker_that_is_told_to_leave_lets_its_trial_stop_and_it_goes_on_elsewhere(tmp_path, engine):
    engine, workers = engine
    begun(tmp_path, engine)
    [process] = workers._processes.values()
    process.send_signal(signal.SIGUSR2)
    assert until(engine, is_end).outcome == messages.Preempted("its worker had to leave (SIGUSR2)")
    assert process.wait(30) == 75
    assert not engine.is_ready


def test_a_worker_that_is_frozen_is_lost_in_the_end(tmp_path, engine, monkeypatch):
    monkeypatch.setattr("runback.sweeping.trials.remote.remote_engine.LEASE", 2.0)
    monkeypatch.setattr("runback.sweeping.trials.remote.wire.SILENCE", 2.0)  # of this end
    engine, workers = engine
    begun(tmp_path, engine)
    [process] = workers._processes.values()
    process.send_signal(signal.SIGSTOP)
    try:
        outcome = until(engine, is_end).outcome
    finally:
        process.kill()
    assert outcome.kind == "lost"
    assert "nothing was heard" in outcome.reason


def test_who_does_not_know_the_token_is_let_in_to_nothing(tmp_path, engine):
    engine, _ = engine
    engine.begin()
    meeting = Meeting.read(tmp_path / "meeting")
    context = client_context(meeting.certificate)
    for said in (
        b"",
        b"\0\0\0\2{}",
        b"\xff\xff\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0\0\0\3[1]",
        hello("no"),
    ):
        with (
            socket.create_connection(("127.0.0.1", meeting.port), timeout=10) as plain,
            context.wrap_socket(plain) as stream,
        ):
            stream.sendall(said)
            stream.settimeout(40)
            if said in (b"", b"GET / HTTP/1.1\r\n\r\n"):  # it waits for the rest
                continue
            with contextlib.suppress(ConnectionError):
                assert stream.recv(1) == b""
    until_present(engine)
    assert len(engine._present) == 1  # its own worker


def until_present(engine):
    deadline = time.monotonic() + 60
    while not engine.is_ready and time.monotonic() < deadline:
        engine.events(0.1)


def hello(token):
    text = json.dumps({"kind": "hello", "token": token, "worker": "w"}).encode() + b"\n"
    return len(text).to_bytes(4, "big") + text


def test_another_certificate_is_not_the_coordinators(tmp_path, engine):
    from runback.sweeping.trials.remote.meeting import server_context

    engine, _ = engine
    engine.begin()
    meeting = Meeting.read(tmp_path / "meeting")
    other = client_context(server_context()[1])
    with (
        socket.create_connection(("127.0.0.1", meeting.port), timeout=10) as plain,
        pytest.raises(ssl.SSLError),
        other.wrap_socket(plain),
    ):
        pass


class NoWorkers:
    def start(self, folder, n): ...
    def fate(self, worker): ...
    def check(self, *, is_any_there): ...
    def close(self): ...


@contextlib.contextmanager
def waiting_engine(tmp_path):
    with contextlib.closing(RemoteEngine(NoWorkers(), tmp_path, 1)) as engine:
        yield engine


def greet(engine, **facts):
    """Let a worker come that says this."""
    meeting = Meeting.read(engine._folder)
    plain = socket.create_connection(("127.0.0.1", meeting.port), timeout=10)
    stream = client_context(meeting.certificate).wrap_socket(plain)
    said = {"kind": "hello", "token": meeting.token, **facts}
    text = json.dumps(said).encode() + b"\n"
    stream.sendall(len(text).to_bytes(4, "big") + text)
    return stream


ELSEWHERE = "runback elsewhere 17 1.00"
OUTCOME = {"attempt": 1, "message": {"paused": {}}}


def test_a_trial_whose_worker_says_that_its_process_has_ended_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("runback.sweeping.trials.remote.remote_engine.LEASE", 600.0)
    with waiting_engine(tmp_path) as engine:
        engine.begin()
        with greet(engine, worker="w", ended={"3": {**OUTCOME, "process": ELSEWHERE}}):
            engine.end_orphans([(3, ELSEWHERE, tmp_path)])


@pytest.mark.parametrize("mark", [ELSEWHERE, ""])
def test_the_end_of_an_earlier_process_says_nothing_of_the_one_that_runs(tmp_path, monkeypatch, mark):
    monkeypatch.setattr("runback.sweeping.trials.remote.remote_engine.LEASE", 2.0)
    with waiting_engine(tmp_path) as engine:
        engine.begin()
        earlier = {**OUTCOME, "process": "runback elsewhere 16 1.00"}
        with greet(engine, worker="w", ended={"3": earlier}):
            began = time.monotonic()
            engine.end_orphans([(3, mark, tmp_path)])
            assert time.monotonic() - began >= 2.0


@pytest.mark.parametrize("ended", [{"9" * 5000: OUTCOME}, {"x": {}}, [1], {"1": "x"}, None])
def test_a_worker_that_says_what_none_says_is_hung_up_on(tmp_path, ended):
    with waiting_engine(tmp_path) as engine:
        engine.begin()
        with greet(engine, worker="w", ended=ended) as stream:
            stream.settimeout(20)
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline and not engine._inbox.read():
                engine.events(0.1)
            assert not engine.is_ready


class NeverThere(NoWorkers):
    def start(self, folder, n):
        raise InputError("no cluster")


def test_what_cannot_start_leaves_nothing_behind(tmp_path):
    engine = RemoteEngine(NeverThere(), tmp_path, 1)
    with pytest.raises(InputError):
        engine.begin()
    with contextlib.suppress(InputError):
        engine.close()
    assert not list(tmp_path.iterdir())
    assert not engine._thread._thread.is_alive()


def test_what_happens_while_orphans_are_waited_for_is_told_once(tmp_path, monkeypatch):
    monkeypatch.setattr("runback.sweeping.trials.remote.remote_engine.LEASE", 2.0)
    with waiting_engine(tmp_path) as engine:
        engine.begin()
        engine._ended.append(Ended(1, messages.Paused()))
        engine.end_orphans([(3, ELSEWHERE, tmp_path)])
        assert engine.events(0.0) == [Ended(1, messages.Paused())]
        assert engine.events(0.0) == []


def test_a_worker_that_finds_no_coordinator_says_so_and_ends_as_unavailable(tmp_path):
    impatient = """
import sys
from runback.sweeping.trials.remote import worker_process
worker_process.PATIENCE = 0.5
sys.exit(worker_process.main(sys.argv[1:]))
"""
    command = [sys.executable, "-c", impatient, str(tmp_path), "w"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 69
    assert done.stderr == f"error: no coordinator came within 0 s: there is none in {tmp_path}\n"
    Meeting(("127.0.0.1",), 1, "", "").write(tmp_path)


COORDINATOR = """
import sys
from functools import partial
from pathlib import Path

from test_coordinator import sweep
from test_remote_engine import of_number
from runback.sweeping.trials.remote.local_workers import LocalWorkers
from runback.sweeping.trials.remote.remote_engine import RemoteEngine


class Lasting(LocalWorkers):
    def close(self): ...


folder = Path(sys.argv[1])
(folder / "meeting").mkdir(exist_ok=True)
engine = RemoteEngine(Lasting(), folder / "meeting", 2)
sweep(folder, engine, partial(of_number, folder), n_trials=6)[2].run()
"""


def of_number(folder, number, params):
    return epochs(folder / str(number), 10, 0.1)


def test_a_coordinator_that_is_killed_is_followed_by_one_that_goes_on(tmp_path):
    """Its workers stop their trials, find the next coordinator, and take trials of it."""
    here = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    command = [sys.executable, "-c", COORDINATOR, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*here, os.environ.get("PYTHONPATH", "")])}
    first = subprocess.Popen(command, env=environment)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/epochs")) and time.monotonic() < deadline:
        time.sleep(0.05)
    first.kill()
    first.wait()
    assert subprocess.run(command, env=environment, check=False, timeout=200).returncode == 0
    for number in range(6):
        lines = (tmp_path / str(number) / "epochs").read_text().splitlines()
        assert [int(line.split()[0]) for line in lines] == list(range(1, 11))  # none twice, none left out
    left = [
        one
        for one in psutil.process_iter(["cmdline"])
        if str(tmp_path) in " ".join(one.info["cmdline"] or [])
    ]
    for process in left:
        process.kill()
