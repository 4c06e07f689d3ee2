"""Names, values and durations in few characters, for a table or a line on a terminal."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

BRIEFER = {"learning_rate": "lr", "batch_size": "bs"}
"""Short names in common use."""

LONGEST_NAME = 120
"""Characters of a run's name."""


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return the last part of each dotted name, or the whole one where that is not the only such.

    The name of a part's choice, as `optimizer.name`, is called after the part.
    """
    all_names = list(names)
    short = {name: name.removesuffix(".name").rsplit(".", 1)[-1] for name in all_names}
    counts = Counter(short.values())
    return {name: short[name] if counts[short[name]] == 1 else name for name in all_names}


def run_name(params: Mapping[str, Any]) -> str:
    """Return what is special about a run with these params: `adam shift lr=0.003 bs=64`.

    Choices of a whole group speak for themselves and come first; of what is too long, the end is left out.
    """
    choices = {name: value for name, value in params.items() if isinstance(value, str) and "." not in name}
    others = {name: value for name, value in params.items() if name not in choices}
    short = short_names(others)
    values = [f"{BRIEFER.get(short[name], short[name])}={short_value(others[name])}" for name in others]
    values.sort(key=lambda value: value.split("=")[0] not in BRIEFER.values())  # stable
    return textwrap.shorten(" ".join([*choices.values(), *values]), LONGEST_NAME, placeholder=" …")


def short_value(value: Any) -> str:
    """Return a param's value: of a float three digits, or all if it is an integer below a million."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value.is_integer() and abs(value) < 1e6 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Return a duration: `42 s`, `1 min 05 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
