"""Transfer learning: a network of keras.applications that was trained before, and a new layer on top."""

import inspect
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import keras
import numpy as np
from keras import layers
from pydantic import Field

from runback.classifier.models.limits import Rate
from runback.classifier.models.transfer import Transfer, with_transfer
from runback.classifier.models.weights_file import IMAGENET, check_weights_file, published, weights_path
from runback.errors import InputError
from runback.keras.keras_internals import published_weights_from
from runback.system.text.listing import did_you_mean

Option = bool | int | float | str

OURS = frozenset(
    {
        *("include_top", "weights", "input_tensor", "input_shape", "pooling", "classes", "name"),
        *("classifier_activation", "include_preprocessing"),
    }
)
"""The arguments of a network of keras.applications that are not for a config to set."""

TOO_SMALL = re.compile(r"at least (\d+)x\d+")


def backbone(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    name: str = "MobileNetV2",
    weights: str | None = IMAGENET,
    frozen_epochs: Annotated[int, Field(ge=0)] = 5,
    fine_tuning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-5,
    dropout: Rate = 0.2,
    options: Mapping[str, Option] | None = None,
) -> keras.Model:
    """The network `name` of keras.applications without its top, average pool, dropout, softmax.

    `weights` are `imagenet` (the published ones, which must lie in Keras' cache already), or a .weights.h5,
    .h5 or .keras file of that network; None: new ones, which are trained like any others. With weights, only
    the last layer is trained for `frozen_epochs`, then all but batch normalisation, which stays in inference
    mode, at `fine_tuning_rate` (as in Keras' guide to transfer learning). `options` are arguments of the
    network's own.

    Takes images of `input_shape` (height, width, channels) with values 0..255, uint8 or float32, prepared
    inside as the network's own `preprocess_input` does; grey ones are repeated in three channels. Returns
    float32 class probabilities. Raises InputError for what does not exist, does not fit or is too small.
    """
    application, module = _application(name)
    arguments = _checked_options(name, application, options or {})
    if weights is None and frozen_epochs:
        raise InputError(
            "model.frozen_epochs needs weights that were trained before: set model.weights, or "
            "model.frozen_epochs=0 to train new ones"
        )
    build = _Builder(name, application, {**arguments, "input_shape": (*input_shape[:2], 3)})
    file = None
    if weights is not None:
        file = build.published_file() if weights == IMAGENET else weights_path(weights)
    base = build.new() if file is None else build.trained(file)
    image = keras.Input(input_shape, dtype="float32", name="image")
    features = _prepared(image, module)
    features = layers.Dropout(dropout, name="dropout")(base(features))
    probabilities = layers.Dense(num_classes, activation="softmax", dtype="float32", name="probabilities")
    network = keras.Model(image, probabilities(features), name="backbone")
    if file is None:
        return network
    notes = (
        f"model: {name} begins with the weights in {file}; {_phases(frozen_epochs, fine_tuning_rate)}",
        *build.notes,
    )
    return with_transfer(network, Transfer(base, file, frozen_epochs, fine_tuning_rate, notes))


def _phases(frozen_epochs: int, rate: float) -> str:
    at = f"at {rate:g} (model.fine_tuning_rate)"
    if not frozen_epochs:
        return f"all layers are trained from the first epoch on, {at}"
    epochs = "epoch" if frozen_epochs == 1 else f"{frozen_epochs} epochs"
    return f"in the first {epochs} (model.frozen_epochs) only the new layer is trained, then all are, {at}"


def weights_of(model: Mapping[str, Any], input_shape: tuple[int, ...]) -> Path | None:
    """Return the file of weights that a config of this function names; None: it names none.

    Errors: InputError where there is no such file.
    """
    defaults = {key: one.default for key, one in inspect.signature(backbone).parameters.items()}
    weights, name = (model.get(key, defaults[key]) for key in ("weights", "name"))
    if not isinstance(weights, str):
        return None
    application, _ = _application(name)
    options = _checked_options(name, application, model.get("options") or {})
    build = _Builder(name, application, {**options, "input_shape": (*input_shape[:2], 3)})
    return build.remembered_file() if weights == IMAGENET else weights_path(weights)


