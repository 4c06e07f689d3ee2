"""Trains one model: compose, seed, data, model, fit, record.

`runback train [OVERRIDE…]` runs `job` once, `runback train --multirun …` and `runback sweep` once a trial.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from runback import hydra_app, record
from runback.chatter import silenced
from runback.errors import InputError, StoreError
from runback.prepare import prepare
from runback.sweeping import trial as trials
from runback.tracking.layout import Layout, project_root


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
        if len(options.objectives) == 1 and options.objectives[0] in metrics:
            trials.report(metrics[options.objectives[0]], step)

    with (
        recording(run),
        system_metrics(run),
        Progress(options.epochs, len(prepared.train.labels)) as progress,
    ):
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


def check(cfg: DictConfig) -> None:
    """Refuse what `job` would refuse, without training: a sweep calls this before its first trial."""
    import keras

    from runback.tracking.store import open_store

    OmegaConf.to_object(cfg.training)
    # TensorFlow fixes its threads once a process; here one process checks several configs.
    prepare(OmegaConf.merge(cfg, {"training": {"threads": None}}))  # type: ignore[arg-type]
    open_store(Layout(project_root()))
    keras.backend.clear_session()


def warm_up() -> None:
    """Open the store, which MLflow keeps open: a sweep calls this in a process that waits for its trial."""
    from runback.tracking.store import open_store

    layout = Layout(project_root())
    if layout.database.exists():
        with contextlib.suppress(StoreError):
            open_store(layout, is_prepared=True)


job.check = check  # type: ignore[attr-defined]
job.warm_up = warm_up  # type: ignore[attr-defined]


@contextlib.contextmanager
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
