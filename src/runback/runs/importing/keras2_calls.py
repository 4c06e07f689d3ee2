"""Rewrites calls, names and imports of Keras 1 and 2 as Keras 3 has them, and notes each."""

import ast
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from runback.runs.importing import keras_api_internals
from runback.runs.importing.import_notes import ImportNotes
from runback.runs.importing.keras2_names import KerasNames, in_keras3

LAYER_ARGUMENTS: Mapping[str, str] = {
    "border_mode": "padding",
    "subsample": "strides",
    "subsample_length": "strides",
    "dim_ordering": "data_format",
    "init": "kernel_initializer",
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "bias": "use_bias",
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "kernel_dim1": "kernel_size",
    "atrous_rate": "dilation_rate",
    "pool_length": "pool_size",
    "stride": "strides",
    "p": "rate",
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "U_regularizer": "recurrent_regularizer",
    "U_constraint": "recurrent_constraint",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
    "beta_init": "beta_initializer",
    "gamma_init": "gamma_initializer",
    "alpha": "negative_slope",
    "sigma": "stddev",
}
"""Arguments of layers by their names in Keras 1; LeakyReLU's in Keras 2."""

ONLY_OF = {
    "alpha": ("LeakyReLU",),
    "p": ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianDropout"),
}
"""Arguments that are renamed in these layers alone."""

VALUES: Mapping[str, str] = {
    "th": "channels_first",
    "tf": "channels_last",
    "uniform": "random_uniform",
    "normal": "random_normal",
    "gaussian": "random_normal",
    "zero": "zeros",
    "one": "ones",
}
"""Values of `data_format` and of initializers by their names in Keras 1."""

FIT = [
    "x",
    "y",
    "batch_size",
    "epochs",
    "verbose",
    "callbacks",
    "validation_split",
    "validation_data",
    "shuffle",
    "class_weight",
    "sample_weight",
    "initial_epoch",
    "steps_per_epoch",
    "validation_steps",
]
FIT_GENERATOR = [
    "x",
    "steps_per_epoch",
    "epochs",
    "verbose",
    "callbacks",
    "validation_data",
    "validation_steps",
    "class_weight",
    "max_queue_size",
    "workers",
    "use_multiprocessing",
    "shuffle",
    "initial_epoch",
]
EVALUATE_GENERATOR = ["x", "steps", "max_queue_size", "workers", "use_multiprocessing", "verbose"]

METHODS: Mapping[str, tuple[str, list[str]]] = {
    "fit": ("fit", FIT),
    "fit_generator": ("fit", FIT_GENERATOR),
    "evaluate_generator": ("evaluate", EVALUATE_GENERATOR),
    "predict_generator": ("predict", EVALUATE_GENERATOR),
}
"""Methods of a model: their name in Keras 3, and the names of their arguments by position."""

METHOD_ARGUMENTS: Mapping[str, str] = {
    "nb_epoch": "epochs",
    "generator": "x",
    "nb_val_samples": "validation_steps",
    "val_samples": "steps",
}

QUEUE = ("workers", "use_multiprocessing", "max_queue_size", "max_q_size", "nb_worker", "pickle_safe")
"""Arguments about the processes that fetched batches; they change no batch."""

RATES: Mapping[str, float] = {"Adagrad": 0.01, "Adadelta": 1.0, "Adamax": 0.002, "Nadam": 0.002}
"""Learning rates that Keras 2 took by default, where Keras 3 takes another (0.001)."""

DEFAULT_RATES: Mapping[str, float] = {"SGD": 0.01, "RMSprop": 0.001, "Adam": 0.001, **RATES}

MODELS = ("keras.Model", "keras.models.Model")
CLASSES = "predicted_classes"
"""The function of the script that stands for a model's `predict_classes`."""

PREDICTED_CLASSES = f'''
def {CLASSES}(probabilities):
    """Return each row's class, as `predict_classes` of Keras 2 did."""
    if probabilities.shape[-1] > 1:
        return probabilities.argmax(axis=-1)
    return (probabilities > 0.5).astype("int32")
'''


