"""The names of the metrics that runback adds to those of a training's epochs."""

from typing import Final

from runback.tracking.mlflow_limits import metric_name

BEST_EPOCH: Final = "best_epoch"
"""The epoch, from 1, whose weights a finished run has: with patience the best, else the last."""


def best(objective: str) -> str:
    """Return the name of an objective's value in that epoch; on a sweep's run, of its best trial so far."""
    return metric_name(f"best_{objective}")
