import datetime
import math

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState
from PIL import Image

from runback.sweeping.reporting.plots import matplotlib_plots, plotly_plots
from runback.sweeping.reporting.plots.colours import STATES
from runback.sweeping.reporting.plots.drawing import draw
from runback.sweeping.reporting.plots.plotted_study import views

EVERY = {
    "history",
    "importances",
    "parallel_coordinates",
    "slices",
    "contours",
    "intermediate_values",
    "timeline",
}


def pictures(folder):
    found = {}
    for file in folder.glob("plots/*.png"):
        with Image.open(file) as image:
            found[file.stem] = image.size
    return found


@pytest.fixture(scope="module")
def drawn(tmp_path_factory, make_study):
    folder = tmp_path_factory.mktemp("drawn")
    assert draw(make_study(16), folder) == []
    return folder


def test_a_page_has_every_plot_and_needs_no_network(drawn):
    page = (drawn / "report.html").read_text()
    assert page.count("<h2>") == len(EVERY)
    assert page.count("plotly.js v") == 1
    assert "<script src" not in page
    assert "://" not in page.split("</head>")[1]
    assert len(page) < 6_000_000


def test_every_plot_is_a_picture_too(drawn):
    found = pictures(drawn)
    assert set(found) == EVERY
    assert all(width > 600 and height > 150 for width, height in found.values())


def test_several_objectives_have_a_front_and_plots_each(tmp_path, make_study):
    space = {"x": FloatDistribution(0, 1), "rate": FloatDistribution(1e-4, 1e-1, log=True)}
    directions, names = ("maximize", "minimize"), ("val_accuracy", "parameters")
    assert draw(make_study(8, space=space, directions=directions, names=names), tmp_path) == []
    found = set(pictures(tmp_path))
    assert {"pareto_front", "timeline", "history_val_accuracy", "slices_parameters"} <= found
    assert "intermediate_values" not in found


DONE = {"state": TrialState.COMPLETE}

