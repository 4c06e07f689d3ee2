"""Imported first by the server that forks trials: it ends with its coordinator, and forks what can be ended.

The server is started with the signals blocked that ask a process to stop: one to the whole process group, as
`timeout`, systemd and schedulers send it, is the coordinator's to answer.
"""

import contextlib
import ctypes
import os
import signal

from runback.system.stop_signals import STOPPING

_PR_SET_PDEATHSIG = 1

_server = os.getpid()


def _hear_again() -> None:
    """Let signals through to what the server forks, and not to what that forks in its turn."""
    if os.getppid() == _server:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


with contextlib.suppress(OSError, AttributeError):  # Linux; elsewhere a server that somebody stopped stays
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
os.register_at_fork(after_in_child=_hear_again)
