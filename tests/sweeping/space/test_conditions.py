"""Conditional spaces: a parameter is searched with those choices only that its tags name."""

import optuna
import pytest

from runback.errors import InputError
from runback.sweeping.deciding.proposer import Proposer
from runback.sweeping.space.search_identity import Search, differences, is_extension
from runback.sweeping.space.search_space import parse
from runback.sweeping.study.study_store import create_entry

MOMENTUM = {"optimizer": "sgd,adam,rmsprop", "optimizer.momentum": "tag(sgd,rmsprop,interval(0.1,0.9))"}


def searched(params):
    return parse(params, [], None)


@pytest.mark.parametrize(
    ("expression", "prior"),
    [
        ("tag(log,'prior=1e-3',interval(0.0001,0.1))", 0.001),
        ("tag('prior = 5',int(interval(1,9)))", 5.0),
        ("tag('prior=2',range(1,5))", 2.0),
        ("tag('prior=0',interval(-1,1))", 0.0),
        ("tag(log,interval(0.0001,0.1))", None),
    ],
)
def test_a_tag_says_a_likely_value(expression, prior):
    [parameter] = searched({"rate": expression}).parameters
    assert parameter.prior == prior
    assert parameter.tags == frozenset()
    assert ("prior" in parameter.described()) == (prior is not None)


def test_a_prior_stands_beside_a_condition_and_is_the_searchs_own():
    both = {**MOMENTUM, "optimizer.momentum": "tag(sgd,'prior=0.9',interval(0.1,0.9))"}
    parameter = searched(both).parameters[1]
    assert (parameter.prior, parameter.only_with) == (0.9, ("optimizer", ("sgd",)))
    assert parameter.described() == "0.1 to 0.9, only with optimizer=sgd, prior 0.9"
    other = {**both, "optimizer.momentum": "tag(sgd,'prior=0.5',interval(0.1,0.9))"}
    one, another = (Search.of(searched(params), ["maximize"], {}) for params in (both, other))
    assert Search.from_json(one.as_json()) == one
    [change] = differences(one, another)
    assert "prior 0.9, now" in change
    assert change.endswith("prior 0.5")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("tag('prior=1',interval(2,3))", "its prior must be from 2 to 3; got 1"),
        ("tag('prior=nan',interval(2.0,3.0))", "its prior must be from 2 to 3; got nan"),
        ("tag('prior=much',interval(2,3))", "expected one number as its prior"),
        ("tag('prior=2','prior=3',interval(2,3))", "expected one number as its prior"),
        ("tag(prior,interval(2,3))", "expected one number as its prior"),
        ("tag('prior=sgd',choice(sgd,adam))", "a likely choice is a first trial: hydra.sweeper.first"),
        ("tag(log,'prior=0.2',range(0.1,1,0.1))", "a prior belongs to an interval, or to a range"),
    ],
)
def test_what_is_no_likely_value_is_refused(expression, message):
    with pytest.raises(InputError) as error:
        searched({"rate": expression})
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("params", "values", "overrides"),
    [
        (
            MOMENTUM,
            {"optimizer": "sgd", "optimizer.momentum": 0.5},
            ["optimizer=sgd", "optimizer.momentum=0.5"],
        ),
        (MOMENTUM, {"optimizer": "adam", "optimizer.momentum": 0.5}, ["optimizer=adam"]),
        (
            {"kind": "deep,shallow", "depth": "tag('kind=deep',range(2,5))"},
            {"kind": "shallow", "depth": 3},
            ["kind=shallow"],
        ),
        (
            {"warm": "true,false", "rate": "tag('warm=true',log,interval(0.1,1))"},
            {"warm": True, "rate": 0.2},
            ["warm=true", "rate=0.2"],
        ),
        ({"n": "1,2", "m": "tag('n=1',choice(3,4))"}, {"n": 2, "m": 3}, ["n=2"]),
        ({"n": "1,true", "m": "tag('n=1',choice(3,4))"}, {"n": "true", "m": 3}, ["n=true"]),
        ({"a.b": "x,y", "a.b.c": "tag(x,interval(0,1))"}, {"a.b": "y", "a.b.c": 1}, ["a.b=y"]),
        (
            {"+part": "x,y", "+part.c": "tag(y,interval(0,1))"},
            {"part": "y", "part.c": 1},
            ["+part=y", "+part.c=1"],
        ),
    ],
)
def test_a_parameter_is_set_beside_the_choices_that_its_tags_name(params, values, overrides):
    space = searched(params)
    assert space.overrides(space.searched(values)) == overrides


