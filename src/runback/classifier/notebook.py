"""Loads a sweep as pandas frames and a run's network as a Keras model, for notebooks."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runback.tracking.layout import Layout, project_root

if TYPE_CHECKING:
    import keras
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Sweep:
    """A sweep's trials and their curves, see `load`."""

    trials: "pd.DataFrame"
    curves: "pd.DataFrame"


def load(sweep: str) -> Sweep:
    """Return a sweep of the project that the working directory is in, finished or not.

    `trials` has a row for each trial, in their order, and these columns, of which those are left out that no
    trial has a value in:

    - run (the run ID), name, sweep, trial (its number), status (FINISHED, FAILED, KILLED or RUNNING), failure
      (its kind) and reason, all text but the number
    - start (datetime64, UTC), duration (float64, seconds from start to end, pauses included)
    - epoch (int64): the one that the metrics are of: the last, or with patience the one whose weights it kept
    - best_epoch (Int64), best_val_accuracy (float64; likewise of another objective): of a finished trial the
      epoch whose weights it has, and its objective's value in it
    - loss, accuracy, val_loss, val_accuracy and whatever else was measured (float64); behind an accuracy on a
      known number of images the ends of its 95 % Wilson interval, as val_accuracy_low and val_accuracy_high
    - parameters, model_bytes (int64): the size of the network and of its file, if that is on this machine
    - the params by their names in MLflow, as optimizer.learning_rate: int64, float64, bool or text
    - commit, uncommitted, training_data, validation_data: commit, whether there were changes besides, and the
      first 12 characters of the data's SHA-256

    Whole numbers that some trials lack are Int64, bools boolean.

    `curves` has a row for each epoch of each trial: run, trial, epoch (from 1), then each metric (float64,
    NaN where it was not measured). A metric is a column, and not a value in a column of names, because an
    epoch's metrics are measured together: a seventh of the rows, and ready to plot.

    Errors: InputError for an unknown sweep and for one without trials, StoreError.
    """
    from runback.comparison.run_frames import read_curves, read_runs
    from runback.runs.run_reference import sweep_runs
    from runback.tracking.read.run_reader import open_reader

    layout = Layout(project_root())
    with open_reader(layout) as reader:
        trials = read_runs(reader, sweep_runs(reader, sweep, layout)).rows
        trials = trials.sort_values("trial", ignore_index=True)
        curves = read_curves(reader, trials["run"])
    curves.insert(1, "trial", curves["run"].map(trials.set_index("run")["trial"]))
    return Sweep(trials, curves)


def load_model(run: str) -> "keras.Model":
    """Return the network that a finished run trained, without optimizer; this imports TensorFlow.

    `run` is a run ID or its first 6 characters or more, best:SWEEP, or the address of a run's page. The
    network takes raw images of shape (n, height, width, channels), values from 0 to 255, and returns
    probabilities of shape (n, classes). Keras' safe mode is on. Errors: InputError, StoreError.
    """
    from runback.classifier.stored_network import load_network
    from runback.runs.run_reference import find_in
    from runback.runs.tasks.hydra_app import make_importable
    from runback.system.config import targets
    from runback.tracking.read.run_reader import open_reader
    from runback.tracking.store import open_store

    layout = Layout(project_root())
    make_importable(layout.root)
    with open_reader(layout) as reader:
        run_id = find_in(reader, run, layout)
    return load_network(open_store(layout), run_id, targets.declared_modules(layout.root))
