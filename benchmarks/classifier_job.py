"""The classifier's training, whole or up to its network, for the other benchmarks."""

from collections.abc import Callable
from functools import partial
from typing import Any

from omegaconf import DictConfig

from runback.classifier.build import Prepared, prepare
from runback.classifier.train_config import TrainingSpec
from runback.classifier.training_task import train, training_spec
from runback.cli import classifier_app
from runback.runs.live.run import rehearse
from runback.runs.tasks.script_command import composed_spec, train_task
from runback.runs.tasks.task_source import CLASSIFIER
from runback.sweeping.hydra_task import HydraTask
from runback.tracking.layout import Layout, project_root

job: Callable[[DictConfig], Any] = partial(train_task, CLASSIFIER)
"""Trains as `runback train` does."""


def run(function: Callable[[DictConfig], Any], overrides: list[str]) -> None:
    """Call a function with the config that `runback train OVERRIDES` composes."""
    classifier_app.run(overrides, Layout(project_root()), name="runback train", task=HydraTask(function))


def prepared(cfg: DictConfig) -> tuple[TrainingSpec, Prepared]:
    """Return a training that is ready to begin."""
    spec = composed_spec(train, cfg)
    config = train.parameters.arguments(spec.config)
    found: list[TrainingSpec] = []
    rehearse(lambda run: found.append(training_spec(run, config)), spec)
    return found[0], prepare(found[0])
