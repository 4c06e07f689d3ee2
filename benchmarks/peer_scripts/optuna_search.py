"""A search with Optuna as its documentation shows it, in one of several processes that share a study.

TPE and successive halving with Optuna's defaults, a journal file as its page on parallel optimization
recommends for processes on one machine, pruning as KerasPruningCallback does it, and a run in MLflow for each
trial.
"""

import gc
from typing import Any

import keras
import mlflow
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState
from plain_keras import (
    BATCH_SIZES,
    LEARNING_RATES,
    MOST_CONV_DROPOUT,
    MOST_DENSE_DROPOUT,
    OPTIMIZERS,
    Images,
    Job,
    tracking,
)

COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
"""The trials of the budget: those that run are among them, or each process would begin one more."""


def main() -> None:
    """Search until the study has its trials."""
    job = Job.read()
    images = Images.read(job.images)
    seed = 1000 * job.seed + int(job.worker)
    keras.utils.set_random_seed(seed)
    study = optuna.create_study(
        study_name="search",
        storage=JournalStorage(JournalFileBackend(str(job.folder / "study.log"))),
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.SuccessiveHalvingPruner(),
        direction="maximize",
        load_if_exists=True,
    )
    study.optimize(
        lambda trial: objective(trial, job, images), callbacks=[MaxTrialsCallback(job.n_trials, COUNTED)]
    )


def objective(trial: optuna.Trial, job: Job, images: Images) -> float:
    """Train one trial; return its best val_accuracy."""
    keras.backend.clear_session()
    gc.collect()
    batch_size = trial.suggest_categorical("batch_size", BATCH_SIZES)
    model = images.model(
        optimizer=trial.suggest_categorical("optimizer", OPTIMIZERS),
        learning_rate=trial.suggest_float("learning_rate", *LEARNING_RATES, log=True),
        conv_dropout=trial.suggest_float("conv_dropout", 0.0, MOST_CONV_DROPOUT),
        dense_dropout=trial.suggest_float("dense_dropout", 0.0, MOST_DENSE_DROPOUT),
    )
    with mlflow.start_run(run_name=f"trial {trial.number}"):
        mlflow.log_params(trial.params)
        history = model.fit(
            images.training_batches(batch_size),
            validation_data=images.validation_batches(),
            epochs=job.n_epochs,
            callbacks=[tracking(), pruning(trial)],
            verbose=0,
        )
        file = job.folder / f"trial-{trial.number}.keras"
        model.save(file)
        mlflow.log_artifact(str(file))
    return float(max(history.history["val_accuracy"]))


def pruning(trial: optuna.Trial) -> keras.callbacks.Callback:
    """Return what ends a trial that the pruner gives up, as KerasPruningCallback does."""

    def report(epoch: int, logs: dict[str, Any]) -> None:
        trial.report(float(logs["val_accuracy"]), step=epoch)
        if trial.should_prune():
            raise optuna.TrialPruned(f"trial was pruned at epoch {epoch}")

    return keras.callbacks.LambdaCallback(on_epoch_end=report)


if __name__ == "__main__":
    main()
