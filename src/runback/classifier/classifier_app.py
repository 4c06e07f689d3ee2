"""The classifier on Hydra's command line."""

import os
from pathlib import Path

from hydra.types import TaskFunction

from runback.classifier import packaged
from runback.classifier.config_file import read_config
from runback.classifier.data_path import with_absolute_override
from runback.classifier.train_config import GROUPS
from runback.runs.tasks import hydra_app
from runback.runs.tasks.script_preload import TASK_VARIABLE
from runback.tracking.layout import Layout


def run(
    task: TaskFunction, arguments: list[str], layout: Layout, *, name: str, config: Path | None = None
) -> None:
    """Compose `conf/train.yaml` with the command line's overrides and run `task` on it.

    What the project's own `conf/` and `sweeps/` lack is this package's. `config` is a file like those of
    conf/experiment. Errors: those of `hydra_app.run`.
    """
    os.environ.pop(TASK_VARIABLE, None)
    conf = layout.root / "conf"
    app = hydra_app.App(conf, "train", GROUPS, with_absolute_override, packaged=packaged.FOLDER)
    given = None if config is None else read_config(config)
    hydra_app.run(task, arguments, layout, app, name=name, given=given)  # type: ignore[arg-type]
