"""Which process something belongs to, so that what a killed one left behind can be told and cleared away."""

import platform
import re
from contextlib import suppress

import psutil

CLOCK = 2.0
"""Seconds by which a process's time of start may be off; the clock it is told by is set now and then."""


def this_process() -> str:
    """Return a mark that no other process has: host, process number, and time of start."""
    process = psutil.Process()
    return f"runback {platform.node()} {process.pid} {process.create_time():.2f}"


def is_abandoned(mark: str) -> bool:
    """Say whether `mark` is one of a process of this host that no longer runs.

    False for any other text, and for another host's mark, of which nothing can be known here.
    """
    found = re.fullmatch(r"runback (.*) (\d+) (\d+\.\d+)", mark.strip())
    if found is None or found[1] != platform.node():
        return False
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(int(found[2]))
        is_same = abs(process.create_time() - float(found[3])) <= CLOCK
        return not is_same or process.status() == psutil.STATUS_ZOMBIE
    return True
