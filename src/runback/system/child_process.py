"""Runs a program in a process of its own, which hears of this one's signals from here."""

import contextlib
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from runback.errors import Stopped

GRACE = 60.0
"""Seconds that a training gets to end after a signal; it needs those of one step and one checkpoint."""


def run_child(
    command: Sequence[str],
    folder: Path,
    variables: Mapping[str, str],
    *,
    talk: Callable[[], None] = lambda: None,
    descriptors: Sequence[int] = (),
    output: TextIO | None = None,
) -> int:
    """Run a command to its end, or to the one that a signal asks for; return its exit code.

    It inherits `descriptors`; `talk` is called while it runs, and a child that outlasts what that raises is
    given GRACE seconds to end. What it prints goes to `output`. The code of one that a signal has ended is
    the signal's number below 0.
    """
    # In a group of its own it hears of a signal once, from here.
    with subprocess.Popen(  # noqa: S603 - this Python, or the run's
        command,
        cwd=folder,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        stdout=_file(output),
        process_group=0,
        pass_fds=descriptors,
    ) as child:
        try:
            talk()
            code = child.wait()
        except (KeyboardInterrupt, Stopped) as stop:
            child.send_signal(signal.SIGTERM if isinstance(stop, Stopped) else signal.SIGINT)
            try:
                code = child.wait(GRACE)
            except subprocess.TimeoutExpired:
                raise stop from None
            if code < 0:
                raise
        except Exception:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(GRACE)
            raise
        finally:
            child.kill()
    return code


def _file(output: TextIO | None) -> int | None:
    """Return a stream's descriptor; None, this process's own, where it has none."""
    if output is None:
        return None
    try:
        output.flush()
        return output.fileno()
    except (AttributeError, OSError, ValueError):
        return None
