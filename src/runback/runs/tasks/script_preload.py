"""Imported by the server that forks trials: the script or module of the task, with all that it imports."""

import os

from runback.runs.tasks.task_source import TaskSource
from runback.sweeping.hydra_task import TASK_VARIABLE as TASK_VARIABLE

if TASK_VARIABLE in os.environ:
    TaskSource.named(os.environ[TASK_VARIABLE])
