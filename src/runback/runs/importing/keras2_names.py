"""The names of Keras 1 and 2 that Keras 3 has elsewhere, by another name, or not at all."""

import ast
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from runback.runs.importing.keras_api_internals import exported, has

MODULES: Mapping[str, str] = {
    **{
        f"keras.layers.{part}": "keras.layers"
        for part in [
            "core",
            "convolutional",
            "pooling",
            "normalization",
            "recurrent",
            "embeddings",
            "advanced_activations",
            "merge",
            "noise",
            "local",
            "wrappers",
            "convolutional_recurrent",
            "cudnn_recurrent",
            "experimental.preprocessing",
            "normalization.batch_normalization",
            "convolutional_transpose",
            "containers",
            "attention",
            "rnn",
            "activation",
        ]
    },
    **{
        f"keras.utils.{part}": "keras.utils"
        for part in [
            "np_utils",
            "generic_utils",
            "data_utils",
            "vis_utils",
            "layer_utils",
            "visualize_util",
            "io_utils",
        ]
    },
    "keras.engine": "keras",
    **{
        f"keras.engine.{part}": "keras"
        for part in ["topology", "training", "base_layer", "network", "input_layer", "sequential"]
    },
    "keras.optimizers.legacy": "keras.optimizers",
    "keras.optimizers.experimental": "keras.optimizers",
    "keras.objectives": "keras.losses",
    "keras.initializations": "keras.initializers",
    "keras.backend.tensorflow_backend": "keras.backend",
    "keras.backend.common": "keras.backend",
    "keras.applications.resnet_v1": "keras.applications.resnet",
}
"""Modules, and where Keras 3 has what was in them."""

PREFIXES: Mapping[str, str] = {
    "tensorflow.python.keras.api._v2.keras": "tensorflow.keras",
    "tensorflow.python.keras.api._v1.keras": "tensorflow.keras",
    "tensorflow.python.keras": "tensorflow.keras",
    "tensorflow.contrib.keras.api.keras": "tensorflow.keras",
    "tensorflow.contrib.keras.python.keras": "tensorflow.keras",
    "tensorflow.contrib.keras": "tensorflow.keras",
    "tensorflow.compat.v1.keras": "tensorflow.keras",
    "tensorflow.compat.v2.keras": "tensorflow.keras",
}

NAMES: Mapping[str, str] = {
    **{f"keras.layers.Convolution{n}D": f"keras.layers.Conv{n}D" for n in (1, 2, 3)},
    "keras.layers.AtrousConvolution2D": "keras.layers.Conv2D",
    "keras.layers.AtrousConvolution1D": "keras.layers.Conv1D",
    "keras.layers.SeparableConvolution2D": "keras.layers.SeparableConv2D",
    "keras.layers.Convolution2DTranspose": "keras.layers.Conv2DTranspose",
    "keras.layers.CuDNNLSTM": "keras.layers.LSTM",
    "keras.layers.CuDNNGRU": "keras.layers.GRU",
    "keras.Layer": "keras.layers.Layer",
    **{
        f"keras.optimizers.{name.lower()}": f"keras.optimizers.{name}"
        for name in ("SGD", "RMSprop", "Adam", "Adagrad", "Adadelta", "Adamax", "Nadam")
    },
    "keras.constraints.maxnorm": "keras.constraints.max_norm",
    "keras.constraints.nonneg": "keras.constraints.non_neg",
    "keras.constraints.unitnorm": "keras.constraints.unit_norm",
    "keras.backend.image_dim_ordering": "keras.backend.image_data_format",
    "keras.backend.set_image_dim_ordering": "keras.backend.set_image_data_format",
    "keras.utils.plot": "keras.utils.plot_model",
    "keras.losses.mse": "keras.losses.mean_squared_error",
    "keras.losses.mae": "keras.losses.mean_absolute_error",
}
"""Names, and those that Keras 3 has for the same thing."""

ADVICE: Mapping[str, str] = {
    "keras.layers.merge": "keras.layers.concatenate([a, b]), add([a, b]) or multiply([a, b])",
    "keras.layers.Merge": "keras.layers.Concatenate, Add or Multiply, in a keras.Model of inputs and outputs",
    "keras.layers.MaxoutDense": "a Dense layer, and keras.ops.max over parts of its units",
    "keras.layers.Highway": "a layer of your own",
    "keras.layers.TimeDistributedDense": "keras.layers.TimeDistributed(keras.layers.Dense(…))",
    "keras.layers.LocallyConnected1D": "a layer of your own",
    "keras.layers.LocallyConnected2D": "a layer of your own",
    "keras.layers.ThresholdedReLU": "keras.layers.ReLU(threshold=…)",
    "keras.layers.Deconvolution2D": "keras.layers.Conv2DTranspose, which takes no output_shape",
    "keras.wrappers.scikit_learn.KerasClassifier": "keras.wrappers.SKLearnClassifier",
    "keras.wrappers.scikit_learn.KerasRegressor": "keras.wrappers.SKLearnRegressor",
    "keras.utils.multi_gpu_model": "keras.distribution.DataParallel",
    "keras.utils.print_summary": "model.summary()",
    "keras.models.model_from_yaml": "keras.models.model_from_json",
    "keras.models.Graph": "keras.Model(inputs, outputs)",
    "keras.backend.set_session": "nothing: TensorFlow 2 has no sessions",
    "keras.backend.get_session": "nothing: TensorFlow 2 has no sessions",
    "keras.backend.set_learning_phase": "the argument training= of a model's call",
    "keras.backend.learning_phase": "the argument training= of a layer's call",
    "keras.regularizers.WeightRegularizer": "keras.regularizers.L1L2",
    "keras.regularizers.activity_l2": "keras.regularizers.L2",
    "keras.regularizers.activity_l1": "keras.regularizers.L1",
    "tensorflow.Session": "nothing: TensorFlow 2 runs without sessions",
    "tensorflow.InteractiveSession": "nothing: TensorFlow 2 runs without sessions",
    "tensorflow.ConfigProto": "tf.config, as tf.config.experimental.set_memory_growth(device, True)",
    "tensorflow.GPUOptions": "tf.config, as tf.config.experimental.set_memory_growth(device, True)",
    "tensorflow.placeholder": "a function's argument, or keras.Input",
    "tensorflow.global_variables_initializer": "nothing: variables have values when they are made",
    "tensorflow.get_default_graph": "nothing: TensorFlow 2 runs without graphs of your own",
    "tensorflow.reset_default_graph": "keras.backend.clear_session()",
    "tensorflow.contrib": "what its part has become; TensorFlow 2 has no contrib",
    "tensorflow.layers": "keras.layers",
    "tensorflow.train.AdamOptimizer": "keras.optimizers.Adam",
    "tensorflow.train.RMSPropOptimizer": "keras.optimizers.RMSprop",
    "tensorflow.train.GradientDescentOptimizer": "keras.optimizers.SGD",
}
"""What takes the place of names that Keras 3 and TensorFlow 2 do not have, by hand."""


