"""A terminal for tables, bars and colours: rich's console, behind the same door as a line of `terminal`."""

import sys
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from runback.system.text.escape import for_terminal, lines_for_terminal

UNLIMITED = 100_000
"""Columns where no terminal limits them: a file or a pipe gets each row on one line, whole."""


def is_in_notebook() -> bool:
    """Tell whether what this process prints appears below a notebook's cell."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class Screen(Console):
    """A console that shows texts as they are: in lines, in tables, in bars."""

    def __init__(self, stream: TextIO | None = None, **options: Any) -> None:
        plain: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
        if is_in_notebook():  # rich would show each line by itself, and take a kernel for a terminal
            plain |= {"force_jupyter": False, "force_terminal": False}
        super().__init__(file=stream, **plain, **options)

    def render_str(self, text: str, **options: Any) -> Text:  # type: ignore[override]
        """Make a text of rich's, which all that is printed here becomes first."""
        return super().render_str(lines_for_terminal(text), **options)

    def say(self, text: str, style: str | None = None) -> None:
        """Print one line, whole even where it is longer than the screen is wide."""
        self.print(for_terminal(text), style=style, soft_wrap=True)
