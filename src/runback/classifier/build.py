"""Builds everything a training needs from its config, and refuses what cannot be built.

This is where a run's config is declared: run-level knobs here, a part's own as parameters of what its
`_target_` names.
"""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from runback.errors import DataError, InputError
from runback.keras import seeding
from runback.runs.objectives import OBJECTIVES
from runback.sweeping.trials import trial as trials
from runback.system.config import targets
from runback.system.config.written_config import refuse_environment, refuse_left_out, resolved
from runback.system.text.quiet_stderr import silenced
from runback.tracking.layout import Layout, folder_name, project_root

if TYPE_CHECKING:
    import keras
    from runback.classifier.data.dataset import Dataset

WATCHED = ("val_accuracy", "val_loss", "accuracy", "loss")
"""The objectives that early stopping can watch."""

UNREADABLE = (OSError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged or a missing file raises; a .npz file is a zip file."""

MAX_THREADS = 1024
MAX_BATCH_SIZE = 2**31 - 1

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclass
class CheckpointConfig:
    """How often a training's whole state is saved, for `runback train resume=RUN`."""

    every: int | None = None
    """Epochs; 0: only when it is stopped; None: each epoch of a training that takes over a minute."""

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 0:
            raise InputError(f"training.checkpoint.every must be at least 0; got {self.every}")


@dataclass
class TrainingConfig:
    """How long and how a model is trained, and what makes it good."""

    epochs: int = 10
    batch_size: int = 32
    precision: str = "float32"
    threads: int | None = None
    """CPU threads; None: this process's cores, in a sweep the trial's share. They are part of the result."""
    patience: int | None = None
    """Epochs without a better objective after which training stops, with the best weights; None: never."""
    objective: Any = "val_accuracy"
    """The metric that a sweep searches over and patience watches; a list for several."""
    direction: Any = "maximize"
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise InputError(f"training.epochs must be at least 1; got {self.epochs}")
        if self.batch_size < 1:
            raise InputError(f"training.batch_size must be at least 1; got {self.batch_size}")
        if self.batch_size > MAX_BATCH_SIZE:
            raise InputError(
                f"training.batch_size must be at most {MAX_BATCH_SIZE}; got {self.batch_size!s:.30}"
            )
        if self.threads is not None and self.threads < 1:
            raise InputError(f"training.threads must be at least 1; got {self.threads}")
        if self.threads is not None and self.threads > MAX_THREADS:
            raise InputError(f"training.threads must be at most {MAX_THREADS}; got {self.threads!s:.30}")
        if self.patience is not None and self.patience < 1:
            raise InputError(f"training.patience must be at least 1 epoch; got {self.patience}")
        if self.patience is not None and self.objectives[0] not in WATCHED:
            raise InputError(
                f"training.patience can watch {', '.join(WATCHED)} only; got {self.objectives[0]}"
            )
        if self.precision not in PRECISIONS:
            raise InputError(
                f"training.precision must be one of {', '.join(PRECISIONS)}; got {self.precision!r}"
            )
        if len(self.objectives) != len(self.directions):
            raise InputError(f"training.direction must name a direction for each of {self.objectives}")
        unknown = [name for name in self.objectives if name not in OBJECTIVES]
        if unknown:
            raise InputError(f"training.objective must be one of {', '.join(OBJECTIVES)}; got {unknown[0]!r}")
        for name, direction in zip(self.objectives, self.directions, strict=True):
            if direction != OBJECTIVES[name]:
                raise InputError(f"training.direction must be {OBJECTIVES[name]} for {name}; got {direction}")

    @property
    def objectives(self) -> list[str]:
        """The names of the objectives."""
        return _names(self.objective, "training.objective")

    @property
    def directions(self) -> list[str]:
        """The direction of each objective."""
        return _names(self.direction, "training.direction")


def _names(value: Any, key: str) -> list[str]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"{key} must be a name or a list of names; got {value}")
    return names


@dataclass
class TrackingConfig:
    """Where runs go in MLflow."""

    experiment: str = "runback"


@dataclass
class TrainConfig:
    """The whole config of a run."""

    seed: int = 0
    training: TrainingConfig = field(default_factory=TrainingConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    model: Any = MISSING
    optimizer: Any = MISSING
    schedule: Any = MISSING
    augmentation: Any = MISSING
    data: Any = MISSING


GROUPS = ("model", "optimizer", "schedule", "augmentation", "data")
"""The parts of a config that are a choice each."""


@dataclass(frozen=True)
class Plan:
    """One training to do: its whole config, where that came from, and the folder for what it writes."""

    name: str
    """The run's, for a person."""
    config: DictConfig
    choices: Mapping[str, str]
    """The names of the files chosen in `GROUPS`."""
    overrides: Sequence[str]
    folder: Path


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
        import tensorflow

        import keras

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
    from runback.classifier.data.split import split

    unset = [key for key in SPLIT_KNOBS if key not in spec]
    if unset:
        raise InputError(f"data.{unset[0]} must be set")
    knobs = {key: spec[key] for key in SPLIT_KNOBS}
    return targets.call(split, knobs, where="data", dataset=dataset)  # type: ignore[no-any-return]


def _require(built: Any, kind: type, group: str) -> None:
    """Refuse what a function of the project's own made for another group. Errors: InputError."""
    if not isinstance(built, kind):
        raise InputError(
            f"{group}: expected a keras {kind.__name__}; its {targets.TARGET} made {built!r:.80}"
        )


SPLIT_KNOBS = ("limit", "validation_fraction", "validation_split", "validation_seed")
"""The keys of a data config that say how its training images are divided; the others are the source's own."""


def threads_for(options: TrainingConfig) -> int:
    """Return how many CPU threads a training in this process gets."""
    trial = trials.current()
    share = seeding.available_cores() if trial is None else trial.threads
    return share if options.threads is None else options.threads


ConfigStore.instance().store(name="train_schema", node=TrainConfig)
