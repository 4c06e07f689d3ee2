"""Shows what others' run brings, on one screen, and has a person agree to it."""

import sys
from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size

from runback.errors import InputError
from runback.runs.foreign_code import ForeignPart
from runback.system.text.escape import for_terminal
from runback.system.text.screen import Screen

KIND_WIDTH = 11

SCREEN = 40
"""Lines that are read at once."""

UNLIMITED = 200
"""Columns where no terminal limits them."""

CHARACTERS = 3
"""Characters for each column of a line, at most: a letter and the marks on it."""

RIGHTS = "What you agree to runs with your rights: it can read, change and send whatever you can."


def ask(
    found: Sequence[ForeignPart],
    texts: Sequence[str] | None,
    what: str,
    fingerprint: str,
    console: Screen,
    *,
    agreed: bool,
) -> None:
    """Show what a `what` of others brings; unless it is `agreed` to, a person at the terminal has to say yes.

    `texts` are the first SCREEN lines of its changes and files, harmless to a terminal, None where they are
    too long; they are shown if all fit on the screen. Errors: InputError where nobody agrees.
    """
    width = console.width if console.is_terminal else UNLIMITED
    for line in screen(found, texts, what, fingerprint, width):
        console.file.write(f"{line}\n")
    console.file.flush()
    if agreed:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise InputError(
            f"this {what} brings what is not yours: see it with --show, read it, then say --yes to run it"
        )
    try:
        answer = console.input("run it? [y/N] ", markup=False)
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise InputError("not agreed to: nothing was run")


def screen(
    found: Sequence[ForeignPart], texts: Sequence[str] | None, what: str, fingerprint: str, width: int
) -> list[str]:
    """Return what a bundle brings as lines of a terminal of that width."""
    head = (f"This {what} brings what is not yours, with the fingerprint", fingerprint)
    brought = [*head, *lines(found)]
    told = [cut(line, width) for line in brought]
    more = [cut("--show prints all of it, every line whole.", width)]
    if texts is None or len(told) + len(texts) + 1 > SCREEN or not all(_fits(one, width) for one in texts):
        texts = more
    elif not all(_fits(one, width) for one in brought):
        texts = [*texts, *more]
    return [*told, *texts, cut(RIGHTS, width)]


def lines(found: Sequence[ForeignPart]) -> Iterator[str]:
    """Return a line for each thing that a bundle brings, harmless to a terminal."""
    for one in found:
        for number, line in enumerate(one.lines):
            yield f"{'' if number else one.kind:<{KIND_WIDTH}}{for_terminal(line)}"


def cut(line: str, width: int) -> str:
    """Return a line that fits on a terminal; the end of a longer one is `...`."""
    if _fits(line, width):
        return line
    columns = max(width, 4) - 3
    short = line[: CHARACTERS * columns]
    return f"{short if cell_len(short) <= columns else set_cell_size(short, columns)}..."


def _fits(line: str, width: int) -> bool:
    return len(line) <= CHARACTERS * width and cell_len(line) <= width
