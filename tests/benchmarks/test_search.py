"""A replay goes through the coordinator, and says the same for the same seed."""

import importlib
import json
import math
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from replay.contenders import BY_DEFAULT, Coordinated, Task, contenders, quiet
from replay.curve_model import CurveModel
from replay.curve_table import curve_table
from replay.standing import Outcome, outcome, standings
from replay.virtual_engine import Costs, Reported

SEARCH = Path(__file__).parents[2] / "benchmarks" / "search.py"
TPE = {"_target_": "optuna.samplers.TPESampler"}


@pytest.fixture(scope="module")
def task(curves):
    quiet()
    table = curve_table(curves())
    return Task(
        CurveModel(table), table.space, table.n_epochs, Costs(1.0, 0.1), 100.0, None, 2, table.level, ()
    )


def of_trial(history, number):
    return [one for one in history if one.trial == number]


@pytest.mark.parametrize("name", contenders(6))
def test_a_search_is_a_function_of_its_seed(task, name):
    first, again, other = (contenders(6)[name](task, seed) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert [one.time for one in first] == sorted(one.time for one in first)


def test_time_passes_as_trials_take_it_on_two_slots(task):
    history = Coordinated(TPE)(task, 0)
    first, second = of_trial(history, 0), of_trial(history, 1)
    assert [one.epoch for one in first] == [1, 2, 3, 4, 5, 6]
    steps = [b.time - a.time for a, b in pairwise(first)]
    assert steps == pytest.approx([steps[0]] * 5)
    assert first[0].time > steps[0] + 1.0  # the start, and the building of the graph
    assert second[0].time < first[1].time
    third = of_trial(history, 2)
    assert third[0].time > min(first[-1].time, second[-1].time)
    alone = Coordinated(TPE)(Task(**{**vars(task), "slots": 1}), 0)
    assert of_trial(alone, 1)[0].time > of_trial(alone, 0)[-1].time


def test_no_trial_starts_after_the_time_and_those_that_run_go_on(task):
    history = Coordinated(TPE)(task, 0)
    last = {trial: of_trial(history, trial) for trial in {one.trial for one in history}}
    assert all(len(epochs) == 6 for epochs in last.values())
    assert history[-1].time > 100.0
    assert max(epochs[0].time - epochs[1].time + epochs[0].time for epochs in last.values()) < 110.0


def test_a_pruner_ends_trials_and_a_limit_ends_the_search(task):
    asha = {"_target_": "optuna.pruners.SuccessiveHalvingPruner", "min_resource": 1, "reduction_factor": 3}
    capped = Task(**{**vars(task), "n_trials": 8, "seconds": 10_000.0})
    whole, halved = Coordinated(TPE)(capped, 0), Coordinated(TPE, asha)(capped, 0)
    assert len(whole) == 8 * 6
    assert {one.trial for one in halved} == set(range(8))
    assert len(halved) < 8 * 6


def test_a_clairvoyant_goes_on_with_what_reaches_the_level_and_with_nothing_else(task):
    history = contenders(6)["clairvoyant"](task, 0)
    curves = [of_trial(history, trial) for trial in {one.trial for one in history}]
    assert {len(curve) for curve in curves} == {1, 6}
    reach = [max(one.reported for one in curve) >= task.level for curve in curves]
    assert reach == [len(curve) == 6 for curve in curves]


def test_first_points_come_first(task, curves):
    point = {"method": "adam", "rate": 0.01, "width": 32, "dropout": 0.0}
    history = Coordinated(TPE, takes_first=True)(Task(**{**vars(task), "first": (point,)}), 5)
    dropout = {axis.name: axis for axis in task.space.parameters}["dropout"].distribution.low
    expected = task.model.curve({**point, "dropout": dropout}, 5).reported  # none is known below
    assert [one.reported for one in of_trial(history, 0)] == expected.tolist()


def test_where_epochs_are_searched_trials_are_of_different_lengths(task):
    history = Coordinated(TPE, are_epochs_searched=True)(task, 0)
    assert {len(of_trial(history, trial)) for trial in range(6)} <= {3, 4, 5, 6}
    assert len({len(of_trial(history, trial)) for trial in range(6)}) > 1


def test_an_outcome_is_the_time_to_the_level_and_the_worth_of_the_best_report():
    history = [
        Reported(20.0, 0, 1, 0.3, 0.25),
        Reported(50.0, 1, 1, 0.5, 0.31),
        Reported(70.0, 0, 2, 0.4, 0.35),
        Reported(130.0, 0, 3, 0.6, 0.45),
        Reported(210.0, 2, 1, 0.9, 0.9),
    ]
    found = outcome(history, 0.55, 200.0)
    assert found == Outcome(130.0, (0.31, 0.31, 0.45, 0.45), 2, 4)
    assert outcome(history, 0.7, 200.0).seconds == math.inf
    assert math.isnan(outcome(history[3:], 0.7, 200.0).best[0])


def test_a_median_counts_the_searches_that_do_not_reach_the_level():
    def searches(*seconds):
        return [Outcome(one, (0.1, 0.2, 0.3, 0.4), 5, 9) for one in seconds]

    never = math.inf
    found = standings(
        {
            "runback": searches(10, 20, 30, 40, never),
            "slow": searches(60, 60, 60, never, never),
            "lost": searches(5, never, never, never, never),
        },
        "runback",
        0,
    )
    assert found["runback"].median.value == 30
    assert found["runback"].share.value == 0.8
    assert found["runback"].ratio is None
    assert found["slow"].ratio.value == 2
    assert found["slow"].median.high == never
    assert found["lost"].median.value == never
    assert found["lost"].ratio.value == never
    assert found["lost"].as_json()["median"]["value"] is None
    assert found["slow"].best[1].value == pytest.approx(0.2)


def search(*arguments):
    command = [sys.executable, str(SEARCH), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_file_never_seen_is_searched_and_reported_the_same_each_time(curves, tmp_path):
    file, written = tmp_path / "unseen.parquet", [tmp_path / "1.json", tmp_path / "2.json"]
    rows = curves().rename(columns={"rate": "η", "method": "a \x1b[31m method"})
    rows.to_parquet(file, index=False)
    prints = []
    for jobs, path in zip((1, 2), written, strict=True):
        done = search(file, "--seeds=3", "--seconds=120", f"--jobs={jobs}", f"--json={path}")
        assert (done.returncode, done.stderr) == (0, "")
        prints.append(done.stdout)
    assert prints[0] == prints[1]
    assert written[0].read_text() == written[1].read_text()
    assert re.search(r"RMSE 0\.\d+, R² 0\.\d+, rank correlation 0\.\d+ \(n = 120", prints[0])
    assert re.search(r"of 1,000 random configs of the model \d+\.\d% reach the level", prints[0])
    assert "\x1b" not in prints[0]
    assert all(name in prints[0] for name in BY_DEFAULT)
    content = json.loads(written[0].read_text())[str(file)]
    assert {*content["contenders"]} == {*BY_DEFAULT}
    assert content["contenders"]["random"]["n"] == 3
    assert len(content["seconds"]["random"]) == 3


def test_first_points_beside_a_table_bring_their_contender(curves, tmp_path):
    file = tmp_path / "curves.parquet"
    curves().to_parquet(file)
    point = {"method": "adam", "rate": 0.01, "width": 32, "dropout": 0}
    (tmp_path / "curves.first.json").write_text(json.dumps([point]))
    done = search(file, "--seeds=1", "--seconds=60", "--jobs=1")
    assert "runback, first points" in done.stdout
    (tmp_path / "curves.first.json").write_text(json.dumps([{**point, "method": "lion"}]))
    done = search(file)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "method is searched over adam/sgd; got 'lion'" in done.stderr


@pytest.mark.parametrize("name", ["deep_cnn", "shallow_cnn"])
def test_the_first_points_of_a_recorded_sweep_are_the_defaults_of_each_choice(name):
    importlib.import_module("runback.classifier.train_config")  # it registers the schema of conf/train.yaml
    recorded = SEARCH.parent / "curves" / f"{name}.yaml"
    sweep = yaml.safe_load(recorded.read_text("utf-8"))
    params = sweep["hydra"]["sweeper"]["params"]
    parts = [f"{k.split('/')[-1]}={v}" for one in sweep["defaults"][:-1] for k, v in one.items()]
    points = json.loads(recorded.with_suffix(".first.json").read_text("utf-8"))
    choices = {group: {point[group] for point in points} for group in params if "." not in group}
    assert choices == {group: {*params[group][7:-1].split(", ")} for group in choices}
    for point in points:
        groups = [f"{group}={point[group]}" for group in choices]
        with initialize_config_dir(str(SEARCH.parents[1] / "conf"), version_base="1.3"):
            config = compose("train", [*parts, *groups])
        given = OmegaConf.create({"training": sweep["training"]})
        for key in params.keys() - choices.keys():
            assert OmegaConf.select(OmegaConf.merge(config, given), key) == point[key]


def test_what_cannot_be_replayed_is_one_line(curves, tmp_path):
    file = tmp_path / "curves.parquet"
    curves().drop(columns="val_loss").to_parquet(file)
    done = search(file)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no val_loss" in done.stderr
    curves().to_parquet(file)
    for first in ("{", '{"rate": 1}', '{"method": "lion", "rate": 0.1, "width": 32, "dropout": 0}'):
        done = search(file, "--first", first)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "first points: expected" in done.stderr or "method is searched over" in done.stderr
