"""The names of the metrics that runback adds to those of a training's epochs."""

import re
from typing import Final

BEST_EPOCH: Final = "best_epoch"
"""The epoch, from 1, whose weights a finished run has: with patience the best, else the last."""

_REFUSED = re.compile(r"[^\w\-. /:]")
"""Characters that MLflow takes in no metric's name."""


def best(objective: str) -> str:
    """Return the name of an objective's value in that epoch; on a sweep's run, of its best trial so far."""
    return f"best_{_REFUSED.sub('_', objective)}"
