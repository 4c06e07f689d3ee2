"""Builds everything a training needs from its config, and refuses what cannot be built."""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runback.classifier.train_config import GROUPS, SPLIT_KNOBS, TrainingSpec
from runback.errors import DataError, InputError
from runback.keras import seeding
from runback.system.config import targets
from runback.system.config.written_config import refuse_environment, refuse_left_out
from runback.system.text.quiet_stderr import silenced
from runback.tracking.layout import folder_name

if TYPE_CHECKING:
    import keras

    from runback.classifier.data.dataset import Dataset

UNREADABLE = (OSError, EOFError, zipfile.BadZipFile, zlib.error)
"""Raised by reading a damaged or a missing file; a .npz file is a zip file."""


@dataclass(frozen=True)
class Prepared:
    """Everything a training needs, built and checked."""

    train: "Dataset"
    validation: "Dataset"
    network: "keras.Model"
    augmentation: "keras.Sequential | None"
    optimizer: "keras.optimizers.Optimizer"


def prepare(spec: TrainingSpec, data: "tuple[Dataset, Dataset] | None" = None) -> Prepared:
    """Build everything a training needs, with data that `checked_data` has given, if it was asked before.

    Errors: InputError for whatever the config gets wrong.
    """
    train, validation = data or checked_data(spec)
    _seed(spec)
    return Prepared(train, validation, *_parts(spec, train, targets.declared_modules(spec.layout.root)))


def checked_data(spec: TrainingSpec) -> "tuple[Dataset, Dataset]":
    """Return the training and the validation split, without TensorFlow, once the config is checked.

    Errors: InputError for a config that nothing can be built from; DataError.
    """
    return load_data(spec.config["data"], _checked_modules(spec), spec.layout.data)


def _checked_modules(spec: TrainingSpec) -> tuple[str, ...]:
    """Return the project's own modules that configs may name. Errors: InputError for a wrong config."""
    config = spec.config
    refuse_left_out(config)
    refuse_environment(spec.written)
    declared = targets.declared_modules(spec.layout.root)
    for group in GROUPS:
        if not isinstance(config.get(group), dict):
            raise InputError(f"{group} must be set to one of the choices in conf/{group}/")
        targets.check(config[group], group, declared)
    if not isinstance(config["augmentation"].get("layers"), list):
        raise InputError("augmentation.layers must be a list of Keras layers; [] for none")
    if "learning_rate" not in config["optimizer"]:
        raise InputError("optimizer.learning_rate must be set")
    folder_name(spec.experiment, "tracking.experiment")
    return declared


def load_data(data: Mapping[str, Any], declared: tuple[str, ...], cache: Path) -> "tuple[Dataset, Dataset]":
    """Return the training and the validation split of a data config. Errors: InputError, DataError."""
    source = {key: value for key, value in data.items() if key not in SPLIT_KNOBS}
    try:
        dataset = targets.build(
            source, where="data", declared=declared, blamed=DataError, split="train", cache=cache
        )
    except MemoryError as error:
        raise DataError(f"data: {data['_target_']}: the images do not fit into memory") from error
    except UNREADABLE as error:
        raise DataError(
            f"data: {data['_target_']}: {(str(error).splitlines() or [type(error).__name__])[0]}"
        ) from error
    from runback.classifier.data.reading.data_summary import DataSummary
    from runback.classifier.data.split import split

    unset = [key for key in SPLIT_KNOBS if key not in data]
    if unset:
        raise InputError(f"data.{unset[0]} must be set")
    knobs = {key: data[key] for key in SPLIT_KNOBS}
    train, validation = targets.call(split, knobs, where="data", dataset=dataset)
    if data.get("strict"):
        DataSummary.of(train, validation, data["_target_"]).refuse()
    return train, validation


def _seed(spec: TrainingSpec) -> None:
    """Give this process the seed, the threads and the precision of a training."""
    with silenced():
        import keras

        keras.backend.clear_session(free_memory=False)  # layers' automatic names count from 1 in every run
        seeding.seed_everything(spec.seed, spec.threads)
    keras.config.set_dtype_policy(spec.options.precision)


def _parts(
    spec: TrainingSpec, train: "Dataset", declared: tuple[str, ...]
) -> "tuple[keras.Model, keras.Sequential | None, keras.optimizers.Optimizer]":
    """Return network, augmentation and optimizer. Errors: InputError."""
    import keras

    from runback.classifier.augmentation.stack import build_stack

    config, shape = spec.config, train.images.shape[1:]
    network = _network(config["model"], shape, len(train.class_names), declared)
    augmentation = build_stack(config["augmentation"]["layers"], shape, seed=spec.seed, declared=declared)
    schedule = _schedule(spec, len(train.labels), declared)
    knobs = {key: value for key, value in config["optimizer"].items() if key != "learning_rate"}
    optimizers = [
        targets.build(knobs, where="optimizer", declared=declared, learning_rate=schedule) for _ in range(2)
    ]
    _require(optimizers[0], keras.optimizers.Optimizer, "optimizer")
    _take_step(optimizers[1], knobs)
    return network, augmentation, optimizers[0]


def _take_step(optimizer: "keras.optimizers.Optimizer", knobs: Mapping[str, Any]) -> None:
    """Refuse an optimizer that cannot compute with its knobs: Keras takes any, and fails in the first step.

    The optimizer is of no use afterwards.
    """
    import keras
    import tensorflow

    variable = keras.Variable(keras.ops.ones((2, 2)))
    try:
        optimizer.apply([keras.ops.ones((2, 2))], [variable])
    except (*targets.REFUSED_BY_LIBRARIES, tensorflow.errors.OpError) as error:
        texts = [key for key, value in knobs.items() if isinstance(value, str) and key != targets.TARGET]
        if texts:
            raise InputError(
                f"optimizer.{texts[0]}: expected a number; got {knobs[texts[0]]!r:.80}"
            ) from error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"optimizer: {knobs[targets.TARGET]} cannot take a step: {reason}") from error


def _network(
    model: Mapping[str, Any], shape: tuple[int, ...], num_classes: int, declared: tuple[str, ...]
) -> "keras.Model":
    import keras
    import tensorflow

    try:
        network = targets.build(
            model, where="model", declared=declared, input_shape=shape, num_classes=num_classes
        )
    except (MemoryError, tensorflow.errors.ResourceExhaustedError) as error:
        raise InputError("model: the network's weights do not fit into memory") from error
    _require(network, keras.Model, "model")
    return network


def _schedule(spec: TrainingSpec, n_train: int, declared: tuple[str, ...]) -> Any:
    from runback.classifier.training.batches import steps_per_epoch

    return targets.build(
        spec.config["schedule"],
        where="schedule",
        declared=declared,
        known_as={"learning_rate": "optimizer.learning_rate"},
        learning_rate=spec.config["optimizer"]["learning_rate"],
        epochs=spec.options.epochs,
        steps_per_epoch=steps_per_epoch(n_train, spec.options.batch_size),
    )


def _require(built: Any, kind: type, group: str) -> None:
    """Refuse what a function of the project's own made for another group. Errors: InputError."""
    if not isinstance(built, kind):
        raise InputError(
            f"{group}: expected a keras {kind.__name__}; its {targets.TARGET} made {built!r:.80}"
        )
