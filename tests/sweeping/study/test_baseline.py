"""The best trial beside the config as it is."""

import math

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from runback.sweeping.study.baseline import baseline_text

SPACE = {"x": FloatDistribution(0, 1)}
OWN = {"x": 0.5}


def study_of(*trials, directions=("maximize",)):
    study = optuna.create_study(directions=list(directions))
    for params, rest in trials:
        study.add_trial(create_trial(params={"x": params}, distributions=SPACE, **rest))
    return study


def done(*values):
    return {"values": list(values)}


def test_a_better_trial_stands_beside_the_configs_own():
    study = study_of((0.5, done(0.512)), (0.1, done(0.3)), (0.7, done(0.587)))
    assert baseline_text(study, OWN) == "the config as it is: 0.5120 (trial 0); best: 0.5870 (trial 2)"


def test_less_is_better_where_the_direction_says_so():
    study = study_of((0.5, done(0.5)), (0.1, done(0.3)), (0.7, done(0.6)), directions=["minimize"])
    assert baseline_text(study, OWN) == "the config as it is: 0.5000 (trial 0); best: 0.3000 (trial 1)"


@pytest.mark.parametrize("other", [0.4, 0.512])
def test_it_is_said_that_none_is_better(other):
    study = study_of((0.5, done(0.512)), (0.1, done(other)))
    assert baseline_text(study, OWN) == "the config as it is: 0.5120 (trial 0); no trial is better"


def test_a_trial_of_the_same_params_with_another_number_is_it_too():
    study = study_of((0.1, done(0.6)), (0.5, done(0.5)))
    assert baseline_text(study, OWN) == "the config as it is: 0.5000 (trial 1); best: 0.6000 (trial 0)"


@pytest.mark.parametrize("point", [None, {"x": 0.25}, {}])
def test_nothing_is_said_where_no_trial_is_the_config(point):
    assert baseline_text(study_of((0.5, done(0.5))), point) == ""


PRUNED = {"state": TrialState.PRUNED, "intermediate_values": {1: 0.1, 3: 0.25}}
FAILED = {"state": TrialState.FAIL, "user_attrs": {"failure": "data: no such file", "ended_by": "data"}}
DIVERGED = {
    "state": TrialState.PRUNED,
    "intermediate_values": {1: math.nan},
    "user_attrs": {"failure": "diverged: loss is nan", "ended_by": "diverged"},
}
PAUSED = {
    "state": TrialState.WAITING,
    "intermediate_values": {1: 0.125},
    "user_attrs": {"paused_at": 1, "parts": [[0, 0]]},
}


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (PRUNED, "trial 0 was pruned at 0.2500 after step 3"),
        (FAILED, "trial 0 failed (data)"),
        (DIVERGED, "trial 0 failed (diverged)"),
        (PAUSED, "trial 0 is paused at 0.1250 after step 1"),
        ({"state": TrialState.RUNNING}, "trial 0 is running"),
        ({"state": TrialState.WAITING}, "trial 0 is to go on"),
    ],
)
def test_a_trial_without_a_value_says_why(own, said):
    study = study_of((0.5, own), (0.7, done(0.75)))
    assert baseline_text(study, OWN) == f"the config as it is: no value, {said}; best: 0.7500 (trial 1)"
    assert baseline_text(study_of((0.5, own)), OWN) == f"the config as it is: no value, {said}; best: none"


def test_of_several_objectives_those_are_named_that_are_better_in_one_and_as_good_in_all():
    both = {"directions": ["maximize", "minimize"]}
    on_front = study_of((0.5, done(0.9, 100)), (0.1, done(0.95, 120)), (0.2, done(0.8, 90)), **both)
    assert (
        baseline_text(on_front, OWN) == "the config as it is: 0.9000, 100.0000 (trial 0); no trial is better"
    )
    beaten = study_of((0.5, done(0.9, 100)), (0.1, done(0.95, 100)), (0.2, done(0.9, 99)), **both)
    assert baseline_text(beaten, OWN).endswith("; better in one objective and as good in all: trial 1, 2")
