"""Draws a confusion matrix."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from runback.system.text.escape import for_picture

COUNTS_UP_TO = 25
"""Classes up to which a cell has room for its count."""


def confusion_figure(confusion: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Return a figure of `confusion`, counts of shape (k, k): row the true class, column the answer.

    The colour is the share of the row, so that small classes show as well as large ones.
    """
    k = len(class_names)
    totals = confusion.sum(axis=1, keepdims=True)
    shares = confusion / np.maximum(totals, 1)
    side = min(22.0, 4.0 + 0.45 * k)
    figure = Figure(figsize=(side + 1.0, side), dpi=120, layout="compressed")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    size = max(6.0, min(10.0, 320.0 / k))
    names = [for_picture(name if len(name) <= 20 else name[:19] + "…") for name in class_names]
    axes.set_xticks(range(k), names, rotation=90 if k > 5 else 0, fontsize=size)
    axes.set_yticks(range(k), names, fontsize=size)
    axes.set_xlabel("answer")
    axes.set_ylabel("true class")
    axes.set_title(f"{confusion.trace() / max(1, confusion.sum()):.1%} of {confusion.sum():,} images right")
    figure.colorbar(image, ax=axes, label="share of the true class", fraction=0.046, pad=0.02)
    if k <= COUNTS_UP_TO:
        for row, column in np.ndindex(k, k):
            color = "white" if shares[row, column] > 0.5 else "black"
            count = f"{confusion[row, column]:,}" if confusion[row, column] else ""
            axes.text(column, row, count, ha="center", va="center", color=color, fontsize=min(9.0, size))
    return figure
