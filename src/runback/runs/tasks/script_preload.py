"""Imported by the server that forks trials: the script or module of the task, with all that it imports.

What is installed is read there as well, once for all trials.
"""

import os

from runback.runs.live.recorded_code import software
from runback.runs.tasks.task_source import TaskSource
from runback.sweeping.hydra_task import TASK_VARIABLE as TASK_VARIABLE

software()
if TASK_VARIABLE in os.environ:
    TaskSource.named(os.environ[TASK_VARIABLE])