class _Builder:
    """Makes one network of keras.applications, without its top."""

    def __init__(self, name: str, application: Callable[..., keras.Model], arguments: dict[str, Any]) -> None:
        self._name, self._application, self._arguments = name, application, arguments
        self.notes: list[str] = []

    def new(self) -> keras.Model:
        """Return the network with new weights. Errors: InputError."""
        return self._made(None)

    def trained(self, file: Path) -> keras.Model:
        """Return the network with the weights in a file. Errors: InputError."""
        arrays = check_weights_file(file)
        base = self.new()
        self._load(base, file)
        if _has_statistics(base):
            # EfficientNet's published weights want another scale of input: Keras adds a layer for it.
            with published_weights_from(lambda *_: file):
                base = self._made(IMAGENET)
        if arrays > len(base.weights):
            self.notes.append(
                f"model.weights: {file.name} has {arrays - len(base.weights)} arrays more than {self._name} "
                "without its top, which are not used"
            )
        return base

    def published_file(self) -> Path:
        """Return the file of the published weights, in Keras' cache. Errors: InputError.

        Builds the network for it each time: seeds and names must not depend on whether that was done before.
        """
        key = (self._name, repr(self._arguments))

        def find(file: str, hash_: str | None) -> Path:
            _published[key] = file, hash_
            raise _FileNamed

        with published_weights_from(find):
            try:
                self._made(IMAGENET)
            except _FileNamed:
                return published(self._name, *_published[key])
        raise InputError(f"model.weights: Keras has no published weights of {self._name}")

    def remembered_file(self) -> Path:
        """Return `published_file`, without building anything where that was done in this process."""
        file = _published.get((self._name, repr(self._arguments)))
        return self.published_file() if file is None else published(self._name, *file)

    def _made(self, weights: str | None) -> keras.Model:
        options = {**self._arguments, "include_top": False, "pooling": "avg", "weights": weights}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # weights of another image size fit: there are only convolutions
                return self._application(**options)
        except ValueError as error:
            raise self._refused(str(error)) from error
        except TypeError as error:
            raise InputError(f"model.options: {self._name}: {_line(error)}") from error

    def _refused(self, reason: str) -> InputError:
        minimum = TOO_SMALL.search(reason)
        shape = self._arguments.get("input_shape")
        if minimum is None or shape is None:
            return InputError(f"model: {self._name}: {_line(reason)}")
        return InputError(
            f"model: {self._name} needs images of at least {minimum[1]}x{minimum[1]} pixels; got "
            f"{shape[0]}x{shape[1]}: set data.height and data.width, or use another network"
        )

    def _load(self, base: keras.Model, file: Path) -> None:
        """Load weights. Errors: InputError where any of them is not in the file."""
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                base.load_weights(file)
        except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError, IndexError) as error:
            raise self._unfit(file, error) from error
        if caught:  # Keras only warns where layers find nothing in the file
            raise self._unfit(file, caught[0].message)

    def _unfit(self, file: Path, reason: object) -> InputError:
        return InputError(f"model.weights: {file} does not fit {self._name} without its top: {_line(reason)}")


_published: dict[tuple[str, str], tuple[str, str | None]] = {}
"""The name and the MD5 of published files, by network and arguments: only building one tells."""


class _FileNamed(Exception):  # noqa: N818 - no error
    """The published file's name is there: nothing more is to be built."""


def _application(name: str) -> tuple[Callable[..., keras.Model], ModuleType]:
    """Return a function of keras.applications, and the module that has its `preprocess_input` too."""
    networks = keras.applications
    found = {key: one for key, one in vars(networks).items() if key[:1].isupper() and callable(one)}
    if name not in found:
        hint = did_you_mean(name, found, f"there are {', '.join(sorted(found))}")
        raise InputError(f"model.name: keras.applications has no network {name!r:.60}; {hint}")
    return found[name], getattr(networks, found[name].__module__.rpartition(".")[2])


def _checked_options(
    name: str, application: Callable[..., keras.Model], options: Mapping[str, Option]
) -> dict[str, Option]:
    known = [key for key in inspect.signature(application).parameters if key not in OURS]
    for key in options:
        if key not in known:
            expected = f"it has {', '.join(known)}" if known else "it has none"
            hint = did_you_mean(str(key), known, expected)
            raise InputError(f"model.options.{key!s:.60}: {name} has no such option; {hint}")
    return dict(options)


def _prepared(image: Any, module: ModuleType) -> Any:
    """Return images as the network wants them: three channels, in its order and on its scale."""
    colours = image if image.shape[-1] == 3 else layers.Concatenate(name="grey_to_colour")([image] * 3)
    flips, scale, offset = preprocessing(module.preprocess_input)
    if flips:
        colours = keras.ops.flip(colours, axis=-1)
    return layers.Rescaling(scale, offset, dtype="float32", name="preprocessing")(colours)


def preprocessing(preprocess_input: Callable[..., Any]) -> tuple[bool, list[float], list[float]]:
    """Return whether a `preprocess_input` turns RGB round, and then the scale and offset of each channel.

    Found out by asking it: each of Keras' kinds calculates scale x value + offset, which its answers for
    black and for the three primary colours decide. Raises InputError for what calculates something else.
    """
    colours = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3), [[10.0, 20.0, 30.0]]])
    asked = np.asarray(preprocess_input(colours.reshape(1, 1, 5, 3).copy()), np.float64).reshape(5, 3)
    offset, matrix = asked[0], (asked[1:4] - asked[0]) / 255
    flips = bool(matrix[0, 2])
    scale = (matrix[:, ::-1] if flips else matrix).diagonal()
    scale = scale[::-1] if flips else scale
    given = colours[:, ::-1] if flips else colours
    if not np.allclose(given * scale + offset, asked, atol=1e-5):
        raise InputError("model: this network's preprocessing cannot be put into layers")
    return flips, scale.tolist(), offset.tolist()


def _has_statistics(base: keras.Model) -> bool:
    """Say whether the input is normalised by statistics that come from the file of weights."""
    normalizations = [layer for layer in base.layers if isinstance(layer, layers.Normalization)]
    return any((np.asarray(layer.variance) != 1).any() for layer in normalizations if layer.weights)


def _line(error: object) -> str:
    return f"{(str(error).strip().splitlines() or [type(error).__name__])[0]:.300}"
