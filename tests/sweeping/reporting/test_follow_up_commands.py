"""The commands under a sweep's note go on with the app that was swept, and are none of another one's."""

import shlex
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from runback.sweeping.reporting.follow_up_commands import AppCommands, commands
from runback.sweeping.study.budget import Budget

CLASSIFIER = AppCommands(("runback", "train"), True, lambda params: [])


@pytest.fixture
def told(make_study, tmp_path):
    """Return the commands for an app that is swept, by this file and overrides."""

    def of(app, file=None, overrides=()):
        choices = {} if file is None else {"sweeps": file}
        hydra = {"overrides": {"hydra": [], "task": list(overrides)}, "runtime": {"choices": choices}}
        config = OmegaConf.create({"hydra": {**hydra, "sweep": {"dir": str(tmp_path / "sweeps")}}})
        study = make_study(6)
        return [command for _, command in commands(study, Budget(8, None, 2), config, Path("best.yaml"), app)]

    return of


def of_task(place, is_of_runback=True):
    words = ("runback", "train", place) if is_of_runback else (place,)
    return AppCommands(
        words, False, lambda params: ["rate=0.5", "+sweeps=digits"], is_of_runback=is_of_runback
    )


def test_the_classifiers_sweep_goes_on_by_its_name_and_its_best_is_evaluated(told):
    go_on, table, evaluate, reproduce, train = told(CLASSIFIER, "digits", ["+sweeps=digits", "seed=3"])
    assert go_on == "runback sweep digits seed=3 hydra.sweeper.n_trials=8"
    assert table == "runback compare --sweep digits"
    assert evaluate.startswith("runback evaluate 0")
    assert reproduce.startswith("runback reproduce 0")
    assert train == "runback train --config best.yaml"


def test_a_scripts_sweep_goes_on_with_the_script(told):
    go_on, table, reproduce, train = told(of_task("my fit.py:fit"), overrides=["rate=0.1,0.2"])
    name = "hydra.sweeper.name=digits"
    assert go_on == f"runback train 'my fit.py:fit' --multirun {name} rate=0.1,0.2 hydra.sweeper.n_trials=8"
    assert table == "runback compare --sweep digits"
    assert reproduce.startswith("runback reproduce 0")
    assert train == "runback train 'my fit.py:fit' rate=0.5"


def test_a_scripts_sweep_by_a_file_goes_on_with_both(told):
    go_on = told(of_task("/elsewhere/fit.py:fit"), "digits", ["+sweeps=digits", "rate=0.1"])[0]
    begin = "runback train /elsewhere/fit.py:fit --multirun hydra.sweeper.name=digits"
    assert go_on == f"{begin} +sweeps=digits rate=0.1 hydra.sweeper.n_trials=8"


def test_another_app_goes_on_where_its_sweep_is(told, tmp_path):
    go_on, table, train = told(of_task("./app.py", is_of_runback=False), overrides=["rate=0.1,0.2"])
    *begin, place = shlex.split(go_on)
    assert begin == [
        "./app.py",
        "--multirun",
        "hydra.sweeper.name=digits",
        "rate=0.1,0.2",
        "hydra.sweeper.n_trials=8",
    ]
    assert place == f"hydra.sweep.dir='{tmp_path}/sweeps'"
    assert table == "runback compare --sweep digits"
    assert train == "./app.py rate=0.5"


def test_of_an_app_that_no_command_starts_only_what_works_for_all_is_named(told):
    app = AppCommands((), False, lambda params: [], is_of_runback=False)
    assert told(app) == ["runback compare --sweep digits"]