class KerasChanges(ast.NodeTransformer):
    """Rewrites the code of a cell for Keras 3."""

    def __init__(
        self,
        names: KerasNames,
        notes: ImportNotes,
        used: Collection[str],
        *,
        has_accuracy: bool,
        is_old: bool,
    ) -> None:
        self.names, self._notes = names, notes
        self._used, self._has_accuracy, self._is_old = used, has_accuracy, is_old
        self._renamed = _renamed(names)
        self._needs: set[str] = set()
        self.cell = 0
        """The number of the cell that is being rewritten."""

    @property
    def needs_classes(self) -> bool:
        """Whether the script needs the function `predicted_classes`."""
        return CLASSES in self._needs

    @property
    def modules(self) -> set[str]:
        """The modules that the rewritten code names, and has to import."""
        return self._needs - {CLASSES}

    def visit_Import(self, node: ast.Import) -> ast.AST | None:
        """Rewrite `import keras.layers.core as core`."""
        kept = []
        for one in node.names:
            found = in_keras3(one.name)
            if found.name == one.name or found.name is None:
                if found.name is None:
                    self._by_hand(one.name, found.advice)
                else:
                    kept.append(one)
                continue
            self._changed(f"import {one.name}", found.name)
            kept.append(ast.alias(found.name, one.asname) if one.asname else ast.alias(found.name))
        return ast.copy_location(ast.Import(kept), node) if kept else None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        """Rewrite `from keras.layers.core import Dense`."""
        if not node.module or node.level or not _is_keras(node.module):
            return node
        by_module: dict[str, list[ast.alias]] = {}
        for one in node.names:
            written = node.module if one.name == "*" else f"{node.module}.{one.name}"
            found = in_keras3(written)
            if found.name is None:
                if (one.asname or one.name) in self._used:
                    self._by_hand(written, found.advice)
                else:
                    self._notes.add(
                        "left out", self.cell, f"{written}: Keras 3 has none, and nothing uses it"
                    )
                continue
            if one.name == "*":
                module, name = found.name, "*"
            else:
                module, _, name = found.name.rpartition(".")
                if not module:  # a module that is Keras itself now: what is in it is written with its name
                    self._needs.add(found.name)
                    self._changed(written, found.name)
                    continue
            if found.name != written:
                self._changed(written, found.name)
            bound = one.asname or self._renamed.get(one.name, one.name)
            by_module.setdefault(module, []).append(ast.alias(name, None if bound == name else bound))
        return [
            ast.copy_location(ast.ImportFrom(module, names, 0), node) for module, names in by_module.items()
        ]

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Rewrite `Convolution2D`, which is imported by its new name."""
        node.id = self._renamed.get(node.id, node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Rewrite `np_utils.to_categorical`, and `model.optimizer.lr`."""
        written = self.names.written(node)
        if written is not None and _is_keras(written):
            found = in_keras3(written)
            if found.name is None:
                self._by_hand(written, found.advice)
                return node
            if found.name != written:
                self._changed(written, found.name)
                self._needs.add(found.name.partition(".")[0])
                return ast.copy_location(dotted(found.name), node)
            return node
        self.generic_visit(node)
        if node.attr == "lr" and isinstance(node.value, ast.Attribute) and node.value.attr == "optimizer":
            self._changed("optimizer.lr", "optimizer.learning_rate")
            node.attr = "learning_rate"
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """Rewrite `K.image_dim_ordering() == 'th'`."""
        is_format = any(
            isinstance(one, ast.Call) and "image_dim_ordering" in (self.names.written(one.func) or "")
            for one in ast.walk(node)
        )
        self.generic_visit(node)
        if is_format:
            node.left = _value(node.left)
            node.comparators = [_value(one) for one in node.comparators]
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Rewrite `history.history['val_acc']`."""
        self.generic_visit(node)
        if "history" in ast.unparse(node.value).lower() or ast.unparse(node.value) == "logs":
            node.slice = self._metric(node.slice)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Rewrite a call of a layer, an optimizer, a callback, a function or a model's method."""
        name = self.names.name(node.func)
        written = self.names.written(node.func) or ""
        self.generic_visit(node)
        if name is None:
            return self._method(node) if isinstance(node.func, ast.Attribute) else node
        last = name.rpartition(".")[2]
        if name.startswith("keras.layers."):
            self._layer(node, name, last, written)
        elif name.startswith("keras.optimizers."):
            self._optimizer(node, last)
        elif name.startswith("keras.callbacks."):
            self._callback(node, last)
        elif name in MODELS:
            self._rename(node, last, {"input": "inputs", "output": "outputs"})
        elif last == "to_categorical":
            self._rename(node, last, {"nb_classes": "num_classes"})
        elif last == "set_image_data_format":
            node.args = [_value(one) for one in node.args]
            if node.args and ast.unparse(node.args[0]) == "'channels_first'":
                self._note_channels()
        self._refuse_unknown(node, name, last)
        return node

    def _layer(self, node: ast.Call, name: str, last: str, written: str) -> None:
        renames = {
            old: new for old, new in LAYER_ARGUMENTS.items() if old not in ONLY_OF or last in ONLY_OF[old]
        }
        if last != "Embedding" and last != "RepeatVector":
            renames["output_dim"] = "units"
        if "Embedding" in last:
            renames["init"] = "embeddings_initializer"
        self._kernel(node, last, written)
        self._rename(node, last, renames)
        for word in node.keywords:
            if word.arg == "data_format" or (word.arg or "").endswith("_initializer"):
                word.value = _value(word.value)
            if word.arg == "data_format" and ast.unparse(word.value) == "'channels_first'":
                self._note_channels()
        if last == "BatchNormalization":
            self._drop(node, last, "mode", 0)
        if last in ("LSTM", "GRU") and "CuDNN" not in written and self._is_old:
            known = {word.arg for word in node.keywords}
            if "recurrent_activation" not in known:
                self._notes.add(
                    "note",
                    self.cell,
                    f"{last}: recurrent_activation is sigmoid by default; Keras 2's was "
                    "hard_sigmoid, which Keras 3 computes by another formula",
                )

    def _note_channels(self) -> None:
        self._notes.add(
            "note", self.cell, "channels_first: TensorFlow trains such convolutions on a GPU alone"
        )

    def _kernel(self, node: ast.Call, last: str, written: str) -> None:
        """Write the sides of a kernel as one argument, where they are two: Conv2D(64, 3, 3)."""
        if last not in ("Conv2D", "SeparableConv2D"):
            return
        sides = node.args[1:3]
        if len(sides) == 2 and all(map(_is_whole, sides)) and not written.startswith("tensorflow.keras"):
            before = ast.unparse(ast.Tuple(sides, ast.Load()))
            node.args[1:3] = [ast.Tuple(sides, ast.Load())]
            self._notes.add(
                "changed",
                self.cell,
                f"{last}(…, {before.strip('()')}): a kernel of {before}, as Keras 1 meant it; "
                "Keras 3 would read a stride",
            )
            return
        words = {word.arg: word for word in node.keywords}
        if "nb_row" in words and "nb_col" in words:
            node.keywords = [word for word in node.keywords if word.arg not in ("nb_row", "nb_col")]
            sides = [words["nb_row"].value, words["nb_col"].value]
            node.keywords.append(ast.keyword("kernel_size", ast.Tuple(sides, ast.Load())))
            self._changed(f"{last}(nb_row=…, nb_col=…)", "kernel_size=(…, …)")

    def _optimizer(self, node: ast.Call, last: str) -> None:
        self._rename(node, last, {"lr": "learning_rate"})
        words = {word.arg: word for word in node.keywords}
        has_rate = bool(node.args) or "learning_rate" in words
        if not has_rate and last in RATES and not self._is_old:
            self._notes.add(
                "note",
                self.cell,
                f"{last}() learns at Keras 3's default rate, 0.001; Keras 2's was {RATES[last]}",
            )
        if not has_rate and last in RATES and self._is_old:
            node.keywords.insert(0, ast.keyword("learning_rate", ast.Constant(RATES[last])))
            self._changed(
                f"{last}()", f"learning_rate={RATES[last]}, Keras 2's default; Keras 3's is another"
            )
            words = {word.arg: word for word in node.keywords}
        decay = words.get("decay")
        if decay is None:
            return
        node.keywords.remove(decay)
        if isinstance(decay.value, ast.Constant) and decay.value.value == 0:
            self._changed(f"{last}(decay=0)", "nothing: it did nothing")
            return
        if "learning_rate" in words:
            rate: ast.expr = words["learning_rate"].value
        else:
            rate = node.args[0] if node.args else ast.Constant(DEFAULT_RATES.get(last, 0.001))
        schedule = ast.Call(
            dotted("keras.optimizers.schedules.InverseTimeDecay"),
            [rate],
            [ast.keyword("decay_steps", ast.Constant(1)), ast.keyword("decay_rate", decay.value)],
        )
        self._needs.add("keras")
        if "learning_rate" in words:
            words["learning_rate"].value = schedule
        elif node.args:
            node.args[0] = schedule
        else:
            node.keywords.insert(0, ast.keyword("learning_rate", schedule))
        self._changed(
            f"{last}(decay=…), which Keras 3 ignores,",
            "the same formula, InverseTimeDecay(rate, decay_steps=1, decay_rate=decay)",
        )

    def _callback(self, node: ast.Call, last: str) -> None:
        if last == "ReduceLROnPlateau":
            self._rename(node, last, {"epsilon": "min_delta"})
        if last == "ModelCheckpoint":
            self._drop(node, last, "period", 1)
        for word in node.keywords:
            if word.arg == "monitor":
                word.value = self._metric(word.value)
        node.args = [self._metric(one) for one in node.args]

    def _method(self, node: ast.Call) -> ast.AST:
        """Rewrite a call of a model's method."""
        assert isinstance(node.func, ast.Attribute)  # noqa: S101 - its caller has looked
        method = node.func.attr
        if method in METHODS and (method != "fit" or is_keras_fit(node)):
            self._trainer(node, node.func)
        elif method == "predict_classes":
            self._drop_queue(node, method)
            node.func.attr = "predict"
            self._needs.add(CLASSES)
            self._changed("predict_classes", f"{CLASSES}(model.predict(…))")
            return ast.copy_location(ast.Call(ast.Name(CLASSES, ast.Load()), [node], []), node)
        elif method == "compile" and any(
            word.arg in ("loss", "optimizer", "metrics") for word in node.keywords
        ):
            self._compile(node)
        elif method == "to_yaml":
            self._by_hand("model.to_yaml", "model.to_json()")
        elif method == "get" and "log" in ast.unparse(node.func.value).lower() and node.args:
            node.args[0] = self._metric(node.args[0])
        return node

    def _trainer(self, node: ast.Call, func: ast.Attribute) -> None:
        method = func.attr
        new, positions = METHODS[method]
        words = [ast.keyword(name, one) for name, one in zip(positions, node.args, strict=False)]
        if method == "fit":
            node.args, words = node.args[:2], words[2:]
        else:
            node.args, words = node.args[:1], words[1:]
            func.attr = new
            self._changed(f"model.{method}", f"model.{new}")
        node.keywords = [*words, *node.keywords]
        self._samples(node)
        self._rename(node, new, METHOD_ARGUMENTS)
        for word in [word for word in node.keywords if word.arg == "x" and not node.args]:
            node.keywords.remove(word)
            node.args = [word.value]
        self._drop_queue(node, new)
        self._round_steps(node)
        for word in [word for word in node.keywords if word.arg == "show_accuracy"]:
            node.keywords.remove(word)
            self._by_hand("fit(show_accuracy=…)", "compile(metrics=['accuracy'])")

    def _round_steps(self, node: ast.Call) -> None:
        """Round numbers of batches up, as Keras 2 did: Keras 3 takes whole numbers alone."""
        for word in node.keywords:
            if word.arg in ("steps_per_epoch", "validation_steps", "steps") and not _is_surely_whole(
                word.value
            ):
                word.value = ast.Call(dotted("math.ceil"), [word.value], [])
                self._needs.add("math")
                self._changed(
                    f"{word.arg}={ast.unparse(word.value.args[0]):.60}", "rounded up to a whole number"
                )

    def _samples(self, node: ast.Call) -> None:
        """Note the arguments of Keras 1 that counted images where batches are counted now."""
        for word in node.keywords:
            if word.arg == "samples_per_epoch":
                word.arg = "steps_per_epoch"
                size = _batch_size(node)
                word.value = ast.BinOp(word.value, ast.FloorDiv(), size)
                self._changed("samples_per_epoch", f"steps_per_epoch, in batches of {ast.unparse(size)}")
            elif word.arg in ("nb_val_samples", "val_samples"):
                size = _batch_size(node)
                word.value = ast.BinOp(word.value, ast.FloorDiv(), size)

    def _compile(self, node: ast.Call) -> None:
        for word in node.keywords:
            if word.arg == "metrics":
                word.value = _each(word.value, self._metric)
            value = word.value.value if isinstance(word.value, ast.Constant) else None
            rate = {name.lower(): name for name in RATES}.get(str(value).lower())
            if word.arg == "optimizer" and rate is not None and self._is_old:
                word.value = ast.Call(
                    dotted(f"keras.optimizers.{rate}"),
                    [],
                    [ast.keyword("learning_rate", ast.Constant(RATES[rate]))],
                )
                self._needs.add("keras")
                self._changed(
                    f"optimizer={value!r}", f"{rate}(learning_rate={RATES[rate]}), Keras 2's default rate"
                )
        for word in [one for one in node.keywords if one.arg in ("class_mode", "sample_weight_mode")]:
            node.keywords.remove(word)
            self._by_hand(f"compile({word.arg}=…)", "nothing: the loss and the weights' shape say it")

    def _metric(self, value: ast.expr) -> ast.expr:
        """Return the name of a metric, or a text with one, as Keras 3 calls it."""
        if not (self._has_accuracy and isinstance(value, ast.Constant) and isinstance(value.value, str)):
            return value
        text = value.value
        new = {"acc": "accuracy", "val_acc": "val_accuracy"}.get(text, text)
        for old in ("acc", "val_acc"):
            for end in (":", "}"):
                new = new.replace("{" + old + end, "{" + old + "uracy" + end)
        if new == text:
            return value
        self._changed(repr(text), repr(new))
        return ast.copy_location(ast.Constant(new), value)

    def _drop(self, node: ast.Call, what: str, argument: str, neutral: Any) -> None:
        for word in [one for one in node.keywords if one.arg == argument]:
            if isinstance(word.value, ast.Constant) and word.value.value == neutral:
                node.keywords.remove(word)
                self._changed(f"{what}({argument}={neutral})", "nothing: Keras 3 does no other")
            else:
                self._by_hand(f"{what}({argument}={ast.unparse(word.value):.40})", "")

    def _drop_queue(self, node: ast.Call, method: str) -> None:
        found = [word for word in node.keywords if word.arg in QUEUE]
        for word in found:
            node.keywords.remove(word)
            self._changed(f"{method}({word.arg}=…)", "nothing: it changed no batch")

    def _rename(self, node: ast.Call, what: str, renames: Mapping[str, str]) -> None:
        known = {word.arg for word in node.keywords}
        for word in node.keywords:
            new = renames.get(word.arg or "")
            if new is not None and new not in known:
                self._changed(f"{what}({word.arg}=…)", f"{new}=…")
                word.arg = new

    def _refuse_unknown(self, node: ast.Call, name: str, last: str) -> None:
        """Note the arguments that a class of Keras 3 does not take."""
        taken = None
        if name.startswith(("keras.layers.", "keras.optimizers.", "keras.callbacks.")):
            taken = keras_api_internals.arguments(name)
        for word in node.keywords if taken is not None else ():
            if word.arg is not None and taken is not None and word.arg not in taken:
                advice = {"batch_input_shape": "keras.Input(batch_shape=…) in front of it"}.get(word.arg, "")
                self._by_hand(f"{last}({word.arg}=…)", advice)

    def _changed(self, old: str, new: str) -> None:
        self._notes.add("changed", self.cell, f"{old} is {new}")

    def _by_hand(self, what: str, advice: str) -> None:
        text = (
            f"Keras 3 has no {what}" if not what.startswith("tensorflow") else f"TensorFlow 2 has no {what}"
        )
        instead = f"; instead: {advice}" if not advice.startswith("nothing") else f", and needs {advice}"
        self._notes.add("by hand", self.cell, text + instead if advice else text)


