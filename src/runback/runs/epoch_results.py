"""The part of each epoch's metrics that the same training has to give again."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runback.runs.schema import EpochResult

TIMES = ("_seconds", "_per_second")
"""Ends of the names of metrics that measure time, as `epoch_seconds`: they are part of no result."""


def is_result(name: str) -> bool:
    """Tell whether an epoch's metric of this name is part of its result."""
    return not name.endswith(TIMES) and not name.startswith("system/")


def epoch_results(history: Sequence[Mapping[str, float]]) -> "list[EpochResult]":
    """Return each epoch's results, counted from 1."""
    return [
        {"epoch": number, "metrics": {name: value for name, value in metrics.items() if is_result(name)}}
        for number, metrics in enumerate(history, 1)
    ]
