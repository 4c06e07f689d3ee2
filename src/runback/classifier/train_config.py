"""Declares a run's config: run-level keys here, a part's own as parameters of what its `_target_` names."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from runback.classifier.precision import AUTO
from runback.errors import InputError
from runback.system.config import targets
from runback.system.config.flattening import flatten

OBJECTIVES = {
    "val_accuracy": "maximize",
    "val_loss": "minimize",
    "val_macro_f1": "maximize",
    "val_top_k_accuracy": "maximize",
    "accuracy": "maximize",
    "loss": "minimize",
    "epoch_seconds": "minimize",
    "images_per_second": "maximize",
    "parameters": "minimize",
}
"""The better direction of each objective: of an epoch's metrics, and of the network's size."""

RUN = {"seed": "${seed}", "threads": "${training.threads}", "experiment": "${tracking.experiment}"}
"""The keys that every run has, which have names of their own here."""

WATCHED = ("val_accuracy", "val_loss", "val_macro_f1", "val_top_k_accuracy", "accuracy", "loss")
"""The objectives that early stopping can watch."""

TOP_K = "val_top_k_accuracy"

MAX_THREADS = 1024
MAX_BATCH_SIZE = 2**31 - 1
MAX_STEPS = 2**31 - 1

MIRRORED = "mirrored"

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclass
class CheckpointConfig:
    """The checkpoints of a training's whole state, for `runback train resume=RUN`."""

    every: int | None = None
    """Epochs between them; 0: only when it is stopped; None: each epoch if training takes over a minute."""

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 0:
            raise InputError(f"training.checkpoint.every must be at least 0; got {self.every}")


@dataclass
class TrainingConfig:
    """The options of a training, and the metrics by which it is good."""

    epochs: int = 10
    batch_size: int = 32
    """Images of a step, on all GPUs together."""
    steps_per_epoch: int | None = None
    """Batches of an epoch, in which all else is counted; None: a pass through the training images."""
    precision: str = "float32"
    """auto: mixed_bfloat16 where this machine computes it fast, else float32; the run says which."""
    threads: int | None = None
    """CPU threads; None: this process's cores, in a sweep the trial's share. They are part of the result."""
    distribution: str | None = None
    """mirrored: all GPUs of this machine, which divide each batch; their number is part of the result. None:
    one device."""
    patience: int | None = None
    """Epochs without a better objective after which training stops, with the best weights; None: never."""
    objective: Any = "val_accuracy"
    """The metric that a sweep searches over and patience watches; a list for several."""
    direction: Any = "maximize"
    class_weight: Any = None
    """Weights of the classes in the training loss: balanced, a mapping of names, a list; None: all are 1."""
    label_smoothing: float = 0.0
    """The share of each label that is spread over all classes in the training loss, in [0, 1)."""
    top_k: int | None = None
    """Measure top_k_accuracy, of the k likeliest classes; None: do not."""
    macro_f1: bool = False
    """Measure macro_f1, the classes' mean F1 score; it is measured as an objective in any case."""
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
        if self.steps_per_epoch is not None and not 1 <= self.steps_per_epoch <= MAX_STEPS:
            raise InputError(
                f"training.steps_per_epoch must be from 1 to {MAX_STEPS}; got {self.steps_per_epoch!s:.30}"
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
        if self.precision not in (AUTO, *PRECISIONS):
            names = ", ".join((AUTO, *PRECISIONS))
            raise InputError(f"training.precision must be one of {names}; got {self.precision!r}")
        if self.distribution not in (None, MIRRORED):
            raise InputError(
                f"training.distribution must be {MIRRORED} or null; got {self.distribution!r:.80}"
            )
        if not 0 <= self.label_smoothing < 1:
            raise InputError(f"training.label_smoothing must lie in [0, 1); got {self.label_smoothing}")
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"training.top_k must be at least 1; got {self.top_k}")
        if len(self.objectives) != len(self.directions):
            raise InputError(f"training.direction must name a direction for each of {self.objectives}")
        unknown = [name for name in self.objectives if name not in OBJECTIVES]
        if unknown:
            raise InputError(f"training.objective must be one of {', '.join(OBJECTIVES)}; got {unknown[0]!r}")
        for name, direction in zip(self.objectives, self.directions, strict=True):
            if direction != OBJECTIVES[name]:
                raise InputError(f"training.direction must be {OBJECTIVES[name]} for {name}; got {direction}")
        if TOP_K in self.objectives and self.top_k is None:
            raise InputError(f"training.objective={TOP_K} needs a k: set training.top_k, as training.top_k=5")

    @property
    def measures_macro_f1(self) -> bool:
        """Say whether macro F1 is asked for."""
        return self.macro_f1 or "val_macro_f1" in self.objectives

    @property
    def objectives(self) -> list[str]:
        """The names of the objectives."""
        return _names(self.objective, "training.objective")

    @property
    def directions(self) -> list[str]:
        """The direction of each objective."""
        return _names(self.direction, "training.direction")


