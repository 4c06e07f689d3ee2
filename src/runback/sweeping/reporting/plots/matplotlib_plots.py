"""The plots as pictures, with matplotlib, by Optuna where its own can be read with many trials and params."""

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization import matplotlib as visualization

from runback.sweeping.reporting.plots.axis import Axis, axis_of
from runback.sweeping.reporting.plots.colours import BEST, DONE, PAUSED, PRUNED, ROW, STATES
from runback.sweeping.reporting.plots.plotted_study import MATRIX_PARAMS, PlottedStudy, for_matrix, word
from runback.sweeping.reporting.plots.worker_slots import slot_times


def history(view: PlottedStudy) -> Figure:
    """Each trial's value, and the best so far."""
    axes = visualization.plot_optimization_history(view.study, target_name=view.objective)
    axes.set(xlabel="trial")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for line in axes.lines:
        line.set_drawstyle("steps-post")
    axes.legend(["a trial", "the best so far"], facecolor="white")
    return _by_optuna(axes, (9, 5))


def importances(view: PlottedStudy) -> Figure:
    """Draw the share of the differences that each param explains."""
    axes = visualization.plot_param_importances(view.study, target_name=view.objective)
    axes.set(xlabel=f"importance for {view.objective}", ylabel="")
    axes.legend().remove()
    return _by_optuna(axes, (9, 1.2 + 0.4 * len(view.params)), grid="x")


def parallel_coordinates(view: PlottedStudy) -> Figure:
    """A line a trial through its value and its params, the best on top."""
    ordered = sorted(view.completed, key=lambda t: t.value or 0.0, reverse=not view.maximizes)
    columns = [Axis.of_values(view.objective, [trial.value for trial in ordered])]
    columns += [axis_of(name, ordered) for name in view.params[: 3 * ROW]]
    figure, axes = plt.subplots(layout="constrained", figsize=(max(8, 1.4 * len(columns)), 5.5))
    lines = [
        [(x, y) for x, y in enumerate(column.place(trial) for column in columns) if y is not None]
        for trial in ordered
    ]
    drawn = LineCollection(lines, cmap=_colours(view), linewidths=1.2, alpha=0.8)
    drawn.set_array([float(trial.value or 0.0) for trial in ordered])
    axes.add_collection(drawn)
    for x, column in enumerate(columns):
        axes.axvline(x, color="0.3", linewidth=1)
        for y, label in column.ticks:
            axes.text(x + 0.03, y, label, fontsize=8, va="center", bbox=_BEHIND_TEXT)
    _plain(axes, None)
    axes.set(xlim=(-0.1, len(columns) - 0.5), ylim=(-0.05, 1.05), yticks=[])
    axes.set_xticks(range(len(columns)), [column.name for column in columns], rotation=20, ha="right")
    figure.colorbar(drawn, label=view.objective, pad=0.01)
    return figure


def slices(view: PlottedStudy) -> Figure:
    """Values over each param."""
    rows = -(-len(view.params) // ROW)
    columns = min(ROW, len(view.params))
    figure, grid = plt.subplots(
        *(rows, columns),
        figsize=(3.2 * columns + 1, 2.8 * rows),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, name in zip(grid.flat, view.params, strict=False):
        points = _slice(axes, view, name)
    for axes in grid.flat[len(view.params) :]:
        axes.remove()
    for row in grid:
        row[0].set_ylabel(view.objective)
    figure.colorbar(points, ax=figure.axes, label="trial", pad=0.01)
    return figure


def contours(view: PlottedStudy) -> Figure:
    """Values over pairs of the most important params."""
    names = view.params[:MATRIX_PARAMS]
    grid = visualization.plot_contour(for_matrix(view), params=names, target_name=view.objective)
    panels = [grid] if isinstance(grid, Axes) else list(grid.flat)
    for axes in panels:
        axes.label_outer()
    return _by_optuna(panels[0], (8, 6) if len(panels) == 1 else (11, 9), grid=None)


def intermediate_values(view: PlottedStudy) -> Figure:
    """Each trial's curve; a cross where it was pruned, a square where it is paused."""
    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    best = view.study.best_trial.number if view.completed else None
    for trial in view.study.get_trials(deepcopy=False):
        if trial.intermediate_values:
            _curve(axes, trial, trial.number == best)
    _plain(axes)
    axes.set(xlabel="step", ylabel=view.objective)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(axes)
    return figure


def timeline(view: PlottedStudy) -> Figure:
    """Draw the times in which each trial was trained, and the slots."""
    times: list[Any] = slot_times(view.study.get_trials(deepcopy=False))
    count = max(one.slot for one in times)
    figure, axes = plt.subplots(layout="constrained", figsize=(11, 1.2 + 0.5 * count))
    until = max(one.end or one.start for one in times)
    for one in sorted(times, key=lambda each: word(each.trial)):
        axes.barh(
            one.slot,
            (one.end or until) - one.start,
            left=one.start,
            height=0.8,
            color=STATES[word(one.trial)],
            edgecolor="white",
            linewidth=0.5,
            label=word(one.trial),
        )
    _plain(axes, "x")
    axes.xaxis_date()
    axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))  # type: ignore[no-untyped-call]
    axes.set(ylabel="slot", ylim=(count + 0.5, 0.5), yticks=range(1, count + 1))
    _legend(axes, outside=True)
    return figure


