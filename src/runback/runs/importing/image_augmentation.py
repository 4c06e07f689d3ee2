"""Turns the random images of a Keras 2 `ImageDataGenerator` into layers of Keras 3."""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass

from runback.runs.importing.import_notes import ImportNotes
from runback.runs.importing.keras2_calls import dotted
from runback.runs.importing.keras2_names import KerasNames
from runback.runs.importing.notebook_statements import Statement, bound_names, insert_before, loaded_names

GENERATOR = "keras.preprocessing.image.ImageDataGenerator"

FLOW = [
    "x",
    "y",
    "batch_size",
    "shuffle",
    "sample_weight",
    "seed",
    "save_to_dir",
    "save_prefix",
    "save_format",
    "subset",
]

OPTIONS = [
    "featurewise_center",
    "samplewise_center",
    "featurewise_std_normalization",
    "samplewise_std_normalization",
    "zca_whitening",
    "zca_epsilon",
    "rotation_range",
    "width_shift_range",
    "height_shift_range",
    "brightness_range",
    "shear_range",
    "zoom_range",
    "channel_shift_range",
    "fill_mode",
    "cval",
    "horizontal_flip",
    "vertical_flip",
    "rescale",
    "preprocessing_function",
    "data_format",
    "validation_split",
    "interpolation_order",
    "dtype",
]
"""The generator's arguments by position."""

LAYERED = {
    "rotation_range",
    "width_shift_range",
    "height_shift_range",
    "zoom_range",
    "fill_mode",
    "cval",
    "horizontal_flip",
    "vertical_flip",
    "zca_epsilon",
}
"""Those that layers of Keras 3 do as well, and one that does nothing alone."""

ONE_PASS = re.compile(r"(float\()?(len\([\w.]+\)|[\w.]+\.shape\[0\])\)?")
"""The number of all images."""

NETWORK = "network"
"""The name of the model without the layers in front of it."""


@dataclass
class Flow:
    """The call `datagen.flow(…)` that a fit is given."""

    call: ast.Call
    arguments: dict[str, ast.expr]
    generator: ast.Call
    """The call of ImageDataGenerator."""


def layers_of(generator: ast.Call) -> list[ast.expr] | None:
    """Return the layers that draw from the same ranges as a generator; None where no layers do what it does.

    Rotation, shift, zoom, then flips: the generator does them at once, layers one after the other. Degrees
    become fractions of a circle; zoom is drawn for each side by itself, as the generator does.
    """
    options = _options(generator)
    if options is None:
        return None
    given = {name: value for name, value in options.items() if not _is_neutral(value)}
    if set(given) - LAYERED:
        return None
    fill = [ast.keyword("fill_mode", given.get("fill_mode", ast.Constant("nearest")))]
    if "cval" in given:
        fill.append(ast.keyword("fill_value", given["cval"]))
    layers: list[ast.expr] = []
    if "rotation_range" in given:
        part = ast.BinOp(given["rotation_range"], ast.Div(), ast.Constant(360))
        layers.append(_layer("RandomRotation", factor=part, fill=fill))
    shifts = {side: given.get(f"{side}_shift_range", ast.Constant(0.0)) for side in ("height", "width")}
    if any(not _is_fraction(value) for value in shifts.values()):
        return None
    if "width_shift_range" in given or "height_shift_range" in given:
        layers.append(
            _layer(
                "RandomTranslation", height_factor=shifts["height"], width_factor=shifts["width"], fill=fill
            )
        )
    if "zoom_range" in given:
        factor = _zoom(given["zoom_range"])
        if factor is None:
            return None
        layers.append(_layer("RandomZoom", height_factor=factor, width_factor=factor, fill=fill))
    flips = [name for name in ("horizontal", "vertical") if f"{name}_flip" in given]
    if any(not isinstance(given[f"{name}_flip"], ast.Constant) for name in flips):
        return None
    if flips:
        layers.append(_layer("RandomFlip", mode=ast.Constant("_and_".join(flips)), fill=[]))
    return layers


def _layer(name: str, *, fill: list[ast.keyword], **arguments: ast.expr) -> ast.expr:
    words = [ast.keyword(key, value) for key, value in arguments.items()]
    return ast.Call(dotted(f"keras.layers.{name}"), [], [*words, *fill])


def _options(generator: ast.Call) -> dict[str, ast.expr] | None:
    if any(word.arg is None for word in generator.keywords) or len(generator.args) > len(OPTIONS):
        return None
    named = {str(word.arg): word.value for word in generator.keywords}
    return {**dict(zip(OPTIONS, generator.args, strict=False)), **named}


