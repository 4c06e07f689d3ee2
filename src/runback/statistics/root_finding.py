"""Where a function passes 0 that rises in steps, as shares of draws do."""

from collections.abc import Callable

HALVINGS = 30
"""Of the range: the place is found to a billionth of it."""


def rising_root(rising: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function that rises passes 0 between two places, or the end that it does not reach."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
