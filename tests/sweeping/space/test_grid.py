import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from runback.errors import InputError
from runback.sweeping.space.grid import points

SPACE = {
    "a": CategoricalDistribution(["x", "y"]),
    "b": IntDistribution(2, 6, step=2),
    "c": FloatDistribution(0.1, 0.3, step=0.1),
}


def test_every_point_is_listed_once_with_the_last_key_fastest():
    listed = points(SPACE)
    assert len(listed) == 2 * 3 * 3
    assert len({tuple(p.values()) for p in listed}) == 18
    assert listed[:2] == [{"a": "x", "b": 2, "c": 0.1}, {"a": "x", "b": 2, "c": 0.2}]


def test_shuffling_is_a_function_of_the_seed():
    assert points(SPACE, shuffle=True, seed=1) == points(SPACE, shuffle=True, seed=1)
    assert points(SPACE, shuffle=True, seed=1) != points(SPACE, shuffle=True, seed=2)


def test_a_continuous_axis_is_refused():
    with pytest.raises(InputError, match="finite"):
        points({"x": FloatDistribution(0, 1)})


def test_more_points_than_can_be_listed_are_refused_before_they_are():
    many = {name: IntDistribution(1, 10**9) for name in "abc"}
    with pytest.raises(InputError, match="has 1,000,000,000,000,000,000,000,000,000 points"):
        points(many)
