"""Imported by the server that forks trials: the script or module of the task, with all that it imports."""

import os

from runback.runs.tasks.task_source import TaskSource

TASK_VARIABLE = "RUNBACK_TASK"
"""The environment variable that names the task: `SCRIPT or MODULE:NAME`."""

if TASK_VARIABLE in os.environ:
    TaskSource.named(os.environ[TASK_VARIABLE])
