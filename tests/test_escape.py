import pytest

from runback.escape import for_csv, for_html, for_markdown, for_terminal


def test_what_would_move_a_cursor_is_spelled_out():
    assert for_terminal("a\x1b[2Jä\n") == "a\\x1b[2Jä\\n"


def test_what_turns_the_direction_of_text_is_spelled_out():
    assert for_terminal("a\u202eb") == "a\\u202eb"


@pytest.mark.parametrize("cell", ["=1+1", "@x", "+cmd|' /C calc'!A0", "-2+3", "\t=1", " =1", "|x", "%0a=1"])
def test_no_spreadsheet_calculates_a_cell(cell):
    assert for_csv(cell) == "'" + cell


def test_other_cells_stay():
    assert [for_csv(cell) for cell in ("", "adam", "a=b", "cat & dog")] == ["", "adam", "a=b", "cat & dog"]


def test_markup_is_shown_not_obeyed():
    assert for_html("<b a='\"'>") == "&lt;b a=&#x27;&quot;&#x27;&gt;"
    assert for_markdown("<i>*a*|[x](y)\n") == "&lt;i&gt;\\*a\\*\\|\\[x\\](y)\\\\n"
