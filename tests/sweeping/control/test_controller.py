"""What was asked of a sweep while it ran, as its study tells the next coordinator: data, checked as such."""

import optuna
import pytest
from optuna.storages import InMemoryStorage

from runback.sweeping.control.controller import as_changed, enqueued
from runback.sweeping.space.search_space import parse
from runback.sweeping.study.budget import Budget


def changes(*pairs):
    return [{"at": 1.0, "set": after, "before": before} for before, after in pairs]


def study_with(events):
    study = optuna.create_study(storage=InMemoryStorage())
    study.set_user_attr("runback:events", events)
    return study


def n_workers(before, after):
    return {"n_workers": before}, {"n_workers": after}


@pytest.mark.parametrize(
    ("started_with", "events", "goes_on_with"),
    [
        (2, changes(n_workers(2, 4)), 4),
        (2, changes(n_workers(2, 4), n_workers(4, 1)), 1),
        (4, changes(n_workers(2, 4), n_workers(4, 8)), 4),  # a later wish, though it was in between
        (3, changes(n_workers(2, 4), n_workers(3, 5)), 5),
        (2, changes(n_workers(2, 4), n_workers(3, 5)), 4),
        (7, changes(n_workers(2, 4)), 7),
    ],
)
def test_the_same_command_goes_on_with_what_was_set_and_another_one_wins(started_with, events, goes_on_with):
    assert as_changed(study_with(events), Budget(10, None, started_with)).n_workers == goes_on_with


def test_a_timeout_and_a_number_of_trials_are_set_from_none():
    events = changes(({"timeout": None}, {"timeout": 60.0}), ({"n_trials": None}, {"n_trials": 5}))
    assert as_changed(study_with(events), Budget(None, None, 2)) == Budget(5, 60.0, 2)


def test_a_machine_that_joins_has_its_own_number_of_workers():
    events = changes(n_workers(2, 4), ({"n_trials": 10}, {"n_trials": 20}))
    assert as_changed(study_with(events), Budget(10, None, 2), "n_trials", "timeout") == Budget(20, None, 2)


@pytest.mark.parametrize(
    "event",
    [
        {"set": {"n_workers": 10**9}, "before": {"n_workers": 2}},
        {"set": {"policy": "x"}, "before": {"policy": None}},
        {"set": {"timeout": "nan"}, "before": {"timeout": None}},
        {"set": [1], "before": 3},
        {"set": {"n_workers": 4}, "before": {"n_workers": [2]}},
        "set",
        None,
    ],
)
def test_what_is_no_change_is_none(event):
    assert as_changed(study_with([event]), Budget(10, None, 2)) == Budget(10, None, 2)
    assert as_changed(study_with({"set": event}), Budget(10, None, 2)) == Budget(10, None, 2)


def test_points_that_the_search_space_lacks_are_left_out():
    space = parse({"x": "interval(0, 1)", "n": "range(1, 5)"}, [], None)
    points = [
        {"x": 0.5, "n": 2},
        {"x": 7.0, "n": 2},
        {"x": 0.5},
        {"y": 1},
        [1],
        "x=1",
        {"x": "${oc.env:HOME}", "n": 1},
    ]
    study = study_with([*({"enqueue": point} for point in points), {"stop": True}])
    assert enqueued(study, space) == {0: {"x": 0.5, "n": 2}}
