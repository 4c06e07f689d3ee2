"""Marks things with the process they belong to, so that leftovers of a killed one can be cleared away."""

import platform
import re
from contextlib import suppress
from pathlib import Path

import psutil

MARK = re.compile(r"runback (.*) ([0-9]{1,10}) ([0-9]+\.[0-9]+)")

KILL_SECONDS = 5.0
"""Seconds that a killed process may take to be gone."""

CLOCK = 2.0
"""Seconds by which a process's time of start may be off: its clock is set now and then."""


def this_process() -> str:
    """Return a mark that no other process has: host, process number, and time of start."""
    return mark_of(psutil.Process().pid)


def mark_of(pid: int) -> str:
    """Return such a mark of another process of this host. Raises psutil.NoSuchProcess."""
    process = psutil.Process(pid)
    return f"runback {platform.node()} {process.pid} {process.create_time():.2f}"


def is_of_this_host(mark: str) -> bool:
    """Say whether `mark` is one of a process of this host, which may run no longer."""
    match = MARK.fullmatch(mark.strip())
    return match is not None and match[1] == platform.node()


def is_abandoned(mark: str) -> bool:
    """Say whether `mark` is one of a process of this host that no longer runs.

    False for any other text, and for another host's mark, of which nothing can be known here.
    """
    match = MARK.fullmatch(mark.strip())
    return match is not None and match[1] == platform.node() and _running(match) is None


def is_open_in(mark: str, file: Path) -> bool:
    """Say whether the process of this host that `mark` is one of runs, and has `file` open.

    A mark proves nothing by itself where somebody else may have written it. A link is not what it leads to.
    """
    process = _process(mark)
    if process is None:
        return False
    try:
        place = str(file.parent.resolve() / file.name)
        return any(opened.path == place for opened in process.open_files())
    except (OSError, RuntimeError, psutil.Error):  # another user's, or it has just ended
        return False


def end(mark: str) -> None:
    """Kill the process of this host that `mark` is one of, if it still runs."""
    process = _process(mark)
    if process is not None:
        with suppress(psutil.Error):
            process.kill()
            process.wait(timeout=KILL_SECONDS)


def _process(mark: str) -> psutil.Process | None:
    match = MARK.fullmatch(mark.strip())
    return _running(match) if match is not None and match[1] == platform.node() else None


def _running(match: re.Match[str]) -> psutil.Process | None:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(int(match[2]))
        is_same = abs(process.create_time() - float(match[3])) <= CLOCK
        return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
    return None