def refuse_unset(config: Mapping[str, Any]) -> None:
    """Refuse a run-level key that is missing or has no value; a part's own are refused when that is built."""
    deleted = [key.name for key in fields(TrainConfig) if key.name not in config]
    if deleted:
        raise InputError(f"{deleted[0]} must be set: every training needs it")
    for part in ("training", "tracking"):
        if not isinstance(config[part], Mapping):
            raise InputError(f"{part} must hold keys and their values; got {config[part]!r:.80}")
    for key, value in flatten({key: config.get(key) for key in ("seed", "training", "tracking")}):
        if value == MISSING:
            raise InputError(f"{key} must be set: it has no default")


def _names(value: Any, key: str) -> list[str]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"{key} must be a name or a list of names; got {value}")
    return names


@dataclass
class TrackingConfig:
    """The place of runs in MLflow."""

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
    run: Any = field(default_factory=lambda: dict(RUN))
    """Refers to seed, training.threads and tracking.experiment."""


GROUPS = ("model", "optimizer", "schedule", "augmentation", "data")
"""The parts of a config that are a choice each."""


@dataclass(frozen=True)
class TrainingSpec:
    """One training of the classifier: its config, and what the run that it is part of says."""

    config: Mapping[str, Any]
    """Every key's value: to be used, and never to be written."""
    options: TrainingConfig
    seed: int
    """The seed of all that is random in it but the split of the data."""
    threads: int
    choices: Mapping[str, str]
    """The names of the files chosen in `GROUPS`."""
    root: Path
    """The project's folder."""
    cache: Path
    """The folder of decoded images."""
    room: Path
    """The folder in whose file system the network is stored."""


SPLIT_KNOBS = ("limit", "validation_fraction", "validation_split", "validation_seed")
"""The keys of a data config that say how its training images are divided; the others are the source's own."""


def refuse_incomplete(config: DictConfig, what: str) -> None:
    """Raise InputError for a config that lacks what every training needs; `what` opens the message."""
    tree = OmegaConf.to_container(config)
    for group in GROUPS:
        key, kind = ("layers", list) if group == "augmentation" else ("_target_", str)
        part = tree.get(group) if isinstance(tree, dict) else None
        if not isinstance(part, dict) or not isinstance(part.get(key), kind):
            raise InputError(f"{what} cannot be used: it has no {group}.{key}")
    missing = [knob for knob in SPLIT_KNOBS if knob not in tree["data"]]  # type: ignore[index, call-overload]
    if missing:
        raise InputError(f"{what} cannot be used: it has no data.{missing[0]}")


def check_parts(config: DictConfig, what: str, declared: tuple[str, ...] | None) -> None:
    """Raise InputError for somebody else's config that names other than what may be built, or lacks a part.

    `declared` are the modules that it may name besides; with None, targets are not looked at. `what` opens
    the message.
    """
    if declared is not None:
        groups = OmegaConf.to_container(config)
        for group in GROUPS:
            targets.check(groups.get(group), group, declared)  # type: ignore[union-attr]
    refuse_incomplete(config, what)


ConfigStore.instance().store(name="train_schema", node=TrainConfig)
