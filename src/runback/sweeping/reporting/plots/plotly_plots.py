"""The plots for a browser, with Plotly, by Optuna as far as it has them."""

from typing import Any

import plotly.graph_objects as go
from optuna import visualization
from optuna.trial import TrialState

from runback.sweeping.reporting.plots.colours import BEST, DONE, PRUNED, ROW, STATES
from runback.sweeping.reporting.plots.plotted_study import MATRIX_PARAMS, PlottedStudy, for_matrix
from runback.sweeping.reporting.plots.worker_slots import slots

HEIGHT = 420

MANY = 7
"""Params from which on parallel coordinates are scrolled, rather than squeezed into MLflow's page."""

AXIS_WIDTH = 90
"""Pixels."""


def history(view: PlottedStudy) -> list[go.Figure]:
    """Each trial's value, and the best so far."""
    figure = visualization.plot_optimization_history(view.study, target_name=view.objective)
    figure.update_traces(name="best so far", line_shape="hv", selector={"mode": "lines"})
    return [_plain(figure)]


def importances(view: PlottedStudy) -> list[go.Figure]:
    """Draw the share of the differences that each param explains."""
    figure = visualization.plot_param_importances(view.study, target_name=view.objective)
    figure.update_layout(xaxis_title="importance", yaxis_title=None, showlegend=False)
    return [_plain(figure, height=120 + 30 * len(view.params))]


def parallel_coordinates(view: PlottedStudy) -> list[go.Figure]:
    """A line a trial through its params."""
    names = _rows_of(view.params, 3 * ROW)[0]
    figure = visualization.plot_parallel_coordinate(view.study, params=names, target_name=view.objective)
    _plain(figure, height=500, margin={"l": 70, "r": 70, "t": 30, "b": 100})
    if len(names) >= MANY:
        figure.update_layout(width=AXIS_WIDTH * (len(names) + 2), autosize=False)
    return [figure]


def slices(view: PlottedStudy) -> list[go.Figure]:
    """Values over each param."""
    return [_slices_of(view, row) for row in _rows_of(view.params, ROW)]


def contours(view: PlottedStudy) -> list[go.Figure]:
    """Values over pairs of the most important params."""
    figure = visualization.plot_contour(
        for_matrix(view), params=view.params[:MATRIX_PARAMS], target_name=view.objective
    )
    return [_plain(figure, height=750)]


def intermediate_values(view: PlottedStudy) -> list[go.Figure]:
    """Each trial's curve."""
    figure = visualization.plot_intermediate_values(view.study)
    trials = {trial.number: trial for trial in view.study.get_trials(deepcopy=False)}
    best = view.study.best_trial.number if view.completed else None
    for curve in figure.data:
        number = int(curve.name.removeprefix("Trial"))
        state = trials[number].state
        _paint(curve, number == best, state)
    ends = [t for t in trials.values() if t.state == TrialState.PRUNED and t.intermediate_values]
    figure.add_scatter(
        x=[max(trial.intermediate_values) for trial in ends],
        y=[trial.intermediate_values[max(trial.intermediate_values)] for trial in ends],
        text=[f"Trial{trial.number}" for trial in ends],
        mode="markers",
        marker={"symbol": "x", "color": "#6b7177", "size": 7},
        name="pruned",
    )
    figure.update_layout(xaxis_title="step", yaxis_title=view.objective, showlegend=False)
    return [_plain(figure)]


def timeline(view: PlottedStudy) -> list[go.Figure]:
    """Draw the time and the slot that each trial ran in."""
    figure = visualization.plot_timeline(view.study)
    slot = slots(view.study.get_trials(deepcopy=False))
    figure.for_each_trace(
        lambda bars: bars.update(
            y=[slot.get(number) for number in bars.y],
            marker={"color": STATES[bars.name], "line": {"color": "white", "width": 1}},
        )
    )
    count = max(slot.values(), default=1)
    figure.update_yaxes(title="slot", dtick=1, range=[count + 0.5, 0.5])
    figure.update_layout(xaxis_title=None, barmode="overlay")
    return [_plain(figure, height=160 + 45 * count)]


def pareto_front(view: PlottedStudy) -> list[go.Figure]:
    """The trials that no other one beats in every objective."""
    return [_plain(visualization.plot_pareto_front(view.whole), height=500)]


def _slices_of(view: PlottedStudy, names: list[str]) -> go.Figure:
    return _plain(visualization.plot_slice(view.study, params=names, target_name=view.objective), height=340)


def _paint(curve: Any, is_best: bool, state: TrialState) -> None:
    if is_best:
        curve.update(line={"color": BEST, "width": 3}, marker={"size": 6}, zorder=2)
    else:
        colour = DONE if state == TrialState.COMPLETE else PRUNED
        curve.update(line={"color": colour, "width": 1}, marker={"size": 3}, opacity=0.7)


def _rows_of(names: list[str], count: int) -> list[list[str]]:
    return [names[start : start + count] for start in range(0, len(names), count)]


def _plain(figure: go.Figure, *, height: int = HEIGHT, margin: dict[str, int] | None = None) -> go.Figure:
    return figure.update_layout(
        title=None,
        template="plotly_white",
        height=height,
        width=None,
        autosize=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        margin=margin or {"l": 60, "r": 20, "t": 20, "b": 50},
    )
