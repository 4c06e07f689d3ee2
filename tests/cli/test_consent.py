from rich.cells import cell_len

from runback.cli.consent import cut, screen


def test_a_line_is_cut_by_its_columns_and_by_its_characters():
    assert cut("a" * 80, 80) == "a" * 80
    assert cut("a" * 81, 80) == "a" * 77 + "..."
    marked = "a" + "\u0301" * 2000
    assert len(cut(marked, 80)) <= 240
    assert cell_len(cut(marked, 80)) <= 80
    assert cut("e\u0302\u0323" * 80, 80) == "e\u0302\u0323" * 80


def test_a_text_that_only_seems_short_is_not_shown():
    lines = screen([], ["a" + "\u0301" * 2000], "bundle", "f" * 64, 80)
    assert all(len(line) <= 240 for line in lines)
    assert any("--show prints all of it" in line for line in lines)
