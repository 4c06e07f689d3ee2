"""Finds the statements of a notebook that only show something, and what they alone need."""

import ast
from collections.abc import Iterable, Sequence

from runback.runs.importing.keras2_names import KerasNames
from runback.runs.importing.notebook_statements import Statement, bound_names, loaded_names

LIBRARIES = (
    "matplotlib",
    "seaborn",
    "pylab",
    "plotly",
    "bokeh",
    "IPython",
    "livelossplot",
    "graphviz",
    "pydot",
)
"""Libraries that draw."""

DRAWERS = ("keras.utils.plot_model", "keras.utils.model_to_dot", "keras.utils.vis_utils.model_to_dot")

SHOWING = (
    "head",
    "tail",
    "describe",
    "info",
    "summary",
    "shape",
    "dtype",
    "keys",
    "count",
    "value_counts",
    "plot",
)
"""Methods and attributes that are looked at, on a line of their own."""

PURE = ("len", "range", "list", "dict", "str", "int", "float", "zip", "enumerate", "max", "min", "sorted")
"""Builtins that change nothing."""


class Display:
    """Tells the statements that only show something from those that train."""

    def __init__(self, names: KerasNames, measured: frozenset[str]) -> None:
        self._names = names
        self._measured = measured
        """The names of what is measured after the training: a print of them is no mere look."""
        self.targets: set[str] = set()
        """The names of figures, axes and drawing functions."""

    def shows(self, node: ast.stmt) -> bool:
        """Tell whether a statement only shows something."""
        match node:
            case ast.Pass():
                return True
            case ast.Expr(value=value):
                return self._is_look(value)
            case ast.Assign(targets=targets, value=value) if self._draws(value):
                self.targets |= {name for target in targets for name in bound_names(target)}
                return True
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript() as target]) if self._draws(target):
                return True
            case ast.For() | ast.With() | ast.If() | ast.While():
                return self._shows_within(node)
            case ast.FunctionDef(body=body, name=name) if self._is_drawing_function(node):
                self.targets.add(name)
                return bool(body)
        return False

    def _shows_within(self, node: ast.For | ast.With | ast.If | ast.While) -> bool:
        """Tell whether a block only shows: it draws, and what it assigns is used in it alone."""
        if isinstance(node, ast.With) and any(self._draws(item.context_expr) for item in node.items):
            return True
        parts = [*node.body, *getattr(node, "orelse", [])]
        if isinstance(node, ast.For) and not self._is_pure(node.iter):
            return False
        return all(self.shows(one) or self._is_pure_assignment(one) for one in parts) and any(
            self.shows(one) and not isinstance(one, ast.Pass) for one in parts
        )

    def _is_pure_assignment(self, node: ast.stmt) -> bool:
        return (
            isinstance(node, ast.Assign)
            and self._is_pure(node.value)
            and not isinstance(node.targets[0], ast.Attribute | ast.Subscript)
        )

    def is_unused(self, node: ast.stmt, used: set[str]) -> bool:
        """Tell whether a statement only assigns what nobody uses."""
        if not self._is_pure_assignment(node) or not isinstance(node, ast.Assign):
            return False
        return not {name for target in node.targets for name in bound_names(target)} & used

    def _is_drawing_function(self, node: ast.FunctionDef) -> bool:
        returns = [one for one in ast.walk(node) if isinstance(one, ast.Return) and one.value is not None]
        return not returns and any(self._draws(one) for one in ast.walk(node) if isinstance(one, ast.Call))

    def _is_look(self, value: ast.expr) -> bool:
        if isinstance(value, ast.Constant):
            return True  # a text on its own
        if isinstance(value, ast.Call):
            if isinstance(value.func, ast.Name) and value.func.id == "print":
                return not (loaded_names(value) & self._measured) and all(
                    map(self._is_pure, _arguments(value))
                )
            if self._draws(value):
                return True
            return (
                isinstance(value.func, ast.Attribute)
                and value.func.attr in SHOWING
                and self._is_pure(value.func.value)
            )
        return self._is_pure(value)

    def _is_pure(self, value: ast.expr) -> bool:
        """Tell whether an expression only looks: no call but of what changes nothing."""
        for node in ast.walk(value):
            if isinstance(node, ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr):
                return False
            if isinstance(node, ast.Call):
                func = node.func
                is_builtin = isinstance(func, ast.Name) and func.id in PURE
                is_look = isinstance(func, ast.Attribute) and func.attr in (
                    *SHOWING,
                    "format",
                    "argmax",
                    "items",
                )
                is_numpy = (self._names.written(func) or "").startswith("numpy.") and "random" not in (
                    self._names.written(func) or ""
                )
                if not (is_builtin or is_look or is_numpy):
                    return False
        return True

    def _draws(self, value: ast.expr | ast.AST) -> bool:
        """Tell whether an expression is a part of what draws, a figure or an axis, or a call of one."""
        while isinstance(value, ast.Call | ast.Attribute | ast.Subscript):
            if isinstance(value, ast.Attribute | ast.Call):
                target = value.func if isinstance(value, ast.Call) else value
                if (self._names.name(target) or self._names.written(target)) in DRAWERS:
                    return True
            value = value.func if isinstance(value, ast.Call) else value.value
        if not isinstance(value, ast.Name):
            return False
        root = self._names.aliases.get(value.id, "")
        return value.id in self.targets or root.partition(".")[0] in LIBRARIES or value.id == "display"


def without_display(
    statements: Sequence[Statement], display: Display
) -> tuple[list[Statement], list[Statement]]:
    """Return the statements that do something, and those that only show.

    An assignment goes, too, that only those use which are left out, where its value is only looked up.
    """
    shown = [one for one in statements if display.shows(one.node)]
    kept = [one for one in statements if one not in shown]
    cells = {one.cell for one in shown}
    while True:
        used = set().union(*(loaded_names(one.node) for one in kept), set())
        dead = [one for one in kept if one.cell in cells and display.is_unused(one.node, used)]
        if not dead:
            return kept, shown
        kept = [one for one in kept if one not in dead]
        shown += dead


def _arguments(call: ast.Call) -> Iterable[ast.expr]:
    return [*call.args, *(word.value for word in call.keywords)]
