import math

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from runback.errors import InputError
from runback.sweeping.space.search_space import parse, quoted


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("choice(adam, sgd)", CategoricalDistribution(["adam", "sgd"])),
        ("choice('a,b', true, 3)", CategoricalDistribution(["a,b", True, 3])),
        ("null,0.5", CategoricalDistribution([None, 0.5])),
        ("32,64", CategoricalDistribution([32, 64])),
        ("interval(1, 8)", FloatDistribution(1, 8)),
        ("int(interval(1, 8))", IntDistribution(1, 8)),
        ("tag(log, interval(1e-4, 1e-1))", FloatDistribution(1e-4, 1e-1, log=True)),
        ("tag(log, int(interval(1, 100)))", IntDistribution(1, 100, log=True)),
        ("range(32, 257, 32)", IntDistribution(32, 256, step=32)),
        ("range(3)", IntDistribution(0, 2)),
        ("range(0.1, 0.45, 0.1)", FloatDistribution(0.1, 0.4, step=0.1)),
    ],
)
def test_hydras_grammar_becomes_the_distribution_it_says(expression, expected):
    space = parse({"key": expression}, [], None)
    assert space.distributions == {"key": expected}


@pytest.mark.parametrize(
    "value",
    ["a", "a,b", "it's", "back\\slash", "end\\", "q\\'x", "", " spaced ", "null", "True", "1e3", "12", "a=b",
     "[1]", "é", "x(y)", "inf", 1e-05, 3, -2, True, None, 0.1, math.inf],
)  # fmt: skip
def test_a_proposed_value_survives_the_way_through_the_override_grammar(value):
    override = OverridesParser.create().parse_override(f"key={quoted(value)}")
    assert not override.is_sweep_override()
    assert override.value() == value
    assert type(override.value()) is type(value)


def test_a_list_can_be_a_choice():
    space = parse({"model.widths": "choice([16,32],[32,64])"}, [], None)
    assert space.overrides({"model.widths": "[32,64]"}) == ["model.widths=[32,64]"]


def test_the_command_line_wins_over_the_sweep_file():
    space = parse({"a": "interval(0, 1)", "b": "choice(1, 2)"}, ["a=3", "c=x"], None)
    assert set(space.distributions) == {"b"}
    assert space.overrides({"b": 2}) == ["a=3", "c=x", "b=2"]


def test_an_added_key_keeps_its_plus_sign():
    space = parse({"+new": "choice(1, 2)"}, [], None)
    assert space.overrides({"new": 1}) == ["+new=1"]


def test_corners_hold_every_choice_both_ends_and_no_whole_number_only():
    space = parse({"a": "choice(x, y, z)", "b": "interval(4, 17)", "c": "range(1, 9)"}, [], None)
    points = space.corner_values()
    assert {p["a"] for p in points} == {"x", "y", "z"}
    low, high, within = dict.fromkeys(p["b"] for p in points)
    assert (low, high) == (4.0, 17.0)
    assert low < within < high
    assert not within.is_integer()
    assert {p["c"] for p in points} == {1, 8}


@pytest.mark.parametrize(
    ("params", "arguments", "message"),
    [
        ({}, ["a=1"], "empty"),
        (None, [], "empty"),
        ({"a": "choice("}, [], "search space"),
        ({"a": "range(5, 5)"}, [], "empty"),
        ({"a": "interval(2, 1)"}, [], "search space of a"),
        ({"a": "tag(log, interval(0, 1))"}, [], "search space of a"),
        ({"a": "choice(1, 1)"}, [], "twice"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused_in_one_line(params, arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        parse(params, arguments, None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("params", "arguments"),
    [
        ({"model.api_key": "choice(abc,def)"}, []),
        ({}, ["+model.hf_token=abc,def"]),
        ({}, ["model.credentials.user=me,you"]),
        ({}, ["model={password:abc},{password:def}"]),
        ({}, ["data.path=https://me:pw@a/x,https://me:pw@b/x"]),
    ],
)
def test_secrets_are_not_searched_over(params, arguments):
    with pytest.raises(InputError, match="its values are secrets"):
        parse(params, arguments, None)


def test_a_key_that_only_sounds_secret_is_searched_over():
    assert parse({"model.num_tokens": "range(1,5)", "data.label_key": "choice(a,b)"}, [], None).parameters
