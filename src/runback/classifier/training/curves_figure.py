"""A picture of how loss and accuracy developed over the epochs."""

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


def plot_curves(history: list[dict[str, float]]) -> Figure:
    """Draw loss and accuracy side by side, training and validation in each, over the epochs from 1.

    `history` holds one dict of metrics an epoch, as `training.fit.Result` does.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)  # draws without a display
    left, right = figure.subplots(1, 2)
    _draw(left, history, "loss")
    _draw(right, history, "accuracy")
    return figure


def _draw(axes: Axes, history: list[dict[str, float]], metric: str) -> None:
    epochs = range(1, len(history) + 1)
    for name, label in ((metric, "training"), (f"val_{metric}", "validation")):
        axes.plot(epochs, [row[name] for row in history], marker=".", label=label)
    axes.set(xlabel="epoch", ylabel=metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    axes.legend()