def _is_neutral(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value in (False, None, 0, 0.0)


def _is_fraction(value: ast.expr) -> bool:
    """Tell whether a shift is a share of the side; whole numbers, and those from 1, are pixels."""
    return isinstance(value, ast.Constant) and isinstance(value.value, float) and 0 <= value.value < 1


def _zoom(value: ast.expr) -> ast.expr | None:
    if _is_fraction(value):
        return value
    if not isinstance(value, ast.List | ast.Tuple) or len(value.elts) != 2:
        return None
    ends = [one.value for one in value.elts if isinstance(one, ast.Constant)]
    if len(ends) != 2 or not all(isinstance(end, int | float) for end in ends):
        return None
    return ast.Tuple([_number(round(float(str(end)) - 1, 10)) for end in ends], ast.Load())


def _number(value: float) -> ast.expr:
    return ast.Constant(value) if value >= 0 else ast.UnaryOp(ast.USub(), ast.Constant(-value))


@dataclass
class Augmentation:
    """Puts layers in front of the model in the place of a generator."""

    names: KerasNames
    statements: list[Statement]
    notes: ImportNotes

    def apply(self, fit: ast.Call, cell: int) -> None:
        """Give a fit the arrays that its generator is made of, where layers can do what that did."""
        flow = self._flow(fit.args[0]) if fit.args else None
        if flow is None:
            return
        layers = layers_of(flow.generator)
        reason = self._reason(flow, layers, fit)
        compiled = self._compiled()
        if reason is None and (layers is None or (layers and compiled is None)):
            reason = (
                "no layers of Keras 3 do all of what it does" if layers is None else "there is no one compile"
            )
        if reason is not None:
            self.notes.add(
                "note",
                cell,
                f"ImageDataGenerator stays, from tensorflow.keras' old ones: {reason}; a run that is "
                "resumed, or reproduced, is given other random images by it",
            )
            return
        self._give_arrays(fit, flow)
        self._give_validation(fit)
        if layers and compiled is not None:
            self._wrap(compiled, layers, flow, fit)
        self.notes.add(
            "changed",
            cell,
            f"ImageDataGenerator.flow is layers of Keras in front of the model ({_names(layers)}): "
            "they draw from the same ranges, and only while it trains"
            if layers
            else "ImageDataGenerator.flow is the arrays that it was given: it changed none",
        )
        self._drop_generators()
        if not any("ImageDataGenerator" in ast.unparse(one.node) for one in self.statements):
            self.notes.remove(f"is tensorflow.{GENERATOR}")

    def _reason(self, flow: Flow, layers: list[ast.expr] | None, fit: ast.Call) -> str | None:
        if {"save_to_dir", "subset"} & set(flow.arguments):
            return "it writes the images, or divides them"
        if "x" not in flow.arguments or "y" not in flow.arguments:
            return "it has no labels"
        steps = next((word.value for word in fit.keywords if word.arg == "steps_per_epoch"), None)
        if steps is not None and not _is_one_pass(steps):
            return f"an epoch is {ast.unparse(steps):.60} batches, which need not be all images once"
        validation = next((word.value for word in fit.keywords if word.arg == "validation_data"), None)
        val_flow = None if validation is None else self._flow(validation)
        if val_flow is not None and layers_of(val_flow.generator) != []:
            return "its validation images come from a generator that changes them"
        return None

    def _flow(self, expression: ast.expr) -> Flow | None:
        """Return the flow that an expression is, or the name of; None: it is none."""
        call = self._resolved(expression)
        if not (
            isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "flow"
        ):
            return None
        generator = self._resolved(call.func.value)
        if not (isinstance(generator, ast.Call) and self.names.name(generator.func) == GENERATOR):
            return None
        if any(word.arg is None for word in call.keywords) or len(call.args) > len(FLOW):
            return None
        named = {str(word.arg): word.value for word in call.keywords}
        return Flow(call, {**dict(zip(FLOW, call.args, strict=False)), **named}, generator)

    def _resolved(self, expression: ast.expr) -> ast.expr:
        return resolved(expression, self.statements)

    def _compiled(self) -> tuple[Statement, ast.stmt, ast.Name] | None:
        """Return the only statement that compiles a model, and the model's name; None: there is none."""
        found = []
        for statement in self.statements:
            for node in ast.walk(statement.node):
                match node:
                    case ast.Expr(
                        value=ast.Call(func=ast.Attribute(attr="compile", value=ast.Name() as model))
                    ) if self.names.written(model) is None:
                        found.append((statement, node, model))
        return found[0] if len(found) == 1 else None

    def _give_arrays(self, fit: ast.Call, flow: Flow) -> None:
        given = flow.arguments
        fit.args[:1] = [given["x"], given["y"]]
        dropped = ("steps_per_epoch", "batch_size", "y")
        words = [word for word in fit.keywords if word.arg not in dropped]
        words.insert(0, ast.keyword("batch_size", given.get("batch_size", ast.Constant(32))))
        if "shuffle" in given and not any(word.arg == "shuffle" for word in words):
            words.append(ast.keyword("shuffle", given["shuffle"]))
        if "sample_weight" in given:
            words.append(ast.keyword("sample_weight", given["sample_weight"]))
        fit.keywords = words

    def _give_validation(self, fit: ast.Call) -> None:
        for word in fit.keywords:
            flow = self._flow(word.value) if word.arg == "validation_data" else None
            if flow is not None:
                word.value = ast.Tuple([flow.arguments["x"], flow.arguments["y"]], ast.Load())
                fit.keywords = [one for one in fit.keywords if one.arg != "validation_steps"]

    def _wrap(
        self,
        compiled: tuple[Statement, ast.stmt, ast.Name],
        layers: list[ast.expr],
        flow: Flow,
        fit: ast.Call,
    ) -> None:
        statement, node, model = compiled
        is_top = statement.node is node
        x = flow.arguments["x"]
        known = x if is_top and isinstance(x, ast.Name) else None
        shape = f"{known.id}.shape[1:]" if known is not None else f"{model.id}.input_shape[1:]"
        parts = ", ".join(ast.unparse(layer) for layer in layers)
        lines = [
            f"{NETWORK} = {model.id}",
            f"{model.id} = keras.Sequential([keras.Input({shape}), {parts}, {NETWORK}])",
        ]
        new = [ast.parse(line).body[0] for line in lines]
        if is_top:
            at = self.statements.index(statement)
            self.statements[at:at] = [Statement(statement.cell, one) for one in new]
        else:
            insert_before([statement.node], node, new)
            self.notes.add(
                "note", statement.cell, f"{model.id} has the random layers in front, also where it is saved"
            )
            return
        seen = False
        for one in self.statements:
            seen = seen or any(part is fit for part in ast.walk(one.node))
            if seen:
                _save_network(one.node, model.id)

    def _drop_generators(self) -> None:
        """Remove what nobody uses any more: generators, their flows and `fit`, loops to look at them."""
        while gone := [one for one in self.statements if self._is_idle(one.node)]:
            self.statements[:] = [one for one in self.statements if one not in gone]
            for one in gone:
                self._drop_lists(one)
                text = ast.unparse(one.node).split("\n")[0]
                self.notes.add("left out", one.cell, f"{text:.60}: the layers need no generator")

    def _drop_lists(self, gone: Statement) -> None:
        """Remove the empty lists above a loop that has gone, which it would have filled."""
        filled = _own_names(gone.node) if isinstance(gone.node, ast.For) else set()
        for one in [
            one for one in self.statements if one.cell == gone.cell and isinstance(one.node, ast.Assign)
        ]:
            names = bound_names(one.node)
            if names & filled and not names & self._used_beside(one.node):
                self.statements.remove(one)

    def _is_idle(self, node: ast.stmt) -> bool:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call):
                is_generator = self.names.name(call.func) == GENERATOR or self._flow(call) is not None
                return is_generator and name not in self._used_beside(node)
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr="fit", value=ast.Name() as owner))):
                source = self._resolved(owner)
                is_generator = isinstance(source, ast.Call) and self.names.name(source.func) == GENERATOR
                return is_generator and isinstance(source, ast.Call) and layers_of(source) is not None
            case ast.For() if _is_preview(node):
                return not _own_names(node) & self._used_beside(node)
        return False

    def _used_beside(self, node: ast.stmt) -> set[str]:
        return set().union(
            *(loaded_names(one.node) for one in self.statements if one.node is not node), set()
        )


