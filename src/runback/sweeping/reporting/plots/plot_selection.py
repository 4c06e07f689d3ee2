"""Selects the plots of a report, once there is enough to draw them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from runback.sweeping.reporting.plots.plotted_study import PlottedStudy
from runback.sweeping.study.training_times import training_times
from runback.tracking.mlflow_limits import metric_name

WORTH_DRAWING = 5
"""Trials done or pruned, from which on there is something to see."""


@dataclass(frozen=True)
class Plot:
    """A plot: `name` is that of its functions in `interactive` and in `pictures`, and of its file."""

    name: str
    title: str
    reading: str
    """A sentence that says how to read it."""
    is_possible: Callable[[PlottedStudy], bool]
    is_of_objective: bool = True
    """Whether there is one for each objective."""


def _has_values(view: PlottedStudy, least: int = 2) -> bool:
    return len(view.completed) >= least


def _varies(view: PlottedStudy) -> bool:
    """Whether there are params, and values that they could explain."""
    return bool(view.params) and len({trial.value for trial in view.completed}) > 1


def _has_curves(view: PlottedStudy) -> bool:
    return any(len(trial.intermediate_values) > 1 for trial in view.study.get_trials(deepcopy=False))


def _has_started(view: PlottedStudy) -> bool:
    return any(map(training_times, view.study.get_trials(deepcopy=False)))


PLOTS = (
    Plot("history", "History", "Each trial's value, and the best so far.", _has_values),
    Plot(
        "importances",
        "Importance of params",
        "How much each param matters for being among the better trials (PED-ANOVA); vague with few trials.",
        lambda view: _varies(view) and len(view.params) > 1,
    ),
    Plot(
        "parallel_coordinates",
        "Parallel coordinates",
        "A line is a trial. Drag along an axis to keep the lines that pass there.",
        _varies,
    ),
    Plot("slices", "Slices", "Values over each param, the important first; the darker, the later.", _varies),
    Plot(
        "contours",
        "Contours",
        "Values over pairs of the most important params, interpolated between trials.",
        lambda view: _varies(view) and len(view.params) > 1,
    ),
    Plot(
        "intermediate_values",
        "Curves",
        "What trials reported: red the best, grey the pruned ones, with a cross at their end, amber the "
        "paused ones, with a square.",
        _has_curves,
    ),
    Plot(
        "pareto_front",
        "Pareto front",
        "Trials that no other one beats in every objective.",
        lambda view: len(view.whole.directions) in (2, 3) and _has_values(view, 1),
        is_of_objective=False,
    ),
    Plot(
        "timeline",
        "Timeline",
        "What ran in each slot, and when. A trial that paused or was tried again has a bar for each process.",
        _has_started,
        is_of_objective=False,
    ),
)  # fmt: skip


def possible(views: Sequence[PlottedStudy]) -> Iterator[tuple[Plot, PlottedStudy, str]]:
    """Give the plots there is enough for, with the view that each is of, and the name of its file."""
    for plot in PLOTS:
        for view in views if plot.is_of_objective else views[:1]:
            if plot.is_possible(view):
                several = plot.is_of_objective and len(views) > 1
                yield plot, view, f"{plot.name}_{metric_name(view.title)}" if several else plot.name
