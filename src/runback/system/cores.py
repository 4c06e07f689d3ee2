"""The processor cores of this process."""

import os


def available_cores() -> int:
    """Return how many processor cores this process may run on, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
