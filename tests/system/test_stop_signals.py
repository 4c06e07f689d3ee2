"""Real signals, sent by this process to itself."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from runback.errors import Stopped
from runback.system.stop_signals import STOPPING, held_signals, stop_on_signals


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Put back what a failing test leaves behind."""
    before = {signum: signal.getsignal(signum) for signum in STOPPING}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


def send(signum: signal.Signals) -> None:
    os.kill(os.getpid(), signum)


def hold_and_send(*signums: signal.Signals, done: list[str]) -> None:
    """Do a step after each signal, and deliver after the last step."""
    with held_signals() as held:
        assert not held.waiting
        for signum in signums:
            send(signum)
            assert held.waiting
            done.append(f"step after {signum.name}")
        held.deliver()
        done.append("too much")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_waits_and_then_does_what_it_always_does(signum: signal.Signals) -> None:
    done: list[str] = []
    with stop_on_signals():
        with pytest.raises(Stopped) as caught:
            hold_and_send(signum, done=done)
        assert signal.getsignal(signum) == signal.SIG_IGN  # one stop is enough
    assert done == [f"step after {signum.name}"]
    assert caught.value.reason == f"stopped by {signum.name}"
    assert caught.value.exit_code == 128 + signum


def test_control_c_waits_too() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        hold_and_send(signal.SIGINT, done=done)
    assert done == ["step after SIGINT"]


def test_a_second_control_c_does_not_wait() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        hold_and_send(signal.SIGINT, signal.SIGINT, done=done)
    assert done == ["step after SIGINT"]


def test_a_sigterm_that_comes_twice_at_once_is_one() -> None:
    done: list[str] = []
    with stop_on_signals(), pytest.raises(Stopped):
        hold_and_send(signal.SIGTERM, signal.SIGTERM, done=done)
    assert len(done) == 2


def test_a_second_signal_of_another_kind_does_not_wait_either() -> None:
    done: list[str] = []
    with stop_on_signals(), pytest.raises(Stopped, match="SIGTERM"):
        hold_and_send(signal.SIGINT, signal.SIGTERM, done=done)
    assert done == ["step after SIGINT"]


def test_at_the_end_of_the_block_it_is_delivered_in_any_case() -> None:
    def end_with(error: Exception) -> None:
        with held_signals():
            send(signal.SIGINT)
            raise error

    with pytest.raises(KeyboardInterrupt), held_signals():
        send(signal.SIGINT)
    error = ValueError("something else")
    with pytest.raises(KeyboardInterrupt) as caught:
        end_with(error)
    assert caught.value.__context__ is error


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with held_signals() as held:
        send(signal.SIGHUP)
        assert not held.waiting


def test_the_handlers_are_those_from_before_afterwards() -> None:
    before = [signal.getsignal(signum) for signum in STOPPING]
    with held_signals():
        assert [signal.getsignal(signum) for signum in STOPPING] != before
    assert [signal.getsignal(signum) for signum in STOPPING] == before


def test_another_thread_leaves_signals_alone() -> None:
    before = [signal.getsignal(signum) for signum in STOPPING]
    seen = []

    def hold() -> None:
        with held_signals():
            seen.extend(signal.getsignal(signum) for signum in STOPPING)

    thread = threading.Thread(target=hold)
    thread.start()
    thread.join()
    assert seen == before


class _Dropping:
    """An object whose destructor takes its time, and a signal."""

    def __del__(self) -> None:
        send(signal.SIGTERM)
        time.sleep(0.01)


def test_a_signal_whose_exception_python_drops_comes_again() -> None:
    with stop_on_signals():
        dropping = [_Dropping()]
        dropping.clear()  # what its destructor raises goes nowhere
        assert signal.getsignal(signal.SIGTERM) != signal.SIG_IGN
        with pytest.raises(Stopped, match="SIGTERM"):
            time.sleep(10)


def test_what_else_python_drops_is_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: told.append(what.exc_type))

    class Broken:
        def __del__(self) -> None:
            raise LookupError

    with stop_on_signals():
        broken = [Broken()]
        broken.clear()
    assert told == [LookupError]
