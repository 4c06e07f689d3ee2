import pytest

from runback.sweeping.space.other_notations import instead, is_search, several


@pytest.mark.parametrize(
    ("fields", "written"),
    [
        ({"min": 1, "max": 10, "step": 3}, "write a: range(1, 11, 3)"),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.1}, "write a: range(0, 1.1, 0.1)"),
        ({"distribution": "q_uniform", "min": 0.0, "max": 1.0, "q": 0.3}, "write a: range(0.0, 1.0, 0.3)"),
        ({"distribution": "uniform", "min": 1, "max": 8}, "write a: interval(1, 8)"),
        ({"distribution": "int_uniform", "min": 1, "max": 8}, "write a: range(1, 9)"),
        (
            {"distribution": "log_uniform", "min": -5, "max": -1},
            "write a: tag(log, interval(0.006738, 0.3679))",
        ),
        (
            {"distribution": "log_uniform", "min": 1, "max": 3},
            "write a: tag(log, interval(1, 3)) or a: tag(log, interval(2.718, 20.09)), "
            "where the ends are exponents of e",
        ),
        (
            {"distribution": "log_uniform_values", "min": 1e-05, "max": 1},
            "write a: tag(log, interval(1e-05, 1))",
        ),
        (
            {"log": True, "min": -1, "max": 1},
            "write a: tag(log, interval(LOW, HIGH)), whose ends are above 0",
        ),
        (
            {"distribution": "q_log_uniform_values", "min": 8, "max": 128, "q": 8},
            "write a: tag(log, range(8, 129, 8))",
        ),
        ({"distribution": "constant", "value": 3}, "write a: 3"),
        ({"value": "a,b"}, "write a: 'a,b'"),
        (
            {"distribution": "normal", "mu": 0, "sigma": 1},
            "there is no distribution normal here; write a: interval(LOW, HIGH)",
        ),
        ({}, "it is empty; leave it out, or write a: interval(0.1, 0.5)"),
        ({"values": [[1, 2], "x y"]}, "write a: choice([1, 2], 'x y')"),
        (
            {"values": [1, 2], "probabilities": [0.1, 0.9]},
            "write a: choice(1, 2); probabilities have no counterpart",
        ),
        (
            {"cat": 2, "dog": 1},
            "expected an expression such as interval(0.1, 0.5); keys in a key are written a.cat: 2, and a "
            'mapping that is one value a: "{cat: 2, dog: 1}"',
        ),
    ],
)
def test_a_search_in_another_notation_is_told_as_the_same_search(fields, written):
    assert instead("a", fields) == written


def test_a_mapping_on_the_command_line_is_told_too():
    assert several("a", {"min": 1, "max": 4}) == (
        "write a=range(1, 5) or a=interval(1, 4), where it takes fractions"
    )
    assert several("a", {"mean": 1}) == "keys in a key are written a.mean=1"
    assert several("a", [1, "x"]) == "to search its elements write a=1,x"
    assert several("a", []) == "it has no elements to search"


def test_a_mapping_without_ends_or_choices_is_no_search():
    assert is_search({"min": 1, "max": 2})
    assert is_search({"Values": [1]})
    assert not is_search({"min": 1})
    assert not is_search({"cat": 2, "dog": 1})
