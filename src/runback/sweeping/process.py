"""What a trial's process does from its first line to its last."""

import contextlib
import gc
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cloudpickle

from runback.disk import is_full
from runback.errors import (
    DataError,
    DiskFull,
    Diverged,
    InputError,
    NeedsFreshProcess,
    Stopped,
    StoreError,
    TrialPruned,
)
from runback.interruption import stop_on_signals
from runback.provenance.owner import this_process
from runback.sweeping import messages
from runback.sweeping import outcome as outcomes
from runback.sweeping import trial as trials
from runback.sweeping.devices import VARIABLE as DEVICES
from runback.sweeping.label import Label, trial_label
from runback.sweeping.memory import is_out_of_memory
from runback.terminal import guard, say

ORPHANED = "its coordinator is gone"

OUTPUT = "output.log"
"""In a trial's folder: what its processes print, one after the other."""

PROCESS = "process"
"""The attribute that tells which process runs a trial."""

_is_orphan = threading.Event()


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
    begun: str | None = None
    device: str | None = None
    label: Label | None = None

    @classmethod
    def of(cls, call: Callable[[], Any], **facts: Any) -> "Job":
        """Freeze a function, whatever it closes over included."""
        return cls(call=cloudpickle.dumps(call), **facts)


def run(connection: Connection, warm_up: bytes | None, settling: float) -> None:
    """Wait for a job, run it in this process and send its outcome; never returns normally to user code.

    `warm_up`, cloudpickled like a job, is called if no job has come for `settling` seconds. A job that it
    rules out is sent back as unfit.
    """
    # What was imported before the fork lives as long as the process: no search for garbage in it, which
    # takes long and would copy every page of it.
    gc.freeze()
    guard()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the coordinator decides
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the same
    is_warm = False
    if warm_up is not None and not connection.poll(settling):
        _warm_up(warm_up)
        is_warm = True
    try:
        job: Job = connection.recv()
    except (EOFError, OSError):
        os._exit(0)  # it was not needed
    with stop_on_signals(signal.SIGTERM, reason=_reason):
        threading.Thread(target=_stop_without_coordinator, args=(connection.fileno(),), daemon=True).start()
        _do(job, connection, may_be_unfit=is_warm)
        # Everything is closed or flushed; tearing TensorFlow down would only keep the slot busy.
        os._exit(0)


def _do(job: Job, connection: Connection, *, may_be_unfit: bool) -> None:
    _redirect_output(job.folder / OUTPUT)
    if job.device is not None:
        os.environ[DEVICES] = job.device  # before TensorFlow looks for devices
    facts = (job.number, job.sweep, job.threads, job.parent, job.folder)
    label = job.label or trial_label(job.number, {})
    trial = trials.Trial(*facts, connection, label, begun=job.begun, device=job.device)
    trials.enter(trial)
    with contextlib.suppress(Stopped):  # where the coordinator is gone, the trial will notice
        trial.attribute(PROCESS, this_process())
    outcome = _outcome(job, may_be_unfit=may_be_unfit)
    if isinstance(outcome, messages.Failed):
        say(*(outcome.traceback or outcome.reason).split("\n"), stream=sys.stderr)  # it goes to output.log
    with contextlib.suppress(OSError):
        connection.send(outcome)
    sys.stdout.flush()
    sys.stderr.flush()


def _warm_up(call: bytes) -> None:
    """Call what is done ahead of a job. Where that fails the job will, and say so."""
    _redirect_output(Path(os.devnull))
    with contextlib.suppress(Exception):
        cloudpickle.loads(call)()
    gc.collect()
    gc.freeze()
    guard()


def _outcome(job: Job, *, may_be_unfit: bool) -> messages.Outcome | messages.Unfit:
    try:
        return _completed(job, cloudpickle.loads(job.call)())
    except TrialPruned:
        return messages.Pruned()
    except Stopped as stop:
        return messages.Failed("stopped", stop.reason)
    except InputError as error:
        if may_be_unfit and isinstance(error, NeedsFreshProcess):
            return messages.Unfit()
        return messages.Failed(_kind(error), str(error))
    except DiskFull as error:
        return messages.Failed(_kind(error), str(error))
    except Exception as error:
        first_line = (str(error).strip().splitlines() or [""])[0]
        return messages.Failed(_kind(error), f"{type(error).__name__}: {first_line}", traceback.format_exc())


def _completed(job: Job, returned: Any) -> messages.Completed:
    completed = messages.Completed(_values(returned))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is too late to stop
    outcomes.keep(job.folder, completed)
    return completed


def _kind(error: Exception) -> str:
    if is_out_of_memory(error):
        return "out_of_memory"
    if isinstance(error, StoreError) or is_full(error):
        return "store"
    kinds = {Diverged: "diverged", DataError: "data", InputError: "input"}
    return next((kind for cause, kind in kinds.items() if isinstance(error, cause)), "code")


def _values(returned: Any) -> tuple[float, ...]:
    values = returned if isinstance(returned, list | tuple) else (returned,)
    try:
        return tuple(float(value) for value in values)
    except (TypeError, ValueError):
        raise TypeError(
            f"the task function must return the objective's value, a number (or one for each objective); "
            f"it returned {returned!r}"
        ) from None


def _reason(signum: int) -> str:
    return ORPHANED if _is_orphan.is_set() else f"stopped by {signal.Signals(signum).name}"


def _stop_without_coordinator(descriptor: int) -> None:
    """Ask this process to stop when the other end of its pipe is gone."""
    poll = select.poll()
    poll.register(descriptor, 0)  # nothing but its end
    poll.poll()
    _is_orphan.set()
    os.kill(os.getpid(), signal.SIGTERM)


def _redirect_output(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    # At the level of file descriptors: TensorFlow's C++ writes past sys.stderr.
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
