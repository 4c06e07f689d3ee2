"""The classifier on Hydra's command line."""

import os
from dataclasses import replace
from pathlib import Path

from runback.classifier import packaged
from runback.classifier.config_file import read_config
from runback.classifier.data_path import with_absolute_override
from runback.classifier.train_config import GROUPS, check_parts
from runback.runs.tasks import hydra_app
from runback.runs.tasks.script_command import hydra_task
from runback.runs.tasks.script_preload import TASK_VARIABLE
from runback.runs.tasks.task_source import CLASSIFIER
from runback.sweeping.hydra_task import HydraTask
from runback.tracking.layout import Layout


def classifier_task() -> HydraTask:
    """Return the classifier's training as Hydra and a sweep call it."""
    own = {"check_parts": check_parts, "command": ("runback", "train"), "is_evaluated": True}
    return replace(hydra_task(CLASSIFIER), **own)  # type: ignore[arg-type]


def run(
    arguments: list[str],
    layout: Layout,
    *,
    name: str,
    config: Path | None = None,
    task: HydraTask | None = None,
) -> None:
    """Compose `conf/train.yaml` with the command line's overrides and train, or sweep with --multirun.

    What the project's own `conf/` and `sweeps/` lack is the package's. `config` is a file like those of
    conf/experiment; `task` is called in the classifier's place.

    Errors: those of `hydra_app.run`.
    """
    os.environ.pop(TASK_VARIABLE, None)
    conf = layout.root / "conf"
    app = hydra_app.App(conf, "train", GROUPS, with_absolute_override, packaged=packaged.FOLDER)
    given = None if config is None else read_config(config)
    hydra_app.run(task or classifier_task(), arguments, layout, app, name=name, given=given)  # type: ignore[arg-type]
