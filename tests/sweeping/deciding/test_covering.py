"""The points that a search begins with cover its space."""

import itertools

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from runback.sweeping.deciding.covering import covering_point

SPACE = {
    "optimizer": CategoricalDistribution(["sgd", "adam", "rmsprop"]),
    "learning_rate": FloatDistribution(1e-4, 1e-1, log=True),
    "dropout": FloatDistribution(0.0, 0.7),
    "width": IntDistribution(8, 64, step=8),
    "layers": IntDistribution(1, 6),
    "momentum": FloatDistribution(0.1, 0.8, step=0.1),
    "batch": IntDistribution(16, 256, log=True),
    "only": CategoricalDistribution([True]),
}


def points(count, seed=0):
    return [covering_point(SPACE, index, seed) for index in range(count)]


@pytest.mark.parametrize("seed", range(20))
def test_each_choice_comes_once_before_any_comes_again(seed):
    for start in range(0, 12, 3):
        chosen = [point["optimizer"] for point in points(12, seed)[start : start + 3]]
        assert sorted(chosen) == ["adam", "rmsprop", "sgd"]


@pytest.mark.parametrize("seed", range(20))
def test_each_part_of_a_range_is_tried(seed):
    found = points(16, seed)
    rates = np.log10([point["learning_rate"] for point in found])
    assert {int(place) for place in (rates + 4) / 3 * 4} == {0, 1, 2, 3}
    assert {int(point["dropout"] / 0.7 * 4) for point in found} == {0, 1, 2, 3}


def contains(axis, value):
    if isinstance(axis, CategoricalDistribution):
        return value in axis.choices
    steps = 0.0 if axis.step is None else (value - axis.low) / axis.step
    return axis.low <= value <= axis.high and abs(steps - round(steps)) < 1e-9


def test_all_values_are_of_their_axes_and_of_their_types():
    for point in points(200):
        for name, axis in SPACE.items():
            assert contains(axis, point[name]), (name, point[name])
        assert type(point["width"]) is int
        assert type(point["learning_rate"]) is float
        assert len(repr(point["momentum"])) <= 3  # no 0.30000000000000004


def test_every_step_of_a_short_axis_comes_about_as_often():
    found = points(600)
    for name, values in (("layers", 6), ("width", 8), ("momentum", 8)):
        counts = np.unique([point[name] for point in found], return_counts=True)[1]
        assert len(counts) == values
        assert counts.min() > 0.7 * 600 / values


PRIORS = {"learning_rate": 1e-3, "dropout": 0.0, "layers": 6.0, "batch": 16.0}


def test_two_of_three_points_lie_near_a_prior_and_the_third_is_what_it_is_without():
    found = [covering_point(SPACE, index, 0, PRIORS) for index in range(300)]
    without = points(300)
    near = [one for one, other in zip(found, without, strict=True) if one != other]
    assert len(near) == 200
    free = [one["dropout"] for one, other in zip(found, without, strict=True) if one == other]
    assert np.histogram(free, bins=4, range=(0.0, 0.7))[0].min() > 10
    rates = np.log10([point["learning_rate"] for point in near])
    assert abs(np.median(rates) + 3) < 0.1
    assert 0.3 < rates.std() < 0.6  # of an axis of three decades: a share of 0.15 is 0.45
    assert np.median([point["dropout"] for point in near]) < 0.1
    assert np.median([point["layers"] for point in near]) >= 5
    for point, other in zip(found, without, strict=True):
        assert all(contains(SPACE[name], value) for name, value in point.items())
        assert all(point[name] == other[name] for name in SPACE.keys() - PRIORS.keys())


def test_an_axis_of_one_value_keeps_it_whatever_is_likely():
    one = {"rate": FloatDistribution(0.5, 0.5), "n": IntDistribution(3, 3)}
    assert covering_point(one, 0, 0, {"rate": 0.5, "n": 3.0}) == {"rate": 0.5, "n": 3}


def test_a_point_depends_on_seed_and_index_alone():
    assert [covering_point(SPACE, 7, 3) for _ in range(2)] == [points(8, 3)[7]] * 2
    assert points(5, 1) != points(5, 2)
    assert len({repr(point) for point in itertools.chain(points(30, 1), points(30, 2))}) == 60


def test_choices_of_two_axes_are_not_tied_to_each_other():
    axes = {name: CategoricalDistribution([0, 1, 2]) for name in "ab"}
    pairs = {tuple(covering_point(axes, index, 0).values()) for index in range(60)}
    assert len(pairs) == 9


@pytest.mark.parametrize("seed", [-1, -(2**40), 2**70])
def test_any_whole_number_seeds_them(seed):
    assert points(5, seed) == points(5, seed)
    assert points(5, seed) != points(5, seed - 1)
