"""The values of objectives: numbers, and nothing that could be read as one."""

import reprlib
from numbers import Real
from typing import Any

MOST = 100
"""Values that a task may return: more than anybody has objectives."""

LAST_STEP = 2**31 - 1
"""The highest step that a study's database takes."""


def values(returned: Any) -> tuple[float, ...]:
    """Return the objectives' values that a task has returned. Raises TypeError if they are none."""
    listed = returned if isinstance(returned, list | tuple) else (returned,)
    if len(listed) > MOST:
        raise TypeError(f"{_WANTED}; it returned {len(listed):,} values")
    try:
        return tuple(map(number, listed))
    except (TypeError, OverflowError):
        raise TypeError(f"{_WANTED}; it returned {reprlib.repr(returned)}") from None


def number(value: Any) -> float:
    """Return a number as a float. Raises TypeError for what is none, OverflowError for one too large.

    A number of NumPy's, or an array or tensor without dimensions, is one; text, truth values and arrays that
    happen to hold one number are none.
    """
    if not _is_number(value):
        raise TypeError(f"expected a number; got {reprlib.repr(value)}")
    return float(value)


def step(value: Any) -> int:
    """Return a step as an int. Raises TypeError for what is none, ValueError for one out of range."""
    counted = int(number(value))
    if not 0 <= counted <= LAST_STEP:
        raise ValueError(f"step must lie in [0, {LAST_STEP}]; got {reprlib.repr(value)}")
    return counted


_WANTED = "the task function must return the objective's value, a number (or one for each objective)"


def _is_number(value: Any) -> bool:
    if isinstance(value, Real):
        return not isinstance(value, bool)
    has_one = getattr(value, "shape", None) == () and hasattr(value, "dtype")
    return has_one and any(kind in str(value.dtype) for kind in ("float", "int"))
