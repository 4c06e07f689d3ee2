"""How long a trial takes from being asked for to its first training batch, in a real sweep.

Four moments: Optuna creates the trial (asked; what it samples and Hydra composes comes after), the trial's
process begins its job, its first batch begins, and its first step ends. Tracing, which bare Keras
pays as well, is given apart: building the graphs of the input pipelines, which is taken off the start, and
that of the training step inside the first step: what that takes longer than the median of later ones.
"""

import contextlib
import io
import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from omegaconf import DictConfig

import classifier_job
from runback.cli import classifier_app
from runback.sweeping.trials import trial as trials
from runback.tracking.layout import Layout, project_root


@dataclass(frozen=True)
class Start:
    """One trial's start, in seconds."""

    until_job: float
    """From asked until the job begins in its process."""
    until_batch: float
    """From asked until the first batch begins, without the tracing of the input pipelines."""
    tracing: float
    """The input pipelines' and the training step's."""


def measure(start_method: str, trials: int) -> list[Start]:
    """Sweep over the seed of the default training, one trial at a time; return each one's start.

    The sweep is named after the start method, and stays in the project.
    """
    overrides = [
        "--multirun",
        f"seed=range({trials})",
        "training.epochs=1",
        "hydra.sweeper.n_workers=1",
        f"hydra.sweeper.name={start_method}",
        f"hydra.sweeper.start_method={start_method}",
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        task = replace(classifier_app.classifier_task(), run=job)
        classifier_app.run(overrides, Layout(project_root()), name="runback train", task=task)
    return _starts(start_method)


def job(cfg: DictConfig) -> Any:
    """Train as `runback train` does, and tell the study when that began and when its batches did."""
    began = time.time()
    batches: list[float] = []
    _note_batches(batches)
    pipelines: list[float] = []
    _note_pipelines(pipelines)
    value = classifier_job.job(cfg)
    steps = [end - start for start, end in itertools.pairwise(batches)]
    facts = {
        "began": began,
        "first_batch": batches[0],
        "pipelines": sum(pipelines),
        "first_step": steps[0] - statistics.median(steps[1:]),
    }
    client = trials.current()
    if client is not None:
        for name, seconds in facts.items():
            client.attribute(name, repr(seconds))
    return value


def _note_batches(batches: list[float]) -> None:
    """Add to `batches` when each batch begins, in every training of this process from now on."""
    import keras

    fit = keras.Model.fit

    class Clock(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            batches.append(time.time())

    def timed_fit(model: Any, *args: Any, callbacks: Any = (), **knobs: Any) -> Any:
        return fit(model, *args, callbacks=[*callbacks, Clock()], **knobs)

    keras.Model.fit = timed_fit


def _note_pipelines(seconds: list[float]) -> None:
    """Add to `seconds` what building each input pipeline takes, in every training of this process."""
    from runback.classifier.training import fit

    def timed(build: Callable[..., Any]) -> Callable[..., Any]:
        def building(*args: Any, **knobs: Any) -> Any:
            began = time.perf_counter()
            try:
                return build(*args, **knobs)
            finally:
                seconds.append(time.perf_counter() - began)

        return building

    fit.training_batches = timed(fit.training_batches)
    fit.validation_batches = timed(fit.validation_batches)


def _starts(sweep: str) -> list[Start]:
    from runback.sweeping.study.study_store import read_study

    starts = []
    for trial in read_study(Layout(project_root()).sweep(sweep), sweep).trials:
        asked = trial.datetime_start.timestamp()
        names = ("began", "first_batch", "pipelines", "first_step")
        began, batch, pipelines, step = (float(trial.user_attrs[name]) for name in names)
        starts.append(Start(began - asked, batch - asked - pipelines, pipelines + step))
    return starts
