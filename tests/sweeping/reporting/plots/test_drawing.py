import datetime
import math

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState
from PIL import Image

from runback.sweeping.reporting.plots.drawing import draw

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
