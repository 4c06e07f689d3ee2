import numpy as np
import pytest

from runback.runs.tasks.notebook_command import overrides


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float64(0.1), "0.1"),
        (np.int64(3), "3"),
        (np.array([0.5, 2.0]), "choice(0.5, 2.0)"),
        (list(np.array([1, 2])), "choice(1, 2)"),
        ({"b", "a", "c"}, "choice(a, b, c)"),
        ((None, True, "a b"), "choice(null, true, 'a b')"),
        (range(1, 5), "range(1, 5, 1)"),
        ("interval(0, 1)", "interval(0, 1)"),
    ],
)
def test_a_part_of_a_space_is_an_expression_of_the_grammar(value, text):
    assert overrides({"x": value}, {}) == [f"x={text}"]


def test_settings_are_those_of_the_sweeper():
    given = {"sampler": "tpe", "n_trials": np.int64(3), "fixed": {"a": np.float32(0.5)}}
    assert overrides({}, given) == [
        "hydra/sweeper/sampler=tpe",
        "hydra.sweeper.n_trials=3",
        "hydra.sweeper.fixed={a: 0.5}",
    ]