def test_a_logarithmic_scale_stays_one_beside_a_condition():
    [_, rate] = searched({"warm": "true,false", "rate": "tag('warm=true',log,interval(0.1,1))"}).parameters
    assert rate.distribution.log
    assert rate.described() == "0.1 to 1.0, log, only with warm=True"


def test_the_corners_hold_both_ends_with_each_choice_and_nothing_elsewhere():
    corners = searched({**MOMENTUM, "epochs": "1,2"}).corner_values()
    for optimizer in ("sgd", "rmsprop"):
        ends = {one["optimizer.momentum"] for one in corners if one["optimizer"] == optimizer}
        assert {0.1, 0.9} <= ends
    assert {one["epochs"] for one in corners} == {1, 2}
    adam = [one for one in corners if one["optimizer"] == "adam"]
    assert adam
    assert not any("optimizer.momentum" in one for one in adam)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"a": "1,2", "b": "tag(x,interval(0,1))"},
            "search space of b: unknown tag 'x'; there is log, 'prior=",
        ),
        ({"a": "1,2", "b": "tag(Log,interval(1,2))"}, "unknown tag 'Log'"),
        ({"a": "x,y", "a.b": "tag(z,interval(0,1))"}, "tag 'z' is no choice of a, which has x, y"),
        ({"a": "x,y", "b": "tag('c=z',interval(0,1))"}, "tag 'c=z' needs a choice to be searched over 'c'"),
        ({"a": "interval(0,1)", "b": "tag('a=1',choice(1,2))"}, "needs a choice to be searched over 'a'"),
        ({"a": "x,y", "a.b": "tag('a.b=x',choice(x,y))"}, "needs a choice to be searched over 'a.b'"),
        (
            {"a": "x,y", "a.b": "tag(x,choice(u,v))", "a.b.c": "tag(u,interval(0,1))"},
            "a.b is itself searched with some choices only",
        ),
        ({"a": "x,y", "c": "u,v", "b": "tag('a=x','c=u',interval(0,1))"}, "its tags are of a, c"),
        ({"a": "x,y", "a.b": "tag(x,tag(log,interval(1,2)))"}, r"stand together, as in tag\(sgd,log"),
    ],
)
def test_a_condition_that_cannot_be_is_refused_in_one_line(params, message):
    with pytest.raises(InputError, match=message) as caught:
        searched(params)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "sampler", ["TPESampler", "RandomSampler", "CmaEsSampler", "NSGAIISampler", "QMCSampler"]
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_each_sampler_proposes_a_parameter_beside_its_choices_only(sampler):
    space = searched({**MOMENTUM, "x": "interval(0.0,1.0)"})
    proposer = Proposer({"_target_": f"optuna.samplers.{sampler}"}, space, seed=3)
    study = optuna.create_study()
    for _ in range(30):
        trials = study.get_trials(deepcopy=False)
        params = create_entry(study, proposer.propose(study, trials, trials, study.pruner)).found.params
        study.tell(len(trials), params["x"] + params.get("optimizer.momentum", 0))
    optimizers = {trial.params["optimizer"] for trial in study.trials}
    assert len(optimizers) == 3
    for trial in study.trials:
        assert ("optimizer.momentum" in trial.params) == (trial.params["optimizer"] != "adam")
        assert trial.params.keys() == trial.distributions.keys()


def test_a_grid_has_a_point_without_the_parameter_once():
    space = searched({"optimizer": "sgd,adam", "optimizer.momentum": "tag(sgd,choice(0.5,0.9))", "n": "1,2"})
    proposer = Proposer({"_target_": "runback.sweeping.space.grid.points"}, space, seed=0)
    assert proposer.limit == 6
    study = optuna.create_study()
    points = []
    while (trial := proposer.propose(study, study.trials, study.trials, study.pruner)) is not None:
        points.append(trial.params)
        create_entry(study, trial)
    assert len(points) == 6
    assert {"optimizer": "adam", "n": 1} in points


def test_a_changed_condition_is_another_search():
    known, asked = (
        Search.of(searched({**MOMENTUM, **more}), ["maximize"], {})
        for more in ({}, {"optimizer.momentum": "tag(sgd,interval(0.1,0.9))"})
    )
    again = Search.from_json(known.as_json())
    assert differences(known, again) == []
    [difference] = differences(again, asked)
    assert "only with optimizer=sgd,rmsprop, now 0.1 to 0.9, only with optimizer=sgd" in difference
    assert not is_extension(again, asked)
