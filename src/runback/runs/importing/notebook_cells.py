"""Reads the code cells of a notebook's file, as data: without what only IPython understands."""

import ast
import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runback.errors import InputError
from runback.runs.importing.import_notes import ImportNotes

MAX_BYTES = 100 * 2**20
"""Bytes of a notebook, its pictures included."""

MAX_CODE = 2_000_000
"""Characters of all its code."""

MAX_CELLS = 10_000

WHOLE_CELL = ("time", "timeit", "capture", "prun")
"""Magics above a cell whose code is Python's all the same."""

MAGIC = re.compile(r"\s*(%%?|!|\?)")
"""The beginning of a line that IPython alone understands."""

TIMED = re.compile(r"(\s*)%(?:time|prun)\s+(?=[^-\s])")
"""The magic before a line of Python that is run all the same."""

SHELL = re.compile(r"\s*(?:[A-Za-z_][\w, ]*=\s*)(!|%)\s*\w")
"""A line that keeps what a command or a magic returns."""

ASKED = re.compile(r"\s*[\w.]+\?{1,2}\s*$")
"""A line that asks IPython about an object."""

PRINT = re.compile(r"^(\s*)print\b(?!\s*\()(?!\s*>>)[ \t]*(.*?)(,?)[ \t]*(#.*)?$")
"""Python 2's print statement on a line of its own."""


@dataclass(frozen=True)
class Cell:
    """A cell of Python."""

    number: int
    """Counted from 1 over all cells of the notebook, those of text included."""
    code: str
    tree: ast.Module


def read_cells(path: Path, notes: ImportNotes) -> list[Cell]:
    """Return a notebook's cells of Python, in their order, and note what of its code is left out.

    Errors: InputError for what is no notebook, and one without any code.
    """
    notebook = _content(path)
    _refuse_other_languages(path, notebook)
    cells = [one for number, source in _sources(path, notebook) if (one := _cell(number, source, notes))]
    if not cells:
        raise InputError(f"{str(path)!a:.300} has no code of Python in its cells")
    return cells


def _content(path: Path) -> dict[str, Any]:
    name = f"{str(path)!a:.300}"
    try:
        if not path.is_file():
            raise InputError(f"there is no notebook {name}")
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{name} has {path.stat().st_size:,} bytes; a notebook may have {MAX_BYTES:,}")
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is no notebook: expected a file .ipynb, of JSON in UTF-8") from error
    if not isinstance(content, dict) or not isinstance(_cells(content), list):
        raise InputError(f"{name} is no notebook: it has no cells")
    return content


def _cells(notebook: dict[str, Any]) -> Any:
    """Return the cells as they stand in the file: up to format 3 in its first worksheet."""
    sheets = notebook.get("worksheets")
    if "cells" not in notebook and isinstance(sheets, list) and sheets and isinstance(sheets[0], dict):
        return sheets[0].get("cells")
    return notebook.get("cells")


def _refuse_other_languages(path: Path, notebook: dict[str, Any]) -> None:
    facts = notebook.get("metadata")
    facts = facts if isinstance(facts, dict) else {}
    for key, field in (("language_info", "name"), ("kernelspec", "language")):
        part = facts.get(key)
        language = part.get(field) if isinstance(part, dict) else None
        if isinstance(language, str) and not language.lower().startswith(("python", "ipython")):
            raise InputError(f"{str(path)!a:.300} is written in {language!a:.60}; expected Python")


