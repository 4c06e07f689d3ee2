"""The life of a trial's process: waits for a trial, runs its task, sends its outcome, ends."""

import contextlib
import gc
import multiprocessing
import os
import select
import signal
import sys
import threading
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cloudpickle

from runback.errors import NeedsFreshProcess, Stopped, TrialPaused, TrialPruned
from runback.sweeping.study.attributes import PROCESS
from runback.sweeping.study.objective_value import values
from runback.sweeping.trials import messages, trial_output
from runback.sweeping.trials import outcome_file as outcomes
from runback.sweeping.trials import trial as trials
from runback.sweeping.trials.devices import VARIABLE as DEVICES
from runback.sweeping.trials.exception_report import failed, one_line
from runback.system.files.process_owner import this_process
from runback.system.stop_signals import stop_on_signals
from runback.system.text.terminal import guard, say

ORPHANED = "its coordinator is gone"

_is_orphan = threading.Event()


def run(connection: Connection, warm_up: bytes | None, settling: float) -> None:
    """Wait for a trial, run it in this process and send its outcome; never returns normally to user code.

    `warm_up`, cloudpickled like a trial's task, is called if no trial has come for `settling` seconds. A
    trial that it rules out is sent back as unfit.
    """
    # What was imported before the fork lives as long as the process: no search for garbage in it, which
    # takes long and would copy every page of it.
    gc.freeze()
    guard()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the coordinator decides
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the same
    _keep_descriptors()
    os.register_at_fork(after_in_child=partial(_leave_trial, connection))
    is_warm = False
    if warm_up is not None and not connection.poll(settling):
        _warm_up(warm_up)
        is_warm = True
    try:
        trial: trials.Trial = connection.recv()
    except (EOFError, OSError):
        os._exit(0)  # it was not needed
    with stop_on_signals(signal.SIGTERM, reason=_reason):
        threading.Thread(target=_stop_without_coordinator, args=(connection.fileno(),), daemon=True).start()
        _run(trial, connection, may_be_unfit=is_warm)
        _clear_up(trial.folder)
        # Everything is closed or flushed; tearing TensorFlow down would only keep the slot busy.
        os._exit(0)


def _run(trial: trials.Trial, connection: Connection, *, may_be_unfit: bool) -> None:
    trial_output.redirect(trial.folder / trial_output.OUTPUT)
    if trial.device is not None:
        os.environ[DEVICES] = trial.device  # before TensorFlow looks for devices
    client = trials.TrialClient(trial, connection)
    trials.enter(client)
    with contextlib.suppress(Stopped):  # where the coordinator is gone, the trial will notice
        client.attribute(PROCESS, this_process())
    outcome = _outcome(trial, may_be_unfit=may_be_unfit)
    if not client.is_own_process:
        trial_output.close_streams()
        os._exit(isinstance(outcome, messages.Failed))  # the task's own child must not come back from it
    if isinstance(outcome, messages.Failed):
        say(*(outcome.traceback or outcome.reason).split("\n"), stream=sys.stderr)  # it goes to output.log
    with contextlib.suppress(OSError):
        connection.send(outcome)
    trial_output.close_streams()


def _clear_up(folder: Path) -> None:
    """End the processes that Python would end here, and leave out secrets that this process alone knows."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is too late to stop
    with contextlib.suppress(Exception):
        for child in multiprocessing.active_children():
            child.terminate()
    with contextlib.suppress(Exception):
        trial_output.tidy_all(folder)


def _warm_up(call: bytes) -> None:
    """Call what is done ahead of a trial. Where that fails the trial will, and say so."""
    trial_output.discard()
    with contextlib.suppress(Exception):
        cloudpickle.loads(call)()
    gc.collect()
    gc.freeze()
    guard()


def _outcome(
    trial: trials.Trial, *, may_be_unfit: bool
) -> messages.Outcome | messages.Paused | messages.Unfit:
    try:
        return _completed(trial, cloudpickle.loads(trial.call)())
    except TrialPruned:
        return messages.Pruned()
    except TrialPaused:
        return messages.Paused()
    except Stopped as stop:
        return messages.Failed("stopped", one_line(stop.reason))
    except BaseException as error:  # also SystemExit: whoever wants to end well returns a value
        if trials.current() is None and isinstance(error, SystemExit):
            _exit(error)
        if may_be_unfit and isinstance(error, NeedsFreshProcess):
            return messages.Unfit()
        return failed(error)


def _completed(trial: trials.Trial, returned: Any) -> messages.Completed:
    completed = messages.Completed(values(returned))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is too late to stop
    client = trials.current()
    if client is not None and client.outcome != completed:  # else the task has called `completed` itself
        outcomes.write_outcome(trial.folder, completed)
    return completed


def _exit(error: SystemExit) -> None:
    """End a process that the task has forked, with the exit code that it asks for."""
    trial_output.close_streams()
    os._exit(error.code if isinstance(error.code, int) else error.code is not None)


def _reason(signum: int) -> str:
    return ORPHANED if _is_orphan.is_set() else f"stopped by {signal.Signals(signum).name}"


def _stop_without_coordinator(descriptor: int) -> None:
    """Ask this process to stop when the other end of its pipe is gone."""
    poll = select.poll()
    poll.register(descriptor, 0)  # nothing but its end
    poll.poll()
    _is_orphan.set()
    os.kill(os.getpid(), signal.SIGTERM)


def _keep_descriptors() -> None:
    """Keep what is open from programs that the trial starts: one that lives on would seem to be the trial."""
    for entry in Path("/dev/fd").iterdir():
        if int(entry.name) > 2:
            with contextlib.suppress(OSError):  # the one of the list itself
                os.set_inheritable(int(entry.name), False)


def _leave_trial(connection: Connection) -> None:
    """Make a process that the trial has forked nobody's trial: it reports nothing, and SIGTERM ends it."""
    trials.enter(None)
    with contextlib.suppress(OSError):
        connection.close()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
