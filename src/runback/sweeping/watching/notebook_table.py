"""A table in the output of a notebook's cell, which is drawn again in its place."""

from collections.abc import Sequence
from typing import Any, Protocol, Self

from runback.system.secrecy import redacted
from runback.system.text.escape import for_html
from runback.system.text.html_page import html_table


class Handle(Protocol):
    """IPython's handle of what a cell shows."""

    def update(self, obj: Any, **options: Any) -> None:
        """Show something in the place of what is shown."""


class NotebookTable:
    """Shows a table below a cell as long as it is entered, and leaves the last one there."""

    def __init__(self) -> None:
        self._handle: Handle | None = None

    def __enter__(self) -> Self:
        from IPython.display import display

        self._handle = display(_bundle((), (), ""), raw=True, display_id=True)  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *_: object) -> None:
        self._handle = None

    def draw(self, head: Sequence[str], rows: Sequence[Sequence[str]], below: str) -> None:
        """Show rows of texts under a head, and a line below them."""
        if self._handle is not None:
            self._handle.update(_bundle(head, rows, below), raw=True)


def _bundle(head: Sequence[str], rows: Sequence[Sequence[str]], below: str) -> dict[str, str]:
    """Return a table as HTML, and as text for what shows none."""
    shown = [[redacted(cell) for cell in cells] for cells in rows]
    lines = ["  ".join(cells).rstrip() for cells in _aligned([head, *shown] if shown else [])]
    table = html_table(head, shown) if shown else ""
    return {"text/plain": "\n".join([*lines, below]), "text/html": f"{table}<div>{for_html(below)}</div>"}


def _aligned(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
