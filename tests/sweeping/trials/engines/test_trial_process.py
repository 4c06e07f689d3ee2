"""The start of a trial's process, by a server that dies or a system that has none to give."""

import errno

import pytest

from runback.errors import TrainingError
from runback.sweeping.trials.engines import trial_process


class Clock:
    """A clock that goes on while a process is started, and in pauses."""

    def __init__(self, seconds):
        self.now, self.seconds = 0.0, seconds

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def failing(monkeypatch):
    """Let starts that take so many seconds fail so often, with this error; return the times they began."""

    def fail(error, seconds, times=10_000):
        clock, began = Clock(seconds), []

        def start(context, *arguments):
            began.append(clock.now)
            clock.now += seconds
            if len(began) <= times:
                raise error
            return "a process"

        monkeypatch.setattr(trial_process, "time", clock)
        monkeypatch.setattr(trial_process, "_start", start)
        monkeypatch.setattr(trial_process.fork_server, "kill", lambda: None)
        return began

    return fail


@pytest.mark.parametrize(
    ("seconds", "starts"), [(20.0, 3), (60.0, 3), (5.0, 6)], ids=["slow", "very slow", "quick"]
)
def test_a_server_that_its_imports_kill_is_given_up_in_time(failing, seconds, starts):
    began = failing(EOFError(), seconds)
    with pytest.raises(TrainingError, match="cannot start a process for a trial: EOFError"):
        trial_process.start(None)
    assert len(began) == starts


def test_servers_that_are_killed_at_once_are_replaced_with_pauses(failing):
    began = failing(ConnectionResetError(errno.ECONNRESET, "reset"), 0.0, times=20)
    assert trial_process.start(None) == "a process"
    assert began == [0.25 * number for number in range(21)]


def test_a_system_without_processes_is_asked_three_times(failing):
    began = failing(BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), 0.0)
    with pytest.raises(TrainingError, match="Resource temporarily unavailable"):
        trial_process.start(None)
    assert began == [0.0, 0.0, 0.0]
