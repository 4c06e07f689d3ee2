import math
import re

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from runback.errors import InputError
from runback.sweeping.space.grid import points
from runback.sweeping.space.search_space import exact, parse
from runback.system.config.override_text import quoted


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
        ("range(0, 0.8, 0.1)", FloatDistribution(0.0, 0.7, step=0.1)),
        ("range(10, 0, -3)", IntDistribution(1, 10, step=3)),
        ("range(1e-4, 1e-3, 1e-4)", FloatDistribution(1e-4, 9e-4, step=1e-4)),
        ("tag(log, range(1, 101))", IntDistribution(1, 100, log=True)),
        ("tag(log, range(16, 33, 16))", CategoricalDistribution([16, 32])),
        ("tag(log, range(0.1, 0.5, 0.1))", CategoricalDistribution([0.1, 0.2, 0.3, 0.4])),
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


@pytest.mark.parametrize(
    "typed", ["a,1e3,1.10,true", "choice(a, 1e3, 1.10, true)", "choice([1e3, 2], {a: 1.10}, 7, 0x)"]
)
def test_a_choice_keeps_the_text_that_was_written(typed):
    [parameter] = parse({"name": typed}, [], None).parameters
    written = [parameter.written(choice) for choice in parameter.corners()]
    parser = OverridesParser.create()
    pieces = typed.removeprefix("choice(").removesuffix(")")
    assert ",".join(one.removeprefix("name=") for one in written) == re.sub(r", (?!2)", ",", pieces)
    for one, choice in zip(written, parameter.corners(), strict=True):
        assert parser.parse_override(one).value() == parser.parse_override(parameter.override(choice)).value()


def test_a_list_can_be_a_choice():
    space = parse({"model.widths": "choice([16,32],[32,64])"}, [], None)
    assert space.overrides({"model.widths": "[32,64]"}) == ["model.widths=[32,64]"]


@pytest.mark.parametrize(
    ("choices", "overrides"),
    [
        ("choice(1, true)", ["x=1", "x=true"]),
        ("choice(0, 0.0, -0.0, false)", ["x=0", "x=0.0", "x=-0.0", "x=false"]),
        ("choice(1, true, '1', 'true', a)", ["x=1", "x=true", "x='1'", "x='true'", "x=a"]),
        ("choice([1], '[1]')", ["x=[1]", "x='[1]'"]),
        ("null,'null'", ["x=null", "x='null'"]),
    ],
)
def test_choices_that_python_takes_for_equal_are_each_tried(choices, overrides):
    space = parse({"x": choices}, [], None)
    axis = space.distributions["x"]
    tried = [axis.to_external_repr(axis.to_internal_repr(choice)) for choice in axis.choices]
    assert [space.overrides({"x": choice})[0] for choice in tried] == overrides


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(
    st.lists(
        st.one_of(
            st.none(),
            st.booleans(),
            st.sampled_from([0, 1, 2, 0.0, -0.0, 1.0, 1e-05, 1e22, "1", "true", "null", "", "a b", "${x}"]),
            st.integers(),
            st.floats(allow_nan=False),
            st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=8),
        ),
        min_size=2,
        max_size=6,
        unique_by=quoted,
    )
)
def test_each_choice_keeps_its_type_and_its_text(values):
    space = parse(None, [f"x={','.join(map(quoted, values))}"], None)
    axis = space.distributions["x"]
    proposed = [axis.to_external_repr(axis.to_internal_repr(choice)) for choice in axis.choices]
    parser = OverridesParser.create()
    reached = []
    for choice in proposed:
        value = parser.parse_override(space.overrides({"x": choice})[0]).value()
        reached.append(value.text if isinstance(value, QuotedString) else value)
    assert [(type(one), repr(one)) for one in reached] == [(type(one), repr(one)) for one in values]


