"""The private part of Python's random module by which generators that nobody seeds are noticed.

tests/runs/live/test_random_internals.py fails when Python or NumPy changes it.
"""

import contextlib
import linecache
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

SHOWN = 5
"""Places that are kept."""


@contextlib.contextmanager
def noticing_unseeded(root: Path, places: list[str]) -> Iterator[None]:
    """Add to `places`, while the block runs, the lines of a project's files that make an unseeded generator.

    NumPy's generators, as `np.random.default_rng()`, take a seed of the system's where they are given none,
    by `secrets.randbits`, which asks `random._urandom`. What a library makes is its own affair.
    """
    drawn: Any = random._urandom  # type: ignore[attr-defined]

    def urandom(size: int) -> bytes:
        place = _place(sys._getframe(1), root)
        if place is not None and place not in places and len(places) < SHOWN:
            places.append(place)
        return bytes(drawn(size))

    random._urandom = urandom  # type: ignore[attr-defined]
    try:
        yield
    finally:
        random._urandom = drawn  # type: ignore[attr-defined]


def _place(frame: FrameType | None, root: Path) -> str | None:
    """Return the file and the line that asked for a seed, where it is one of the project's."""
    while frame is not None and frame.f_code.co_filename == random.__file__:
        frame = frame.f_back
    if frame is None:
        return None
    file = Path(frame.f_code.co_filename)
    if not file.is_relative_to(root) or "site-packages" in file.parts:
        return None
    line = linecache.getline(str(file), frame.f_lineno)
    if "RandomState(" in line and "RandomState()" not in line:
        return None  # one with a seed makes one without before it gives it the seed
    return f"{file.relative_to(root).as_posix()}:{frame.f_lineno}"
