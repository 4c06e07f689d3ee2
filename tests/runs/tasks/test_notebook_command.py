from pathlib import Path

import numpy as np
import pytest

from runback.errors import InputError
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
        ([0.1, "a,b", None], "choice(0.1, 'a,b', null)"),
        ([np.float64(0.5), np.int64(3), np.bool_(True)], "choice(0.5, 3, true)"),
        (np.float32(0.5), "0.5"),
        ([Path("a"), Path("b")], "choice(a, b)"),
        ([[1, 2], [3]], "choice([1, 2], [3])"),
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


@pytest.mark.parametrize("value", [object(), print, [1, print], 1j, b"a"])
def test_values_that_no_config_holds_are_refused(value):
    with pytest.raises(InputError, match="values are numbers, texts, lists and dicts of them"):
        overrides({"x": value}, {})
