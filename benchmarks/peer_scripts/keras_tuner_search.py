"""KerasTuner's Hyperband as its documentation shows it, in the chief's process or in a worker's.

Its defaults: a factor of 3, one iteration, more only where the trials are enough for them. KerasTuner counts
a trial that goes on as a new one, and keeps the weights of each trial's best epoch; in MLflow each is a run.
"""

import math
import os
from typing import Any

import keras
import keras_tuner
import mlflow
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


def main() -> None:
    """Search, or answer the workers, until there is nothing left to train."""
    job = Job.read()
    os.environ["KERASTUNER_TUNER_ID"] = "chief" if job.worker == "chief" else f"worker{job.worker}"
    place = 0 if job.worker == "chief" else 1 + int(job.worker)
    keras.utils.set_random_seed(1000 * job.seed + place)
    tuner = keras_tuner.Hyperband(
        Search(Images.read(job.images)),
        objective="val_accuracy",
        max_epochs=job.n_epochs,
        hyperband_iterations=max(1, job.n_trials // trials_of_an_iteration(job.n_epochs)),
        seed=job.seed,
        directory=str(job.folder),
        project_name="search",
    )
    tuner.oracle.max_trials = job.n_trials
    tuner.search(callbacks=[tracking()], verbose=0)


class Search(keras_tuner.HyperModel):  # type: ignore[misc]  # it ships no types
    """The search space and the training."""

    def __init__(self, images: Images) -> None:
        super().__init__()
        self._images = images

    def build(self, hp: Any) -> keras.Model:
        """Return a trial's model, compiled."""
        hp.Choice("batch_size", BATCH_SIZES)  # `fit` uses it
        return self._images.model(
            optimizer=hp.Choice("optimizer", OPTIMIZERS),
            learning_rate=hp.Float("learning_rate", *LEARNING_RATES, sampling="log"),
            conv_dropout=hp.Float("conv_dropout", 0.0, MOST_CONV_DROPOUT),
            dense_dropout=hp.Float("dense_dropout", 0.0, MOST_DENSE_DROPOUT),
        )

    def fit(self, hp: Any, model: keras.Model, **settings: Any) -> keras.callbacks.History:
        """Train a trial; `settings` are the epochs, the callbacks and the rest."""
        with mlflow.start_run():
            mlflow.log_params(hp.values)
            return model.fit(
                self._images.training_batches(hp.get("batch_size")),
                validation_data=self._images.validation_batches(),
                **settings,
            )


def trials_of_an_iteration(n_epochs: int, factor: int = 3) -> int:
    """Return how many trials all brackets of Hyperband have together, as KerasTuner sizes them.

    Source: `HyperbandOracle._get_size` of KerasTuner 1.4.8.
    """
    last = next(number for number in range(100) if factor ** (number + 1) > n_epochs)
    smallest = math.ceil(1 + math.log(n_epochs, factor))
    return sum(
        math.ceil(smallest / (bracket + 1) * factor ** (bracket - place))
        for bracket in range(last + 1)
        for place in range(bracket + 1)
    )


if __name__ == "__main__":
    main()
