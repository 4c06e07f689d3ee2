"""What a trial that does nothing costs, from the end of one to the end of the next, one at a time."""

import itertools
from pathlib import Path
from typing import Any

import coordinated


def measure(folder: Path, finished: int, trials: int) -> list[float]:
    """Run `trials` empty trials in a study with so many `finished` ones; return the seconds of each.

    The first one, which waits for the server that forks them, does not count.
    """

    def value(number: int, params: dict[str, Any]) -> float:
        return float(params["learning_rate"]) * int(params["width"])

    ends = coordinated.sweep(folder, value, n_trials=trials + 1, finished=finished)
    return [later - earlier for earlier, later in itertools.pairwise(ends)]
