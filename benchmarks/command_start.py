"""How long a light command takes, and that it stays light."""

import subprocess
import sys
import time


def seconds(*arguments: str, repeats: int) -> list[float]:
    """Return the wall time of each run of `runback ARGUMENTS`, after one to warm up."""
    return [_seconds(*arguments) for _ in range(repeats + 1)][1:]


def imports_tensorflow(*arguments: str) -> bool:
    """Return whether `runback ARGUMENTS` imports tensorflow or keras."""
    done = _run("-X", "importtime", "-m", "runback", *arguments)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    return not imported.isdisjoint({"tensorflow", "keras"})


def _seconds(*arguments: str) -> float:
    start = time.perf_counter()
    _run("-m", "runback", *arguments)
    return time.perf_counter() - start


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True)
