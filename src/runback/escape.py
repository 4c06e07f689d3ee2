"""Makes text that anybody may have written harmless where it is shown: one function a medium."""

import html
import re

_FORMULA = re.compile(r"\s*[=+\-@|%]|[\t\r\n]")
"""How a cell begins that a spreadsheet may calculate instead of showing it
(https://owasp.org/www-community/attacks/CSV_Injection)."""


def for_terminal(text: str) -> str:
    """Return the text with each character that would do something to a terminal spelled out."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def for_csv(cell: str) -> str:
    """Return a cell's text such that no spreadsheet takes it for a formula."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def for_html(text: str) -> str:
    """Return text that HTML shows as it is, in an element or between quotes."""
    return html.escape(text)


def for_markdown(text: str) -> str:
    """Return text that Markdown, and the HTML in it, take for nothing else, on one line."""
    return re.sub(r"([\\`*_\[\]|~#])", r"\\\1", html.escape(for_terminal(text), quote=False))