def _renamed(names: KerasNames) -> dict[str, str]:
    """Return the names that imports bind and Keras 3 has others for, where those are free."""
    renamed = {}
    for bound, written in names.aliases.items():
        new = in_keras3(written).name if _is_keras(written) else None
        last = (new or bound).rpartition(".")[2]
        is_plain = written.rpartition(".")[2] == bound and "." in written
        if is_plain and last != bound and new != "keras" and names.aliases.get(last, new) in (new, written):
            renamed[bound] = last
    return renamed


def is_keras_fit(call: ast.Call) -> bool:
    """Tell whether a call of a method `fit` is a network's, by its arguments."""
    names = {word.arg for word in call.keywords}
    asked = {"epochs", "nb_epoch", "batch_size", "validation_data", "validation_split", "steps_per_epoch"}
    return bool(names & {*asked, "callbacks", "show_accuracy", "initial_epoch"}) or len(call.args) > 3


def _is_keras(name: str) -> bool:
    return name.partition(".")[0] in ("keras", "tensorflow")


def dotted(name: str) -> ast.expr:
    """Return the expression of a dotted name."""
    first, *others = name.split(".")
    found: ast.expr = ast.Name(first, ast.Load())
    for one in others:
        found = ast.Attribute(found, one, ast.Load())
    return found


