import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from runback.system.config.override_text import choices, elements, quoted_text


@pytest.mark.parametrize("text", ["a b\\\n", "\\\n", "a\\", "\\'", "it's\\", "\\\\'x", "a\n'\\\n", "", "~/x"])
def test_a_quoted_text_is_read_back_as_it_was(text):
    assert OverridesParser.create().parse_override(f"x={quoted_text(text)}").value() == text


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(st.text(st.sampled_from("a\\'\"\n ,[]{}()$~"), max_size=8))
def test_any_quoted_text_is_read_back_as_it_was(text):
    assert OverridesParser.create().parse_override(f"x={quoted_text(text)}").value() == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b", ["a", "b"]),
        ("[1,2],{a: 1, b: 2}", ["[1,2]", "{a: 1, b: 2}"]),
        ("'a,b',\"c,d\"", ["'a,b'", '"c,d"']),
        ("a\\,b,c", ["a\\,b", "c"]),
        ("${x:1,2},it's,b", ["${x:1,2}", "it's", "b"]),
        ("'a\\'b,c',d", ["'a\\'b,c'", "d"]),
    ],
)
def test_a_text_is_taken_apart_at_its_own_commas_only(text, expected):
    assert elements(text) == expected


@pytest.mark.parametrize("text", ["1e3,b", "choice(1e3, b)", "shuffle(1e3,b)", "sort(choice(1e3,b))"])
def test_choices_are_found_in_every_form_of_them(text):
    assert choices(text) == ["1e3", "b"]
