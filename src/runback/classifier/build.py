"""Builds everything a training needs from its config, and refuses what cannot be built."""

import inspect
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from runback.classifier.train_config import GROUPS, SPLIT_KNOBS, TrainingConfig, TrainingSpec
from runback.classifier.training.class_weights import class_weights
from runback.errors import DataError, InputError
from runback.keras import seeding
from runback.system.config import targets
from runback.system.files.full_disk import refuse_full_disk
from runback.system.text.quiet_stderr import silenced

if TYPE_CHECKING:
    import keras
    import numpy as np
    import tensorflow as tf

    from runback.classifier.data.dataset import Dataset
    from runback.classifier.data.reading.stored_images import StoredImages
    from runback.classifier.training.criterion import Criterion
    from runback.classifier.training.fine_tuning import FineTuning

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
    criterion: "Criterion"
    fine_tuning: "FineTuning | None" = None
    notes: Sequence[str] = ()
    """What is said of the network before it is trained."""


def prepare(spec: TrainingSpec, data: "tuple[Dataset, Dataset] | None" = None) -> Prepared:
    """Build everything a training needs, with data that `checked_data` has given, if it was asked before.

    Errors: InputError for whatever the config gets wrong.
    """
    train, validation = data or checked_data(spec)
    seed_process(spec)
    declared = targets.declared_modules(spec.root)
    from runback.classifier.training.mirroring import strategy_of

    strategy = strategy_of(spec.options, len(train), len(validation))
    network, augmentation, optimizer, notes = _parts(spec, train, declared, strategy)
    criterion = _criterion(spec, train)
    fine_tuning, phases = _fine_tuning(spec, network, len(train), declared)
    notes = (*notes, *phases)
    return Prepared(train, validation, network, augmentation, optimizer, criterion, fine_tuning, notes)


def checked_data(spec: TrainingSpec) -> "tuple[Dataset, Dataset]":
    """Return the training and the validation split, without TensorFlow, once the config is checked.

    Errors: InputError for a config that nothing can be built from; DataError.
    """
    train, validation = load_data(spec.config["data"], _checked_modules(spec), spec.cache)
    _check_classes(spec.options, train)
    return train, validation


def _check_classes(options: TrainingConfig, train: "Dataset") -> None:
    """Refuse options that do not go with the classes of the training images. Errors: InputError."""
    class_weights(options.class_weight, train)
    k = len(train.class_names)
    if options.top_k is not None and options.top_k >= k:
        raise InputError(
            f"training.top_k must be less than {k}, the number of classes: of all of them top_k_accuracy is "
            f"always 1; got {options.top_k}"
        )


def _checked_modules(spec: TrainingSpec) -> tuple[str, ...]:
    """Return the project's own modules that configs may name. Errors: InputError for a wrong config."""
    config = spec.config
    declared = targets.declared_modules(spec.root)
    for group in GROUPS:
        if not isinstance(config.get(group), dict):
            raise InputError(f"{group} must be set to one of the choices in conf/{group}/")
        targets.check(config[group], group, declared)
    if not isinstance(config["augmentation"].get("layers"), list):
        raise InputError("augmentation.layers must be a list of Keras layers; [] for none")
    if "learning_rate" not in config["optimizer"]:
        raise InputError("optimizer.learning_rate must be set")
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
    if train.origin is not None and train.origin.report.strict:
        DataSummary.of(train, validation, data["_target_"]).refuse()
    return train, validation


def seed_process(spec: TrainingSpec) -> None:
    """Give this process the seed, the threads and the precision of a training."""
    with silenced():
        import keras

        keras.backend.clear_session(free_memory=False)  # layers' automatic names count from 1 in every run
        seeding.seed_everything(spec.seed, spec.threads)
    keras.config.set_dtype_policy(spec.options.precision)


def _parts(
    spec: TrainingSpec, train: "Dataset", declared: tuple[str, ...], strategy: "tf.distribute.Strategy"
) -> "tuple[keras.Model, keras.Sequential | None, keras.optimizers.Optimizer, Sequence[str]]":
    """Return network, augmentation and optimizer, and what is said of the network. Errors: InputError."""
    from runback.classifier.augmentation.stack import build_stack
    from runback.classifier.models.transfer import transfer_of

    config, shape = spec.config, cast("tuple[int, int, int]", train.images.shape[1:])
    with strategy.scope():
        network, late, notes = _network(config["model"], train, declared)
        augmentation = build_stack(config["augmentation"]["layers"], shape, seed=spec.seed, declared=declared)
    transfer = transfer_of(network)
    frozen = 0 if transfer is None else transfer.frozen_epochs
    epochs = min(frozen, spec.options.epochs) or spec.options.epochs
    rate = config["optimizer"]["learning_rate"]
    optimizer = _optimizer(spec, len(train), declared, epochs, rate, strategy)
    _check_storable(network, optimizer, train.images, declared, late, spec.room)
    return network, augmentation, optimizer, notes