@pytest.mark.parametrize("text", ["range(0, 1, 0.1)", "range(0.05, 0.5, 0.05)", "range(-0.3, 0.4, 0.1)"])
def test_proposed_steps_are_the_decimal_fractions_that_were_written(text):
    axis = parse({"x": text}, [], None).distributions["x"]
    drifted = [axis.low + i * axis.step for i in range(round((axis.high - axis.low) / axis.step) + 1)]
    values = [exact(axis, value) for value in drifted]
    assert [{"x": value} for value in values] == points({"x": axis})
    assert all(len(repr(value)) <= 5 for value in values)
    assert any(len(repr(value)) > 5 for value in drifted)


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
    ("text", "corners"),
    [
        ("tag(log,range(8,808,8))", [8, 800]),
        ("tag(log,range(0.1,0.5,0.1))", [0.1, 0.4]),
        ("tag(log,range(800,0,-8))", [8, 800]),
        ("tag(log,range(16,17,4))", [16]),
        ("choice(8,16,32)", [8, 16, 32]),
    ],
)
def test_the_corners_of_a_range_are_its_ends_however_many_steps_it_has(text, corners):
    [parameter] = parse({"a": text}, [], None).parameters
    assert parameter.corners() == corners


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
        ({"a": "choice(1e-3, 0.001)"}, [], "twice"),
        ({"a": "range(1, 5, 0)"}, [], "must not be 0"),
        ({"a": "tag(log, range(1, 1000, 2))"}, [], "500 values, more than 100"),
        ({"a": "tag(log, range(0, 10, 2))"}, [], "begins above 0; got 0"),
        ({"a": "interval(0, inf)"}, [], "the ends of an interval must be finite"),
        ({"a": "interval(nan, 1)"}, [], "the ends of an interval must be finite"),
        ({"a": "interval(-1.7e308, 1.7e308)"}, [], "the ends of an interval must be finite"),
        ({"a": "tag(log, interval(1, 1e309))"}, [], "the ends of an interval must be finite"),
        ({"a": "int(interval(0, inf))"}, [], "infinity"),
        ({"a": "int(interval(0, 1e30))"}, [], "whole numbers are searched up to 9,007,199,254,740,992"),
        ({"a": "range(0, inf)"}, [], "start, stop and step of a range must be finite"),
        ({"a": "range(1, 1e400)"}, [], "start, stop and step of a range must be finite"),
        ({"a": "range(1e308, 1e309)"}, [], "start, stop and step of a range must be finite"),
        ({"a": "range(0, 1, nan)"}, [], "start, stop and step of a range must be finite"),
        ({"a": "float(range(0, inf))"}, [], "start, stop and step of a range must be finite"),
        ({"a": "tag(log, range(1, inf))"}, [], "start, stop and step of a range must be finite"),
        ({"a": "range(0, 1, 1e-300)"}, [], "more than 9,007,199,254,740,992 values"),
        ({"a": f"range(0, {'9' * 400})"}, [], "wider than a number can be"),
        ({"a": "range(-1e308, 1e308, 1e307)"}, [], "wider than a number can be"),
        ({"a": f"range(0, {'9' * 5000})"}, [], "Exceeds the limit"),
        ({"a": "tag(log, choice(1, 2))"}, [], "log belongs to a range"),
        ({"a": "tag(Log, interval(1, 2))"}, [], "unknown tag 'Log'"),
        ({"a": "shuffle(range(1, 5))"}, [], "no meaning in a search"),
        ({"a": "shuffle(choice(1, 5))"}, [], "no meaning in a search"),
        ({"a": "uniform(0, 1)"}, [], r"write interval\(LOW, HIGH\)"),
        ({"a": {"min": 1e-4, "max": 0.1}}, [], r"write a: interval\(0.0001, 0.1\)"),
        ({"a": {"min": 1, "max": 8}}, [], r"write a: range\(1, 9\)"),
        ({"a": {"low": 1e-4, "high": 1, "log": True}}, [], r"write a: tag\(log, interval\(0.0001, 1\)\)"),
        ({"a": {"distribution": "log_uniform", "min": 0.1, "max": 1}}, [], r"write a: tag\(log, interval"),
        ({"a": {"values": [1, "x y", True]}}, [], r"write a: choice\(1, 'x y', true\)"),
        ({"a": {"value": 3}}, [], "write a: 3"),
        ({"a": {"b": "interval(0, 1)"}}, [], r"written a.b: interval\(0, 1\)"),
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
