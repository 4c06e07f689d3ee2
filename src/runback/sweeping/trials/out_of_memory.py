"""Tells a trial that had too little memory from one that ended for another reason."""

import errno
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from runback.system.text.excerpt import said

MEMORY_PER_TRIAL = 1_500_000_000
"""Bytes that a trial may want: TensorFlow's share that forked processes do not have in common (about
0.4 GB), CIFAR-10 (0.2 GB), activations."""

CGROUPS = Path("/sys/fs/cgroup")
VMSTAT = Path("/proc/vmstat")

ERRORS = ("ResourceExhaustedError", "OutOfMemoryError")
"""TensorFlow's and PyTorch's errors, by their names: a process without them cannot import them."""

WORDS = re.compile(
    r"std::bad_alloc|[Oo]ut of memory|OUT_OF_MEMORY|RESOURCE_EXHAUSTED|OOM when allocating"
    r"|Cannot allocate memory|MemoryError|mmap error: 12|Dst tensor is not initialized"
    r"|pthread_create(\(\))? failed|can't start new thread"
)
"""The words of libraries that get no memory; the last two, of those that get none for a thread's stack."""

LAST_WORDS = 16_384
"""Bytes at the end of an output in which a crash is explained; TensorFlow prints its stack after it."""


def is_out_of_memory(error: BaseException | None) -> bool:
    """Tell whether an error, or one that it came from, is about memory that was not to be had."""
    while error is not None:
        if isinstance(error, MemoryError) or type(error).__name__ in ERRORS:
            return True
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            return True
        if isinstance(error, RuntimeError | OSError) and WORDS.search(said(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def complaint(output: Path, start: int) -> str | None:
    """Return the line at the end of an output that says that memory ran out, if one does.

    What lies before byte `start` belongs to an earlier attempt.
    """
    try:
        with output.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(max(start, end - LAST_WORDS))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return None
    return next((line.strip() for line in reversed(lines) if WORDS.search(line)), None)


@dataclass(frozen=True)
class OomCounter:
    """The kernel's count of processes that it killed for their memory where a process runs.

    That is in its cgroup: on a machine with containers, the others' are none of its business. Where the
    kernel keeps no such count, it is the machine's.
    """

    file: Path

    @classmethod
    def of(cls, pid: int | None) -> Self:
        """Return the counter of a process that runs."""
        return cls(next((file for file in _candidates(pid) if file.is_file()), VMSTAT))

    def read(self) -> int:
        """Return the count; 0 where there is none."""
        try:
            fields = [line.split() for line in self.file.read_text().splitlines()]
        except OSError:
            return 0
        return next((int(field[1]) for field in fields if field[0] == "oom_kill"), 0)


def _candidates(pid: int | None) -> list[Path]:
    """Return where its cgroup may count: in version 2 or 1, by its path or, in a container, at the top."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return []
    files = []
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if controllers in ("", "memory"):
            mount = CGROUPS / controllers
            name = "memory.oom_control" if controllers else "memory.events"
            files += [mount / path.lstrip("/") / name, mount / name]
    return files