def _optimizer(
    spec: TrainingSpec,
    n_train: int,
    declared: tuple[str, ...],
    epochs: int,
    learning_rate: Any,
    strategy: "tf.distribute.Strategy",
) -> "keras.optimizers.Optimizer":
    """Return the optimizer of `epochs` epochs, whose schedule begins at this learning rate."""
    import keras

    schedule = _schedule(spec, n_train, declared, epochs, learning_rate)
    knobs = {key: value for key, value in spec.config["optimizer"].items() if key != "learning_rate"}
    build = partial(targets.build, knobs, where="optimizer", declared=declared, learning_rate=schedule)
    with strategy.scope():
        optimizer = build()
    other = build()
    _require(optimizer, keras.optimizers.Optimizer, "optimizer")
    _take_step(other, knobs)
    return optimizer  # type: ignore[no-any-return]


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


def _fine_tuning(
    spec: TrainingSpec, network: "keras.Model", n_train: int, declared: tuple[str, ...]
) -> "tuple[FineTuning | None, Sequence[str]]":
    """Return the second phase of a training with weights trained before, and what is said of it."""
    from runback.classifier.models.transfer import transfer_of
    from runback.classifier.training.fine_tuning import FineTuning

    transfer = transfer_of(network)
    if transfer is None:
        return None, ()
    epochs = spec.options.epochs - transfer.frozen_epochs
    notes = transfer.notes
    if epochs <= 0:
        transfer.base.trainable = False
        return None, (*notes, "model.frozen_epochs is not below training.epochs: nothing is fine-tuned")
    strategy = network.distribute_strategy
    optimizer = _optimizer(spec, n_train, declared, epochs, transfer.fine_tuning_rate, strategy)
    return FineTuning(transfer.base, transfer.frozen_epochs, optimizer), notes


def _network(
    model: Mapping[str, Any], train: "Dataset", declared: tuple[str, ...]
) -> "tuple[keras.Model, set[str], Sequence[str]]":
    """Return the network, the names that objects were registered by only while it was made, and notes.

    A function that has a parameter `images` gets those to train on, of very many a part, which a note says.
    """
    import keras
    import tensorflow

    from runback.classifier.data.reading.stored_images import sample
    from runback.classifier.models.image_network import image_network

    notes: list[str] = []
    given: dict[str, Any] = {"input_shape": train.images.shape[1:], "num_classes": len(train.class_names)}
    if targets.TARGET in model:
        function = targets.resolve(model[targets.TARGET], "model", declared)
        if "images" in inspect.signature(function).parameters:
            given["images"], step = sample(train.images)
            if step > 1:
                notes.append(f"model.images: {len(given['images']):,}, one of {step} to train on")
    before = set(keras.saving.get_custom_objects())
    try:
        network = targets.build(model, where="model", declared=declared, **given)
        _require(network, keras.Model, "model")
        network = image_network(network, given["input_shape"], given["num_classes"])
    except (MemoryError, tensorflow.errors.ResourceExhaustedError) as error:
        raise InputError("model: the network's weights do not fit into memory") from error
    return network, set(keras.saving.get_custom_objects()) - before, notes


def _check_storable(
    network: "keras.Model",
    optimizer: "keras.optimizers.Optimizer",
    images: "np.ndarray | StoredImages",
    declared: tuple[str, ...],
    late: set[str],
    room: Path,
) -> None:
    """Refuse what could not be stored when it is trained. Errors: InputError."""
    import keras

    from runback.keras.keras_message import keras_message
    from runback.keras.networks.storable_network import TRIED, check_storable

    try:
        keras.saving.serialize_keras_object(optimizer)
    except NotImplementedError as error:
        raise InputError(
            "optimizer, or its schedule, cannot be stored with the network: a class of your own needs a "
            f"get_config(): {keras_message(error)}"
        ) from error
    refuse_full_disk(check_storable(network, images[:TRIED], declared, late), room)


def _criterion(spec: TrainingSpec, train: "Dataset") -> "Criterion":
    from runback.classifier.training.criterion import Criterion

    options = spec.options
    return Criterion(
        options.label_smoothing,
        class_weights(options.class_weight, train),
        options.top_k,
        options.measures_macro_f1,
    )


def _schedule(
    spec: TrainingSpec, n_train: int, declared: tuple[str, ...], epochs: int, learning_rate: Any
) -> Any:
    from runback.classifier.training.batches import steps_per_pass

    steps = spec.options.steps_per_epoch or steps_per_pass(n_train, spec.options.batch_size)
    return targets.build(
        spec.config["schedule"],
        where="schedule",
        declared=declared,
        known_as={"learning_rate": "optimizer.learning_rate"},
        learning_rate=learning_rate,
        epochs=epochs,
        steps_per_epoch=steps,
    )


def _require(built: Any, kind: type, group: str) -> None:
    """Refuse what a function of the project's own made for another group. Errors: InputError."""
    if not isinstance(built, kind):
        raise InputError(
            f"{group}: expected a keras {kind.__name__}; its {targets.TARGET} made {built!r:.80}"
        )