ODD = {
    "none": (0, {}, set()),
    "one": (1, {}, {"intermediate_values", "timeline"}),
    "only pruned": (6, {"state": TrialState.PRUNED}, {"intermediate_values", "timeline"}),
    "only failed": (3, {"state": TrialState.FAIL}, {"intermediate_values", "timeline"}),
    "one param": (6, {**DONE, "space": {"x": FloatDistribution(0, 1)}}, EVERY - {"importances", "contours"}),
    "a constant": (
        6,
        {**DONE, "space": {"x": FloatDistribution(0, 1), "y": FloatDistribution(2, 2)}},
        {"slices"},
    ),
    "only choices": (
        9,
        {
            **DONE,
            "space": {"a": CategoricalDistribution([None, True, "x"]), "b": CategoricalDistribution([1, 2])},
        },
        EVERY,
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_studies_are_drawn_as_far_as_they_go(tmp_path, make_study, case):
    count, options, wanted = ODD[case]
    assert draw(make_study(count, **options), tmp_path) == []
    assert wanted <= set(pictures(tmp_path))
    assert "<h1>Sweep digits</h1>" in (tmp_path / "report.html").read_text()


def test_a_param_that_only_pruned_trials_have_costs_no_plot(tmp_path, make_study):
    """One of a condition that no trial that is done has met."""
    space = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
    study = make_study(6, **DONE, space=space)
    pruned = make_study(3, state=TrialState.PRUNED, space={**space, "momentum": FloatDistribution(0, 0.9)})
    study.add_trials(pruned.trials)
    assert draw(study, tmp_path) == []
    assert set(pictures(tmp_path)) == EVERY


def test_values_without_end_and_trials_under_way_cost_no_plot(tmp_path, make_study):
    space = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
    study = make_study(6, space=space)
    study.enqueue_trial({"x": 0.5, "y": 0.5})
    study.tell(study.ask(space), math.inf)
    study.ask(space).report(0.5, 1)
    study.enqueue_trial({"x": 0.5, "y": 0.1})
    assert draw(study, tmp_path) == []
    assert set(pictures(tmp_path)) == EVERY


def test_ranges_that_have_become_wider_are_drawn(tmp_path, make_study):
    study = make_study(4, space={"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)})
    wider = make_study(4, space={"x": FloatDistribution(-5, 5), "y": FloatDistribution(0, 1)})
    study.add_trials(wider.trials)
    assert draw(study, tmp_path) == []
    assert set(pictures(tmp_path)) == EVERY


def test_no_plot_shows_a_password(tmp_path, make_study):
    space = {
        "data.url": CategoricalDistribution(["https://me:hunter2@host/a", "https://me:hunter2@host/b"]),
        "api_key": CategoricalDistribution(["hunter2", "hunter22"]),
        "x": FloatDistribution(0, 1),
    }
    assert draw(make_study(8, space=space, **DONE), tmp_path) == []
    page = (tmp_path / "report.html").read_text()
    assert "hunter2" not in page
    assert "***@host" in page


@pytest.mark.slow
def test_many_trials_keep_the_page_small(tmp_path, make_study):
    started = datetime.datetime.now()
    assert draw(make_study(500), tmp_path) == []
    assert (tmp_path / "report.html").stat().st_size < 10_000_000
    assert datetime.datetime.now() - started < datetime.timedelta(minutes=2)


def paused_and_pruned(make_study):
    study = make_study(6)
    trial = study.trials[0]
    began = trial.datetime_start.timestamp()
    trial.state, trial.values, trial.datetime_complete = TrialState.WAITING, None, None
    trial.intermediate_values = {1: 0.1, 2: 0.2, 3: 0.3}
    times = [[began, began + 5], [began + 60, began + 70]]
    trial.user_attrs |= {"paused_at": 3, "parts": [[0, 0], [7, 1]], "times": times}
    study.add_trial(trial)
    return study


@pytest.mark.filterwarnings("ignore:.*")  # as `draw` does
def test_a_paused_trial_has_a_bar_for_each_part_a_colour_and_a_word(make_study):
    [view] = views(paused_and_pruned(make_study))
    [figure] = plotly_plots.timeline(view)
    bars = {bar.name: bar for bar in figure.data}
    assert {*bars} >= {"done", "paused"}
    assert [*bars["paused"].text] == ["6", "6"]
    assert [*bars["paused"].x] == [5000.0, 10000.0]
    assert [text.splitlines()[0].split("<br>")[0] for text in bars["paused"].hovertext] == [
        "trial 6, part 1: paused",
        "trial 6, part 2: paused",
    ]
    assert bars["paused"].marker.color == STATES["paused"]
    labels = matplotlib_plots.timeline(view).axes[0].get_legend_handles_labels()[1]
    assert labels.count("paused") == 2


@pytest.mark.filterwarnings("ignore:.*")  # as `draw` does
def test_a_paused_trial_has_a_curve_with_a_square_at_its_end(make_study):
    [view] = views(paused_and_pruned(make_study))
    [figure] = plotly_plots.intermediate_values(view)
    curve = next(one for one in figure.data if one.name == "Trial6")
    assert [*curve.y] == [0.1, 0.2, 0.3]
    assert curve.line.color == STATES["paused"]
    marks = next(one for one in figure.data if one.name == "paused")
    assert ([*marks.x], [*marks.y], marks.marker.symbol) == ([3], [0.3], "square")
    labels = [line.get_label() for line in matplotlib_plots.intermediate_values(view).axes[0].lines]
    assert "paused" in labels


@pytest.mark.filterwarnings("ignore:.*")  # as `draw` does
def test_a_trial_that_failed_by_its_params_is_no_pruned_one_in_the_timeline(make_study):
    study = make_study(3, state=TrialState.PRUNED)
    trial = study.trials[0]
    trial.user_attrs |= {"failure": "diverged: nan", "ended_by": "diverged"}
    study.add_trial(trial)
    [figure] = plotly_plots.timeline(views(study)[0])
    assert {bar.name: len(bar.x) for bar in figure.data} == {"pruned": 3, "failed": 1}