def resolved(expression: ast.expr, statements: Sequence[Statement]) -> ast.expr:
    """Return what a name was assigned, where that is done once; any other expression as it is."""
    if not isinstance(expression, ast.Name):
        return expression
    values = [
        node.value
        for one in statements
        for node in ast.walk(one.node)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id == expression.id
    ]
    return values[0] if len(values) == 1 and not isinstance(values[0], ast.Name) else expression


def _is_one_pass(steps: ast.expr) -> bool:
    """Tell whether a number of batches is that of all images: their count, divided by something."""
    if isinstance(steps, ast.Call) and len(steps.args) == 1:  # int(…), math.ceil(…)
        name = ast.unparse(steps.func).rpartition(".")[2]
        return name in ("int", "ceil", "floor", "round") and _is_one_pass(steps.args[0])
    if not (isinstance(steps, ast.BinOp) and isinstance(steps.op, ast.Div | ast.FloorDiv)):
        return False
    return ONE_PASS.fullmatch(ast.unparse(steps.left)) is not None


def _is_preview(node: ast.For) -> bool:
    """Tell whether a loop writes images that a generator has changed, to be looked at."""
    return any(
        isinstance(one, ast.Call)
        and isinstance(one.func, ast.Attribute)
        and one.func.attr == "flow"
        and any(word.arg == "save_to_dir" for word in one.keywords)
        for one in ast.walk(node)
    )


def _own_names(node: ast.For) -> set[str]:
    """Return the names that a loop assigns, and the lists that it appends to."""
    found = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    for one in ast.walk(node):
        match one:
            case ast.Call(func=ast.Attribute(attr="append" | "extend", value=ast.Name(id=name))):
                found.add(name)
    return found


def _save_network(node: ast.AST, model: str) -> None:
    """Let what saves or describes the model do so with the network without the random layers."""
    for one in ast.walk(node):
        match one:
            case ast.Attribute(
                attr="save" | "save_weights" | "to_json" | "summary", value=ast.Name(id=name) as owner
            ):
                if name == model:
                    owner.id = NETWORK


def _names(layers: Sequence[ast.expr] | None) -> str:
    return ", ".join(ast.unparse(one).split("(")[0].rpartition(".")[2] for one in layers or ())
