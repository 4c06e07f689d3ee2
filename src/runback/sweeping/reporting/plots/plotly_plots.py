"""The plots for a browser, with Plotly, by Optuna as far as it has them."""

from typing import Any

import plotly.graph_objects as go
from optuna import visualization
from optuna.trial import FrozenTrial, TrialState

from runback.sweeping.reporting.plots.colours import BEST, DONE, PAUSED, PRUNED, ROW, STATES
from runback.sweeping.reporting.plots.plotted_study import MATRIX_PARAMS, PlottedStudy, for_matrix, word
from runback.sweeping.reporting.plots.worker_slots import SlotTime, slot_times
from runback.system.text.formatting import short_value

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
        _paint(curve, number == best, trials[number])
    reported = [trial for trial in trials.values() if trial.intermediate_values]
    pruned = [trial for trial in reported if trial.state == TrialState.PRUNED]
    _mark_ends(figure, pruned, "pruned", {"symbol": "x", "color": "#6b7177", "size": 7})
    paused = [trial for trial in reported if word(trial) == "paused"]
    _mark_ends(figure, paused, "paused", {"symbol": "square", "color": PAUSED, "size": 6})
    figure.update_layout(xaxis_title="step", yaxis_title=view.objective, showlegend=False)
    return [_plain(figure)]


def timeline(view: PlottedStudy) -> list[go.Figure]:
    """Draw the times in which each trial was trained, and the slots."""
    times = slot_times(view.study.get_trials(deepcopy=False))
    until = max(one.end or one.start for one in times)
    figure = go.Figure()
    for state, colour in STATES.items():
        shown = [one for one in times if word(one.trial) == state]
        if shown:
            figure.add_bar(
                name=state,
                orientation="h",
                base=[one.start.isoformat() for one in shown],
                x=[((one.end or until) - one.start).total_seconds() * 1000 for one in shown],
                y=[one.slot for one in shown],
                text=[str(one.trial.number) for one in shown],
                textposition="none",
                hovertext=[_about(one) for one in shown],
                hoverinfo="text",
                marker={"color": colour, "line": {"color": "white", "width": 1}},
            )
    count = max(one.slot for one in times)
    figure.update_yaxes(title="slot", dtick=1, range=[count + 0.5, 0.5])
    figure.update_xaxes(type="date", title=None)
    figure.update_layout(barmode="overlay", showlegend=True)
    return [_plain(figure, height=160 + 45 * count)]


def pareto_front(view: PlottedStudy) -> list[go.Figure]:
    """The trials that no other one beats in every objective."""
    return [_plain(visualization.plot_pareto_front(view.whole), height=500)]


def _slices_of(view: PlottedStudy, names: list[str]) -> go.Figure:
    return _plain(visualization.plot_slice(view.study, params=names, target_name=view.objective), height=340)


def _about(part: SlotTime) -> str:
    lines = [f"trial {part.trial.number}, part {part.part}: {word(part.trial)}"]
    lines += [f"{name}: {short_value(value)}" for name, value in part.trial.params.items()]
    return "<br>".join(lines)


def _mark_ends(figure: go.Figure, trials: list[FrozenTrial], name: str, marker: dict[str, Any]) -> None:
    figure.add_scatter(
        x=[max(trial.intermediate_values) for trial in trials],
        y=[trial.intermediate_values[max(trial.intermediate_values)] for trial in trials],
        text=[f"Trial{trial.number}" for trial in trials],
        mode="markers",
        marker=marker,
        name=name,
    )


def _paint(curve: Any, is_best: bool, trial: FrozenTrial) -> None:
    if is_best:
        curve.update(line={"color": BEST, "width": 3}, marker={"size": 6}, zorder=2)
    else:
        colour = {"done": DONE, "paused": PAUSED}.get(word(trial), PRUNED)
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