def pareto_front(view: PlottedStudy) -> Figure:
    """The trials that no other one beats in every objective."""
    axes = visualization.plot_pareto_front(view.whole)
    return _by_optuna(axes, (8, 6))


_BEHIND_TEXT = {"boxstyle": "round,pad=0.1", "facecolor": "white", "alpha": 0.7, "linewidth": 0}


def _slice(axes: Axes, view: PlottedStudy, name: str) -> Any:
    _plain(axes)
    trials = [trial for trial in view.completed if name in trial.params]
    distribution: Any = trials[-1].distributions[name] if trials else None
    places = [trial.params[name] for trial in trials]
    if isinstance(distribution, CategoricalDistribution):
        labels = [str(choice) for choice in distribution.choices]
        places = [labels.index(str(place)) for place in places]
        axes.set_xticks(range(len(labels)), labels)
        axes.set_xlim(-0.5, len(labels) - 0.5)
    elif getattr(distribution, "log", False):
        axes.set_xscale("log")
    axes.set_xlabel(name)
    numbers = [trial.number for trial in trials]
    values = [float(trial.value or 0.0) for trial in trials]
    return axes.scatter(places, values, c=numbers, cmap="Blues", edgecolors="0.5", linewidths=0.5, s=22)


def _curve(axes: Axes, trial: FrozenTrial, is_best: bool) -> None:
    steps = sorted(trial.intermediate_values)
    values = [trial.intermediate_values[step] for step in steps]
    if is_best:
        axes.plot(steps, values, color=BEST, linewidth=2.5, zorder=3, label="best")
    elif trial.state == TrialState.COMPLETE:
        axes.plot(steps, values, color=DONE, linewidth=0.8, alpha=0.6, label="done")
    elif word(trial) == "paused":
        axes.plot(steps, values, color=PAUSED, linewidth=0.8, alpha=0.8)
        axes.plot(steps[-1:], values[-1:], "s", color=PAUSED, markersize=4, label="paused")
    else:
        axes.plot(steps, values, color=PRUNED, linewidth=0.8, alpha=0.8)
        if trial.state == TrialState.PRUNED:
            axes.plot(steps[-1:], values[-1:], "x", color="0.4", markersize=4, label="pruned")


def _legend(axes: Axes, *, outside: bool = False) -> None:
    """List each kind once."""
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if outside else {"loc": "best"}
    axes.legend(once.values(), once.keys(), facecolor="white", **place)


def _colours(view: PlottedStudy) -> str:
    """Return a map that is darkest for the best."""
    return "viridis_r" if view.maximizes else "viridis"


def _by_optuna(axes: Axes, size: tuple[float, float], *, grid: str | None = "both") -> Figure:
    """Give a figure of Optuna's the size and the plain looks of the others."""
    figure: Any = axes.figure
    figure.set_size_inches(*size)
    figure.suptitle("")
    for each in figure.axes:
        each.set_title("")
        each.set_title("", loc="left")
        _plain(each, grid)
    return figure


def _plain(axes: Axes, grid: Any = "both") -> None:
    axes.set_facecolor("white")
    axes.grid(visible=False)
    if grid is not None:
        axes.grid(axis=grid, color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_color("0.7")
