"""What a trial's process does from its first line to its last."""

import contextlib
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cloudpickle

from runback.errors import InputError, NeedsFreshProcess, Stopped, TrialPruned
from runback.sweeping import messages
from runback.sweeping import trial as trials


@dataclass(frozen=True)
class Job:
    """One trial, ready to run in a process of its own.

    `call` holds a cloudpickled function without arguments (by value, because Hydra's decorator hides
    the task function from import). It travels over a pipe between our own processes, never over disk
    or network.
    """

    number: int
    sweep: str
    threads: int
    parent: str | None
    folder: Path
    call: bytes

    @classmethod
    def of(cls, call: Callable[[], Any], **facts: Any) -> "Job":
        """Freeze a function, whatever it closes over included."""
        return cls(call=cloudpickle.dumps(call), **facts)


def run(connection: Connection, warm_up: bytes | None) -> None:
    """Wait for a job, run it in this process and send its outcome; never returns normally to user code.

    `warm_up`, cloudpickled like a job, is called first, while there is nothing else to do. A job that it
    rules out is sent back as unfit.
    """
    # What was imported before the fork lives as long as the process: no search for garbage in it, which
    # takes long and would copy every page of it.
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the coordinator decides
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the same
    if warm_up is not None:
        _warm_up(warm_up)
    try:
        job: Job = connection.recv()
    except (EOFError, OSError):
        os._exit(0)  # it was not needed
    signal.signal(signal.SIGTERM, _stop)
    _redirect_output(job.folder / "output.log")
    trials.enter(trials.Trial(job.number, job.sweep, job.threads, job.parent, connection))
    outcome = _outcome(job.call, may_be_unfit=warm_up is not None)
    if isinstance(outcome, messages.Failed):
        print(outcome.traceback or outcome.reason, file=sys.stderr)  # noqa: T201 - it goes to output.log
    with contextlib.suppress(OSError):
        connection.send(outcome)
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is closed or flushed; tearing TensorFlow down would only keep the slot busy.
    os._exit(0)


def _warm_up(call: bytes) -> None:
    """Call what is done ahead of a job. Where that fails the job will, and say so."""
    _redirect_output(Path(os.devnull))
    with contextlib.suppress(Exception):
        cloudpickle.loads(call)()
    gc.collect()
    gc.freeze()


def _outcome(call: bytes, *, may_be_unfit: bool) -> messages.Outcome | messages.Unfit:
    try:
        return messages.Completed(_values(cloudpickle.loads(call)()))
    except TrialPruned:
        return messages.Pruned()
    except Stopped as stop:
        return messages.Failed("stopped", stop.reason)
    except InputError as error:
        if may_be_unfit and isinstance(error, NeedsFreshProcess):
            return messages.Unfit()
        return messages.Failed("input", str(error))
    except Exception as error:
        first_line = (str(error).strip().splitlines() or [""])[0]
        return messages.Failed("code", f"{type(error).__name__}: {first_line}", traceback.format_exc())


def _values(returned: Any) -> tuple[float, ...]:
    values = returned if isinstance(returned, list | tuple) else (returned,)
    try:
        return tuple(float(value) for value in values)
    except (TypeError, ValueError):
        raise TypeError(
            f"the task function must return the objective's value, a number (or one for each objective); "
            f"it returned {returned!r}"
        ) from None


def _stop(signum: int, _frame: object) -> None:
    signal.signal(signum, signal.SIG_IGN)
    raise Stopped(f"stopped by {signal.Signals(signum).name}", 128 + signum)


def _redirect_output(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    # At the level of file descriptors: TensorFlow's C++ writes past sys.stderr.
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
