"""The part of each epoch's metrics that the same training has to give again."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runback.runs.schema import EpochResult

RESULTS = (
    *("loss", "accuracy", "top_k_accuracy", "macro_f1"),
    *("val_loss", "val_accuracy", "val_top_k_accuracy", "val_macro_f1", "learning_rate"),
)
"""An epoch's metrics that are part of its result; the others measure time."""


def epoch_results(history: Sequence[Mapping[str, float]]) -> "list[EpochResult]":
    """Return each epoch's results, counted from 1."""
    return [
        {"epoch": number, "metrics": {name: metrics[name] for name in RESULTS if name in metrics}}
        for number, metrics in enumerate(history, 1)
    ]
