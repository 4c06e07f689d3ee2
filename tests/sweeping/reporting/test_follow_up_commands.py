"""The commands under a sweep's note go on with the app that was swept, and are none of another one's."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from runback.sweeping.hydra_task import TASK_VARIABLE
from runback.sweeping.reporting.follow_up_commands import commands
from runback.sweeping.study.budget import Budget


@pytest.fixture
def told(make_study, tmp_path, monkeypatch):
    """Return the commands for an app whose config is called so, swept by this file and overrides."""
    monkeypatch.setenv("RUNBACK_ROOT", str(tmp_path))
    monkeypatch.delenv(TASK_VARIABLE, raising=False)

    def of(config_name, file=None, overrides=()):
        choices = {} if file is None else {"sweeps": file}
        hydra = {"overrides": {"hydra": [], "task": list(overrides)}, "runtime": {"choices": choices}}
        config = OmegaConf.create({"hydra": {**hydra, "job": {"config_name": config_name}}})
        study = make_study(6)
        return [command for _, command in commands(study, Budget(8, None, 2), config, Path("best.yaml"))]

    return of


def test_the_classifiers_sweep_goes_on_by_its_name_and_its_best_is_evaluated(told):
    go_on, table, evaluate, reproduce, train = told("train", "digits", ["+sweeps=digits", "seed=3"])
    assert go_on == "runback sweep digits seed=3 hydra.sweeper.n_trials=8"
    assert table == "runback compare --sweep digits"
    assert evaluate.startswith("runback evaluate 0")
    assert reproduce.startswith("runback reproduce 0")
    assert train == "runback train --config best.yaml"


def test_a_scripts_sweep_goes_on_with_the_script(told, tmp_path, monkeypatch):
    monkeypatch.setenv(TASK_VARIABLE, f"{tmp_path}/my fit.py:fit")
    go_on, table, reproduce = told("runback_task", overrides=["rate=0.1,0.2"])
    name = "hydra.sweeper.name=digits"
    assert go_on == f"runback sweep 'my fit.py:fit' {name} rate=0.1,0.2 hydra.sweeper.n_trials=8"
    assert table == "runback compare --sweep digits"
    assert reproduce.startswith("runback reproduce 0")


def test_a_scripts_sweep_by_a_file_goes_on_with_both(told, monkeypatch):
    monkeypatch.setenv(TASK_VARIABLE, "/elsewhere/fit.py:fit")
    go_on = told("runback_task", "digits", ["+sweeps=digits", "rate=0.1"])[0]
    assert go_on == "runback sweep /elsewhere/fit.py:fit +sweeps=digits rate=0.1 hydra.sweeper.n_trials=8"
    monkeypatch.setenv(TASK_VARIABLE, "package.module:fit")
    assert told("runback_task", "digits")[0].startswith("runback sweep package.module:fit +sweeps=digits ")


@pytest.mark.parametrize("config_name", ["app", "runback_task", "train"])
def test_of_another_app_only_what_works_for_all_is_named(told, config_name, monkeypatch):
    if config_name == "train":
        monkeypatch.delenv("RUNBACK_ROOT")
    assert told(config_name) == ["runback compare --sweep digits"]
