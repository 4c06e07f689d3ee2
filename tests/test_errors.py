"""What IPython shows below a cell of runback's errors."""

from runback.errors import InputError, Stopped


def test_an_error_is_one_line_below_a_cell_and_nothing_of_it_reaches_a_terminal_raw() -> None:
    assert InputError("expected größe; got '\x1b[2J\n'")._render_traceback_() == [
        r"InputError: expected größe; got '\x1b[2J\n'"
    ]
    assert Stopped("sweep s interrupted\x07")._render_traceback_() == [r"sweep s interrupted\x07"]
