"""Trains one model: compose, seed, data, model, fit, record.

`runback train [OVERRIDE…]` runs `job` once; `runback train --multirun …` and `runback sweep` run it once a trial.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import MISSING, DictConfig, OmegaConf

from runback import hydra_app, record, seeding, targets
from runback.chatter import silenced
from runback.errors import InputError
from runback.sweeping import trial as trials
from runback.tracking.layout import Layout, project_root

if TYPE_CHECKING:
    import keras

    from runback.data.dataset import Dataset

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


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

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise InputError(f"training.epochs must be at least 1; got {self.epochs}")
        if self.batch_size < 1:
            raise InputError(f"training.batch_size must be at least 1; got {self.batch_size}")
        if self.precision not in PRECISIONS:
            raise InputError(f"training.precision must be one of {', '.join(PRECISIONS)}; got {self.precision!r}")
        if len(self.objectives) != len(self.directions):
            raise InputError(f"training.direction must name a direction for each of {self.objectives}")
        unknown = [name for name in self.objectives if name not in OBJECTIVES]
        if unknown:
            raise InputError(f"training.objective must be one of {', '.join(OBJECTIVES)}; got {unknown[0]!r}")

    @property
    def objectives(self) -> list[str]:
        """The names of the objectives."""
        return [self.objective] if isinstance(self.objective, str) else list(self.objective)

    @property
    def directions(self) -> list[str]:
        """The direction of each objective."""
        return [self.direction] if isinstance(self.direction, str) else list(self.direction)


OBJECTIVES = ("val_accuracy", "val_loss", "accuracy", "loss", "epoch_seconds", "images_per_second", "parameters")
"""What a run can be judged by: the metrics of an epoch, and the network's size."""


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


def job(cfg: DictConfig) -> float | tuple[float, ...]:
    """Train the model that `cfg` describes, record it as one MLflow run, return its objective's value."""
    with silenced():
        from runback.training import fit
    from runback.tracking.run import recording
    from runback.tracking.system_metrics import system_metrics
    from runback.training.progress import Progress

    folder = Path(HydraConfig.get().runtime.output_dir)
    trial = trials.current()
    with _discarding_on_bad_input(None if trial else folder):
        prepared = prepare(cfg)
        run = record.start(cfg, prepared, folder, trial)
    options = prepared.options

    def on_epoch(step: int, metrics: dict[str, float]) -> None:
        run.log_epoch(step, metrics)
        progress.epoch(step, metrics)
        if len(options.objectives) == 1 and options.objective in metrics:
            trials.report(metrics[options.objective], step)

    with recording(run), system_metrics(run), Progress(options.epochs, len(prepared.train.labels)) as progress:
        record.before_training(run, cfg, prepared)
        model = fit.compile_model(prepared.network, prepared.augmentation, prepared.optimizer)
        result = fit.fit(
            model,
            prepared.train,
            prepared.validation,
            epochs=options.epochs,
            batch_size=options.batch_size,
            seed=cfg.seed,
            on_epoch=on_epoch,
            on_batch=progress.batch,
            patience=options.patience,
            monitor=options.objectives[0],
            maximize=options.directions[0] == "maximize",
        )
        record.after_training(run, prepared, result.history)
    if trial is None:
        print(f"run {run.id}")  # noqa: T201 - the command's result
    metrics = {**result.metrics, "parameters": float(prepared.network.count_params())}
    values = tuple(metrics[name] for name in options.objectives)
    return values[0] if len(values) == 1 else values


def prepare(cfg: DictConfig) -> Prepared:
    """Build everything a training needs. Errors: InputError for whatever the config gets wrong."""
    options: TrainingConfig = OmegaConf.to_object(cfg.training)  # type: ignore[assignment]
    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    declared = targets.declared_modules(project_root())
    for group in ("model", "optimizer", "schedule", "augmentation", "data"):
        targets.check(config[group], declared)
    train, validation = load_data(config["data"], declared)

    threads = _threads(options)
    with silenced():
        seeding.seed_everything(cfg.seed, threads)

    from runback.augmentation.stack import build_stack
    from runback.training.batches import steps_per_epoch
    from runback.training.precision import set_precision

    set_precision(options.precision)
    shape = train.images.shape[1:]
    network = targets.build(
        config["model"], where="model", declared=declared, input_shape=shape, num_classes=len(train.class_names)
    )
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
    optimizer = targets.build(config["optimizer"], where="optimizer", declared=declared, learning_rate=schedule)
    return Prepared(options, threads, train, validation, network, augmentation, optimizer)


def check(cfg: DictConfig) -> None:
    """Refuse what `job` would refuse, without training: a sweep calls this before its first trial."""
    import keras

    prepare(cfg)
    keras.backend.clear_session()


job.check = check  # type: ignore[attr-defined]


def load_data(spec: Mapping[str, Any], declared: tuple[str, ...]) -> "tuple[Dataset, Dataset]":
    """Return the training and the validation split. Errors: InputError, DataError."""
    source = {key: value for key, value in spec.items() if key not in SPLIT_KNOBS}
    cache = Layout(project_root()).data
    dataset = targets.build(source, where="data", declared=declared, split="train", cache=cache)
    knobs = {key: spec[key] for key in SPLIT_KNOBS}
    return targets.build(  # type: ignore[no-any-return]
        {"_target_": "runback.data.split.split", **knobs}, where="data", dataset=dataset
    )


SPLIT_KNOBS = ("limit", "validation_fraction", "validation_split", "validation_seed")
"""The keys of a data config that say how its training images are divided; the others are the source's own."""


def _threads(options: TrainingConfig) -> int:
    trial = trials.current()
    share = seeding.available_cores() if trial is None else trial.threads
    return share if options.threads is None else options.threads


@contextmanager
def _discarding_on_bad_input(folder: Path | None) -> Iterator[None]:
    """Leave nothing behind of a run that never started."""
    try:
        yield
    except InputError:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def main(argv: list[str]) -> int:
    """Run `runback train`."""
    hydra_app.run(job, argv, name="runback train")
    return 0


ConfigStore.instance().store(name="train_schema", node=TrainConfig)
