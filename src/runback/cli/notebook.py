"""For notebooks: sweeps a function, loads a sweep as pandas frames and a run's network as a Keras model."""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runback.errors import InputError, Stopped
from runback.system.text.escape import for_html, for_terminal
from runback.tracking.layout import Layout, project_root

if TYPE_CHECKING:
    import keras
    import pandas as pd


SHOWN = 30
"""Trials that a sweep shows of itself, half of them from each end."""

HIDDEN = ("name", "sweep", "start", "commit", "uncommitted", "training_data", "validation_data", "best_epoch")
"""Columns of a sweep's trials that it does not show of itself."""


@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """A sweep's trials and their curves, see `load`."""

    trials: "pd.DataFrame"
    curves: "pd.DataFrame"

    def __repr__(self) -> str:
        """Return its trials as a table, without the columns that are the same for all."""
        return f"{self._title()}\n{self._table().to_string(index=False, max_rows=SHOWN)}"

    def _repr_html_(self) -> str:
        """Return the same for a notebook."""
        table = self._table().to_html(index=False, max_rows=SHOWN, border=0, na_rep="")
        return f"<div>{for_html(self._title())}</div>{table}"

    def _title(self) -> str:
        names = ", ".join(self.trials["sweep"].dropna().unique()) if "sweep" in self.trials else ""
        from runback.comparison.terminal_table import run_states

        counts = Counter(run_states(self.trials))
        states = ", ".join(f"{count} {state}" for state, count in counts.most_common())
        return f"sweep {names}: {len(self.trials)} trials, {states}; .trials and .curves are pandas frames"

    def _table(self) -> "pd.DataFrame":
        frame = self.trials.drop(columns=[name for name in HIDDEN if name in self.trials])
        fixed = [name for name in frame if len(frame) > 1 and name != "status" and frame[name].nunique() < 2]
        frame = frame.drop(columns=fixed)
        texts = frame.select_dtypes(exclude="number").columns
        return frame.assign(**{name: frame[name].map(_text) for name in texts}).rename(columns=for_terminal)


def sweep(
    train: Callable[..., Any],
    space: Mapping[str, Any],
    *,
    n_trials: int | None = None,
    name: str | None = None,
    **settings: Any,
) -> Sweep:
    """Search for the parameters of a task, and return the sweep as `load` does.

    `train` is a task, or a function that could be one; it may be defined in a notebook's cell. `space` has,
    for each parameter that is searched, an expression of the override grammar, as "interval(0, 1)" or
    "tag(log, interval(1e-4, 1e-1))", a list of choices, or a range; any other value is the same for all
    trials. `n_trials` may be left out where all is choices. `name`, by default the function's, is the
    sweep's: the same call goes on with one that was interrupted. Other `settings` are those of hydra.sweeper,
    as n_workers=2, and sampler="tpe", pruner="promote".

    Trials run in processes of their own, asynchronously, and are runs in MLflow; what a function refers to is
    copied to them. In a notebook a table below the cell shows them. An interrupt ends them cleanly, and
    raises Stopped. Errors: InputError, TrainingError.
    """
    if space is not None and (
        not isinstance(space, Mapping) or not all(isinstance(key, str) for key in space)
    ):
        raise InputError(
            "runback.sweep: a space is a dict from parameters to their values, as "
            f"{{'rate': 'interval(0, 1)'}}; got {space!r:.100}"
        )
    if not space:
        raise InputError("runback.sweep: the space is empty; give a parameter and its values")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")  # no bar of tqdm is shown
        from runback.runs.tasks.notebook_command import overrides, sweep_cell
        from runback.runs.tasks.task import Task

        task = train if isinstance(train, Task) else Task(train)
        called = name or task.name
        given = {"n_trials": n_trials, "name": called, **settings}
        arguments = overrides(space, {key: value for key, value in given.items() if value is not None})
        try:
            sweep_cell(task, arguments)
        except KeyboardInterrupt:
            raise Stopped(f"sweep {called} interrupted: the same call goes on with it") from None
    return load(called)


def load(sweep: str) -> Sweep:
    """Return a sweep of the project that the working directory is in, finished or not.

    `trials` has a row for each trial, in their order, and these columns, of which those are left out that no
    trial has a value in:

    - run (the run ID), name, sweep, trial (its number), status (FINISHED, FAILED, KILLED, RUNNING, or
      SCHEDULED: paused), failure (its kind) and reason, all text but the number
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
    from runback.keras.networks.stored_network import load_network
    from runback.runs.run_reference import find_in
    from runback.runs.tasks.hydra_app import make_importable
    from runback.system.config import targets
    from runback.tracking.read.run_reader import open_reader
    from runback.tracking.store import open_store

    if not isinstance(run, str):
        raise InputError(f"runback.load_model takes a run's ID, or best:SWEEP; got {run!r:.100}")
    layout = Layout(project_root())
    make_importable(layout.root)
    with open_reader(layout) as reader:
        run_id = find_in(reader, run, layout)
    return load_network(open_store(layout), run_id, targets.declared_modules(layout.root))


def _text(value: Any) -> str:
    """Return what a cell of a frame shows."""
    return "" if value is None or value != value else for_terminal(str(value))
