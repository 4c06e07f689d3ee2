"""Processes of this machine; those of nobody in particular."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from runback.sweeping.trials.engines.liveness import Life


@pytest.fixture
def sleeper():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture(params=["descriptor", "number"])
def life(request, monkeypatch, sleeper):
    """The life of a process, as Linux tells it and as other systems do."""
    if request.param == "number":
        monkeypatch.delattr("os.pidfd_open")
    found = Life(sleeper.pid)
    assert (found.descriptor is not None) == (request.param == "descriptor")
    yield found
    found.close()


def test_a_stopped_process_lives_and_one_that_has_ended_does_not_although_nobody_asked_how(life, sleeper):
    assert not life.is_over
    life.signal(signal.SIGSTOP)
    assert not life.wait(0.1)
    life.signal(signal.SIGKILL)
    assert life.wait(10)
    assert life.is_over
    assert psutil.Process(sleeper.pid).status() == psutil.STATUS_ZOMBIE
    life.signal(signal.SIGKILL)  # nobody is left to hear it


def test_a_process_that_is_gone_is_over_from_the_beginning():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    began = time.monotonic()
    assert Life(process.pid).wait(10)
    assert time.monotonic() - began < 1
