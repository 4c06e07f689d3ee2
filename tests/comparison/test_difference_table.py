"""The table of differences, of which a stranger's record may have any number, of any length."""

import io
import tracemalloc

import pytest

from runback.comparison.difference_table import CELL, ROWS, print_differences
from runback.provenance.comparing.difference import Difference
from runback.system.text.screen import Screen


def printed(found: list[Difference], *, terminal: bool = False) -> list[str]:
    stream = io.StringIO()
    print_differences(found, Screen(stream, force_terminal=terminal, width=80))
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("terminal", [False, True])
def test_many_differences_of_which_one_is_long_take_little_memory(terminal):
    found = [Difference("packages", f"p{number}", "1", "2") for number in range(10_000)]
    found[3] = Difference("packages", "p3" + "x" * 10_000, "\x1b" * 100_000, "2")
    tracemalloc.start()
    try:
        lines = printed(found, terminal=terminal)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 32 * 2**20
    assert max(map(len, lines)) < 4 * CELL
    assert any("and 9,500 more" in line for line in lines)
    assert any(line.split() == ["packages", "p499", "1", "2"] for line in lines)


def test_what_is_not_long_is_shown_whole():
    found = [Difference("config", "a" * CELL, "1", "2")] * ROWS
    assert [line.split() for line in printed(found)[1:]] == [["config", "a" * CELL, "1", "2"]] * ROWS