def _sources(path: Path, notebook: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """Yield number and text of each cell of code. Errors: InputError for what is no cell, or too much."""
    cells, size = _cells(notebook), 0
    if len(cells) > MAX_CELLS:
        raise InputError(f"{str(path)!a:.300} has {len(cells):,} cells; a notebook may have {MAX_CELLS:,}")
    for number, cell in enumerate(cells, 1):
        source = cell.get("source", cell.get("input", "")) if isinstance(cell, dict) else None
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if not isinstance(source, str):
            raise InputError(f"{str(path)!a:.300} is damaged: cell {number} has no text")
        size += len(source)
        if size > MAX_CODE:
            raise InputError(f"{str(path)!a:.300} has more than {MAX_CODE:,} characters in its cells")
        if cell.get("cell_type") == "code" and source.strip():
            yield number, source.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def _cell(number: int, source: str, notes: ImportNotes) -> Cell | None:
    code = _without_magics(number, source, notes)
    tree = _parsed(code)
    if isinstance(tree, SyntaxError):
        code2, printed = _with_print_function(code), _parsed(_with_print_function(code))
        if not isinstance(printed, SyntaxError):
            notes.add("changed", number, "print statements of Python 2 are calls of print()")
            code, tree = code2, printed
    if isinstance(tree, SyntaxError):
        line = code.split("\n")[max(0, (tree.lineno or 1) - 1)].strip()
        notes.add("by hand", number, f"no Python 3, left out: {tree.msg}, in {line!r:.80}")
        return None
    return Cell(number, code, tree) if tree.body else None


def _parsed(code: str) -> ast.Module | SyntaxError:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # "\d" in a text that is no raw one
            compile(code, "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
            return ast.parse(code)
    except SyntaxError as error:
        return error
    except (RecursionError, MemoryError, ValueError):
        return SyntaxError("too deeply nested")


def _with_print_function(code: str) -> str:
    return "\n".join(PRINT.sub(_print_call, line) for line in code.split("\n"))


def _print_call(match: re.Match[str]) -> str:
    indent, what, comma, comment = match.groups()
    end = ', end=" "' if comma and what else ""
    return f"{indent}print({what}{end}){f'  {comment}' if comment else ''}"


def _without_magics(number: int, source: str, notes: ImportNotes) -> str:
    """Return a cell's code without the lines that IPython alone understands, and note each."""
    lines = source.split("\n")
    first = next((line.strip() for line in lines if line.strip()), "")
    if first.startswith("%%"):
        name = first[2:].split(" ")[0]
        what = "the magic" if name in WHOLE_CELL else "a cell"
        notes.add("left out", number, f"{what} %%{name} of IPython")
        if name not in WHOLE_CELL:
            return ""
        lines[next(at for at, line in enumerate(lines) if line.strip())] = ""
    within = _text_lines("\n".join(lines))
    is_continued = False
    for at, line in enumerate(lines):
        is_magic = MAGIC.match(line) or SHELL.match(line) or ASKED.match(line)
        if not is_continued and (at in within or not is_magic):
            continue
        if not is_continued and (timed := TIMED.match(line)):
            lines[at] = timed[1] + line[timed.end() :]
            notes.add("left out", number, f"{timed[0].strip()}: a magic of IPython; its line stays")
            continue
        if not is_continued:
            what = "a command of the shell" if "!" in line else "a magic of IPython"
            notes.add("left out", number, f"{line.strip():.80}: {what}")
        is_continued = line.rstrip().endswith("\\")
        indent = line[: len(line) - len(line.lstrip())]
        lines[at] = f"{indent}pass" if indent and not is_continued else ""
    return "\n".join(lines)


def _text_lines(code: str) -> set[int]:
    """Return the lines, from 0, that begin within a text of several lines, or within brackets."""
    within: set[int] = set()
    quote, depth = "", 0
    for at, line in enumerate(code.split("\n")):
        if quote or depth > 0:
            within.add(at)
        position = 0
        while position < len(line):
            rest = line[position:]
            if quote:
                if rest.startswith("\\"):
                    position += 1
                elif rest.startswith(quote):
                    position += len(quote) - 1
                    quote = ""
            elif rest.startswith(('"""', "'''")):
                quote, position = rest[:3], position + 2
            elif rest[0] in "\"'":
                quote = rest[0]
            elif rest[0] == "#":
                break
            else:
                depth += (rest[0] in "([{") - (rest[0] in ")]}")
            position += 1
        if len(quote) == 1:
            quote = ""  # a text of one line ends with it
    return within
