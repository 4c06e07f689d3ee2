"""Makes text that anybody may have written harmless where it is shown: one function a medium."""

import html
import re
import unicodedata
from collections.abc import Iterator

_FORMULA = re.compile(r"\s*[=+\-@|%\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
"""The beginning of a cell that a spreadsheet may calculate instead of showing, full-width signs included
(https://owasp.org/www-community/attacks/CSV_Injection)."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)

MARKS = 2
"""Marks on one letter that are shown, as many as languages put there; more take no room, and cover others."""

_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters, marks and signs that nobody sees."""


def for_terminal(text: str) -> str:
    """Return the text with each character that would do something to a terminal spelled out.

    So is what nobody sees: blank letters, and more than MARKS marks on a letter.
    """
    return text if text.isascii() and text.isprintable() else "".join(_spelled(text))


def _spelled(text: str) -> Iterator[str]:
    marks = 0
    for one in text:
        marks = marks + 1 if unicodedata.category(one) in ("Mn", "Me") else 0
        is_seen = one.isprintable() and one not in _BLANK and marks <= MARKS
        yield one if is_seen else ascii(one)[1:-1]


def lines_for_terminal(text: str) -> str:
    """Return several lines as `for_terminal` does one: they stay lines."""
    return "\n".join(map(for_terminal, text.split("\n")))


def for_csv(cell: str) -> str:
    """Return a cell's text such that no spreadsheet takes it for a formula; a number stays one."""
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def for_html(text: str) -> str:
    """Return text that HTML shows as it is, in an element or between quotes."""
    return html.escape(lines_for_terminal(text))


def for_markdown(text: str) -> str:
    """Return text that Markdown, and the HTML in it, take for nothing else, on one line."""
    return re.sub(r"([\\`*_\[\]|~#])", r"\\\1", html.escape(for_terminal(text), quote=False))


def for_plotly(text: str) -> str:
    """Return text that Plotly, which takes tags and knows few entities, shows as it is."""
    return html.escape(for_terminal(text), quote=False)


def for_picture(text: str) -> str:
    """Return text that matplotlib draws as it is: no dollar signs begin mathematics, or an error."""
    return for_terminal(text).replace("$", r"\$")
