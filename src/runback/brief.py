"""Names, values and durations in few characters, for a table or a line on a terminal."""

from collections import Counter
from collections.abc import Iterable
from typing import Any


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return the last part of each dotted name, or the whole one where that is not the only such.

    The name of a part's choice, as `optimizer.name`, is called after the part.
    """
    known = list(names)
    short = {name: name.removesuffix(".name").rsplit(".", 1)[-1] for name in known}
    counts = Counter(short.values())
    return {name: short[name] if counts[short[name]] == 1 else name for name in known}


def short_value(value: Any) -> str:
    """Return a param's value: of a float three digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """Return a duration: `42 s`, `1 min 05 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def visible(text: str) -> str:
    """Return the text with each character that would do something to a terminal spelled out."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
