"""The statements of a notebook's cells, their text, and the names in them."""

import ast
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runback.runs.importing.notebook_cells import Cell

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(eq=False)
class Statement:
    """A statement on the top level of a cell."""

    cell: int
    node: ast.stmt
    comments: str = ""
    """The lines of comments above it."""
    text: str = ""
    """Its own text, which stands for it as long as its tree is the same."""
    dump: str = ""
    """Its tree as it was."""

    def lines(self) -> str:
        """Return its text: as the notebook has it where nothing in it was changed."""
        is_same = self.text and ast.dump(self.node) == self.dump
        code = self.text if is_same else ast.unparse(ast.fix_missing_locations(self.node))
        return f"{self.comments}\n{code}" if self.comments else code


def statements_of(cells: Sequence[Cell]) -> list[Statement]:
    """Return the statements of all cells, in their order."""
    return [one for cell in cells for one in _statements(cell)]


def _statements(cell: Cell) -> Iterator[Statement]:
    lines = cell.code.split("\n")
    last = 0
    for index, node in enumerate(cell.tree.body):
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))]) - 1
        above = [line for line in lines[last:first] if line.lstrip().startswith("#")]
        last = node.end_lineno or first + 1
        following = cell.tree.body[index + 1].lineno if index + 1 < len(cell.tree.body) else 0
        is_alone = first >= 0 and not lines[first][: node.col_offset].strip() and following != last
        text = textwrap.dedent("\n".join(lines[first:last])) if is_alone and not _has_long_text(node) else ""
        yield Statement(cell.number, node, "\n".join(above), text, ast.dump(node))


def _has_long_text(node: ast.AST) -> bool:
    """Tell whether a statement has a text of several lines, which indenting would change."""
    return any(
        isinstance(one, ast.Constant | ast.JoinedStr) and one.end_lineno != one.lineno
        for one in ast.walk(node)
    )


def bound_names(node: ast.AST) -> set[str]:
    """Return the names that a statement or a target binds, in the scope that it stands in."""
    return set(_bound(node))


def _bound(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
            return
        case ast.Lambda():
            return
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            yield from (one.asname or one.name.partition(".")[0] for one in names)
        case ast.ExceptHandler(name=str(name)):
            yield name
    if isinstance(node, COMPREHENSIONS):
        return
    for child in ast.iter_child_nodes(node):
        yield from _bound(child)


def loaded_names(node: ast.AST) -> set[str]:
    """Return the names that are read in a tree, at every depth."""
    return {
        one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)
    } | {
        one.target.id
        for one in ast.walk(node)
        if isinstance(one, ast.AugAssign) and isinstance(one.target, ast.Name)
    }


def all_bound_names(node: ast.AST) -> set[str]:
    """Return the names that are bound in a tree, in every scope."""
    found = set()
    for one in ast.walk(node):
        found |= {one.arg} if isinstance(one, ast.arg) else set()
        found |= bound_names(one) if isinstance(one, ast.stmt | ast.ExceptHandler) else set()
        found |= {one.id} if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store) else set()
        found |= {one.name} if isinstance(one, ast.MatchAs | ast.MatchStar) and one.name else set()
    return found


def insert_before(body: Sequence[ast.AST], target: ast.AST, new: Sequence[ast.stmt]) -> bool:
    """Insert statements in front of one, in whichever block it stands; return whether it was found."""
    for node in body:
        for owner in ast.walk(node):
            for field in ("body", "orelse", "finalbody"):
                block = getattr(owner, field, None)
                if isinstance(block, list) and target in block:
                    at = block.index(target)
                    block[at:at] = new
                    return True
    return False
