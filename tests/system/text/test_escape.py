import pytest

from runback.system.text.escape import for_csv, for_html, for_markdown, for_terminal


def test_what_would_move_a_cursor_is_spelled_out():
    assert for_terminal("a\x1b[2Jä\n") == "a\\x1b[2Jä\\n"


def test_what_turns_the_direction_of_text_is_spelled_out():
    assert for_terminal("a\u202eb") == "a\\u202eb"


def test_marks_that_pile_up_and_letters_that_are_blank_are_spelled_out():
    assert for_terminal("a" + "\u0301" * 4 + "b\u0301") == "a\u0301\u0301\\u0301\\u0301b\u0301"
    assert for_terminal("\u0300" * 2000).count("\u0300") == 2
    for blank in "\u3164\u2800\u115f\u1160\uffa0":
        assert for_terminal(f"a{blank}b") == f"a\\u{ord(blank):04x}b"


@pytest.mark.parametrize(
    "word",
    [
        "Ti\u1ebfng Vi\u1ec7t",
        "e\u0302\u0323",
        "\u0e17\u0e35\u0e48",
        "\u0928\u093f\u092e\u094d",
        "\u2764\ufe0f",
        "\ud55c",
    ],
)
def test_words_of_other_languages_stay(word):
    assert for_terminal(word) == word


@pytest.mark.parametrize("cell", ["=1+1", "@x", "+cmd|' /C calc'!A0", "-2+3", "\t=1", " =1", "|x", "%0a=1"])
def test_no_spreadsheet_calculates_a_cell(cell):
    assert for_csv(cell) == "'" + cell


def test_other_cells_stay():
    assert [for_csv(cell) for cell in ("", "adam", "a=b", "cat & dog")] == ["", "adam", "a=b", "cat & dog"]


def test_markup_is_shown_not_obeyed():
    assert for_html("<b a='\"'>") == "&lt;b a=&#x27;&quot;&#x27;&gt;"
    assert for_markdown("<i>*a*|[x](y)\n") == "&lt;i&gt;\\*a\\*\\|\\[x\\](y)\\\\n"