@dataclass(frozen=True)
class Renamed:
    """A name of Keras as Keras 3 has it."""

    name: str | None
    """The dotted name; None: Keras 3 has none."""
    advice: str = ""
    """What takes its place, where that is to be done by hand."""


def in_keras3(name: str) -> Renamed:
    """Return a dotted name of Keras or TensorFlow as the installed Keras has it; others as they are."""
    plain = _with_prefix(name)
    if (missing := _missing(plain)) is not None:
        return Renamed(None, missing)
    package = "tensorflow.keras" if plain.startswith("tensorflow.keras") else "keras"
    if not (plain == package or plain.startswith(f"{package}.")):
        return Renamed(plain)
    moved = _moved("keras" + plain.removeprefix(package))
    if moved.startswith("tensorflow."):
        return Renamed(moved)
    if (missing := _missing(moved)) is not None:
        return Renamed(None, missing)
    for one in dict.fromkeys((package, "keras", "tensorflow.keras")):
        found = one + moved.removeprefix("keras")
        if has(found) or _has_parent(found):
            return Renamed(found)
    module, _, last = moved.rpartition(".")
    near = difflib.get_close_matches(last, exported(module), 1, 0.75)
    return Renamed(None, f"{module}.{near[0]}" if near else "")


def _has_parent(name: str) -> bool:
    """Tell whether a name is an attribute of a class or function that is there, or of one."""
    module, _, last = name.rpartition(".")
    above, _, parent = module.rpartition(".")
    return bool(last) and not exported(module) and parent in exported(above)


def _missing(name: str) -> str | None:
    """Return the advice for a name that is there no more, or is in a module that is not."""
    parts = name.split(".")
    for count in range(len(parts), 1, -1):
        if (advice := ADVICE.get(".".join(parts[:count]))) is not None:
            # keras.layers.merge was a module, too.
            return None if count < len(parts) and ".".join(parts[:count]) in MODULES else advice
    return None


def _with_prefix(name: str) -> str:
    for old, new in PREFIXES.items():
        if name == old or name.startswith(f"{old}."):
            return new + name.removeprefix(old)
    return name


def _moved(name: str) -> str:
    for old in sorted(MODULES, key=len, reverse=True):
        if name == old or name.startswith(f"{old}."):
            name = MODULES[old] + name.removeprefix(old)
            break
    return NAMES.get(name, name)


@dataclass
class KerasNames:
    """The names that a notebook's imports bind, by what they stand for."""

    aliases: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, trees: Iterable[ast.AST]) -> "KerasNames":
        """Return those of all imports, at every depth."""
        names = cls()
        for tree in trees:
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    names._add_modules(node)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names._add_names(node, node.module)
        return names

    def _add_modules(self, node: ast.Import) -> None:
        for one in node.names:
            bound = one.asname or one.name.partition(".")[0]
            self.aliases[bound] = one.name if one.asname else bound

    def _add_names(self, node: ast.ImportFrom, module: str) -> None:
        for one in node.names:
            if one.name == "*":
                found = in_keras3(module).name
                for name in exported(found) if found else ():
                    self.aliases.setdefault(name, f"{module}.{name}")
            else:
                self.aliases[one.asname or one.name] = f"{module}.{one.name}"

    def written(self, expression: ast.expr) -> str | None:
        """Return the dotted name that an expression stands for, as the notebook has it; None: it has none."""
        parts: list[str] = []
        while isinstance(expression, ast.Attribute):
            parts.append(expression.attr)
            expression = expression.value
        if not isinstance(expression, ast.Name):
            return None
        root = self.aliases.get(expression.id)
        if root is None and expression.id in ("keras", "tensorflow"):
            root = expression.id
        return None if root is None else ".".join([root, *reversed(parts)])

    def name(self, expression: ast.expr) -> str | None:
        """Return the dotted name that an expression stands for in Keras 3; None: it has none there."""
        written = self.written(expression)
        found = None if written is None else in_keras3(written).name
        return None if found is None else found.removeprefix("tensorflow.") if ".keras." in found else found