def _value(value: ast.expr) -> ast.expr:
    """Return a value of Keras 1 as Keras 3 calls it."""
    if isinstance(value, ast.Constant) and str(value.value) in VALUES:
        return ast.copy_location(ast.Constant(VALUES[str(value.value)]), value)
    return value


def _each(value: ast.expr, change: Any) -> ast.expr:
    if isinstance(value, ast.List | ast.Tuple):
        value.elts = [change(one) for one in value.elts]
        return value
    return change(value)  # type: ignore[no-any-return]


def _is_surely_whole(value: ast.expr) -> bool:
    """Tell whether a number of batches is None, or one that stands there or comes out of a whole division."""
    if isinstance(value, ast.Call):
        return ast.unparse(value.func).rpartition(".")[2] in ("int", "len", "ceil", "floor", "round")
    return isinstance(value, ast.Constant) or (
        isinstance(value, ast.BinOp) and isinstance(value.op, ast.FloorDiv)
    )


def _is_whole(value: ast.expr) -> bool:
    is_number = isinstance(value, ast.Constant) and type(value.value) is int
    return is_number or (isinstance(value, ast.Name) and value.id.isupper())


def _batch_size(call: ast.Call) -> ast.expr:
    """Return the batch size of the `flow` that a call is given, 32 where it says none."""
    for node in ast.walk(call):
        if isinstance(node, ast.keyword) and node.arg == "batch_size":
            return node.value
    return ast.Constant(32)


def has_accuracy(trees: Iterable[ast.AST]) -> bool:
    """Tell whether a model is compiled with the accuracy as a metric."""
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg in ("metrics", "show_accuracy"):
                texts = [one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant)]
                if "accuracy" in texts or "acc" in texts or node.arg == "show_accuracy":
                    return True
    return False
