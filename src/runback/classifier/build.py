"""Builds everything a training needs from its config, and refuses what cannot be built."""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from runback.classifier.train_config import GROUPS, SPLIT_KNOBS, TrainingConfig
from runback.errors import DataError, InputError
from runback.keras import seeding
from runback.sweeping.trials import trial as trials
from runback.system.config import targets
from runback.system.config.written_config import refuse_environment, refuse_left_out, resolved
from runback.system.cores import available_cores
from runback.system.text.quiet_stderr import silenced
from runback.tracking.layout import Layout, folder_name, project_root

if TYPE_CHECKING:
    import keras

    from runback.classifier.data.dataset import Dataset

UNREADABLE = (OSError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged or a missing file raises; a .npz file is a zip file."""


@dataclass(frozen=True)
class Prepared:
    """Everything a training needs, built and checked."""

    options: TrainingConfig
    threads: int
    train: "Dataset"
    validation: "Dataset"
    network: "keras.Model"
    augmentation: "keras.Sequential | None"
    optimizer: "keras.optimizers.Optimizer"


def prepare(cfg: DictConfig) -> Prepared:
    """Build everything a training needs. Errors: InputError for whatever the config gets wrong."""
    config = resolved(cfg)
    options: TrainingConfig = OmegaConf.to_object(cfg.training)  # type: ignore[assignment]
    refuse_left_out(config)
    refuse_environment(cfg)
    declared = targets.declared_modules(project_root())
    for group in GROUPS:
        if not isinstance(config.get(group), dict):
            raise InputError(f"{group} must be set to one of the choices in conf/{group}/")
        targets.check(config[group], group, declared)
    if not isinstance(config["augmentation"].get("layers"), list):
        raise InputError("augmentation.layers must be a list of Keras layers; [] for none")
    if "learning_rate" not in config["optimizer"]:
        raise InputError("optimizer.learning_rate must be set")
    folder_name(cfg.tracking.experiment, "tracking.experiment")
    train, validation = load_data(config["data"], declared)

    threads = threads_for(options)
    with silenced():
        import keras
        import tensorflow

        keras.backend.clear_session(free_memory=False)  # layers' automatic names count from 1 in every run
        seeding.seed_everything(cfg.seed, threads)

    from runback.classifier.augmentation.stack import build_stack
    from runback.classifier.training.batches import steps_per_epoch

    keras.config.set_dtype_policy(options.precision)
    shape = train.images.shape[1:]
    try:
        network = targets.build(
            config["model"],
            where="model",
            declared=declared,
            input_shape=shape,
            num_classes=len(train.class_names),
        )
    except (MemoryError, tensorflow.errors.ResourceExhaustedError) as error:
        raise InputError("model: the network's weights do not fit into memory") from error
    _require(network, keras.Model, "model")
    augmentation = build_stack(config["augmentation"]["layers"], shape, seed=cfg.seed, declared=declared)
    schedule = targets.build(
        config["schedule"],
        where="schedule",
        declared=declared,
        known_as={"learning_rate": "optimizer.learning_rate"},
        learning_rate=config["optimizer"].pop("learning_rate"),
        epochs=options.epochs,
        steps_per_epoch=steps_per_epoch(len(train.labels), options.batch_size),
    )
    optimizer = targets.build(
        config["optimizer"], where="optimizer", declared=declared, learning_rate=schedule
    )
    _require(optimizer, keras.optimizers.Optimizer, "optimizer")
    return Prepared(options, threads, train, validation, network, augmentation, optimizer)


def load_data(spec: Mapping[str, Any], declared: tuple[str, ...]) -> "tuple[Dataset, Dataset]":
    """Return the training and the validation split. Errors: InputError, DataError."""
    source = {key: value for key, value in spec.items() if key not in SPLIT_KNOBS}
    cache = Layout(project_root()).data
    try:
        dataset = targets.build(
            source, where="data", declared=declared, blamed=DataError, split="train", cache=cache
        )
    except MemoryError as error:
        raise DataError(f"data: {spec['_target_']}: the images do not fit into memory") from error
    except UNREADABLE as error:
        raise DataError(
            f"data: {spec['_target_']}: {(str(error).splitlines() or [type(error).__name__])[0]}"
        ) from error
    from runback.classifier.data.data_summary import DataSummary
    from runback.classifier.data.split import split

    unset = [key for key in SPLIT_KNOBS if key not in spec]
    if unset:
        raise InputError(f"data.{unset[0]} must be set")
    knobs = {key: spec[key] for key in SPLIT_KNOBS}
    train, validation = targets.call(split, knobs, where="data", dataset=dataset)
    if spec.get("strict"):
        DataSummary.of(train, validation, spec["_target_"]).refuse()
    return train, validation


def _require(built: Any, kind: type, group: str) -> None:
    """Refuse what a function of the project's own made for another group. Errors: InputError."""
    if not isinstance(built, kind):
        raise InputError(
            f"{group}: expected a keras {kind.__name__}; its {targets.TARGET} made {built!r:.80}"
        )


def threads_for(options: TrainingConfig) -> int:
    """Return how many CPU threads a training in this process gets."""
    trial = trials.current()
    share = available_cores() if trial is None else trial.threads
    return share if options.threads is None else options.threads
