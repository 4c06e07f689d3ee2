from pathlib import Path

import numpy as np
import pytest

from runback.errors import InputError
from runback.runs.tasks.notebook_command import overrides


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("interval(0, 1)", "interval(0, 1)"),
        ([0.1, "a,b", None], "choice(0.1, 'a,b', null)"),
        (range(1, 5), "range(1, 5, 1)"),
        (np.array([0.1, 0.2]), "choice(0.1, 0.2)"),
        ([np.float64(0.5), np.int64(3), np.bool_(True)], "choice(0.5, 3, true)"),
        (np.float32(0.5), "0.5"),
        ([Path("a"), Path("b")], "choice(a, b)"),
        ([[1, 2], [3]], "choice([1, 2], [3])"),
    ],
)
def test_a_space_is_written_as_overrides(value, text):
    assert overrides({"x": value}, {}) == [f"x={text}"]


@pytest.mark.parametrize("value", [object(), print, [1, print], 1j, b"a"])
def test_values_that_no_config_holds_are_refused(value):
    with pytest.raises(InputError, match="values are numbers, texts, lists and dicts of them"):
        overrides({"x": value}, {})
