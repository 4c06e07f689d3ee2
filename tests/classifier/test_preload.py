"""The modules that the server of trials imports ahead."""

import json
import subprocess
import sys

from omegaconf import OmegaConf

from runback.classifier.preload import PRELOAD
from runback.runs.tasks.script_command import PRELOAD as OF_ALL
from runback.runs.tasks.script_command import hydra_task
from runback.runs.tasks.task_source import CLASSIFIER
from runback.sweeping.hydra_task import HydraTask
from runback.sweeping.trials.hydra_job import Composer

IMPORT = """
import importlib, json, sys
missing = []
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ImportError as error:
        missing.append(f"{name}: {error}")
print(json.dumps(missing))
"""


def test_every_preloaded_module_can_be_imported():
    """The fork server passes over a name that does not exist, and every trial pays for it."""
    command = [sys.executable, "-c", IMPORT, *OF_ALL, *PRELOAD]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=1200)
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_the_tasks_modules_come_before_those_of_the_setting_and_each_once():
    composer = Composer(None, None, OmegaConf.create(), hydra_task(CLASSIFIER))
    assert composer.preload(["colorsys", PRELOAD[0]]) == (*OF_ALL, *PRELOAD, "colorsys")


def test_a_task_that_declares_no_modules_has_those_of_the_setting():
    composer = Composer(None, None, OmegaConf.create(), HydraTask(lambda cfg: 0.0))
    assert composer.preload(["colorsys"]) == ("colorsys",)
