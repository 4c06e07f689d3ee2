"""Names in a message: the one that was probably meant, and the first few of many."""

import difflib
from collections.abc import Iterable, Sequence

CUTOFF = 0.6
"""The least similarity of a near name, from 0 to 1; difflib's own default."""


def nearest(name: str, names: Iterable[str], cutoff: float = CUTOFF) -> str | None:
    """Return the one of `names` that is most like `name`, None where none is near."""
    matches = difflib.get_close_matches(name, list(names), 1, cutoff)
    return matches[0] if matches else None


def did_you_mean(name: str, names: Iterable[str], otherwise: str, cutoff: float = CUTOFF) -> str:
    """Return `did you mean 'NAME'?` with the nearest of `names`, or `otherwise` where none is near."""
    match = nearest(name, names, cutoff)
    return f"did you mean '{match}'?" if match else otherwise


def listed(names: Sequence[str], limit: int, separator: str = ", ") -> str:
    """Return the first `limit` names on one line: `a, b and 3 more`."""
    return f"{separator.join(names[:limit])}{_more(names, limit, ' ')}"


def conjoined(names: Sequence[str]) -> str:
    """Return names as a sentence has them: `a`, `a and b`, `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def first_lines(lines: Sequence[str], limit: int, noun: str = "") -> list[str]:
    """Return the first `limit` lines, and one that counts the others: `and 3 more NOUN`."""
    last = _more(lines, limit, noun=noun)
    return [*lines[:limit], *([last] if last else [])]


def _more(names: Sequence[str], limit: int, before: str = "", noun: str = "") -> str:
    rest = len(names) - limit
    return f"{before}and {rest:,} more {noun}".rstrip() if rest > 0 else ""
