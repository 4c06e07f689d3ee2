"""Deterministic sweeps: what is proposed and pruned depends on no clock, no kill, no other worker."""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from optuna.trial import TrialState

from runback.errors import InputError
from runback.sweeping.deciding.determinism import Order, keep_order
from runback.sweeping.space.search_identity import Search
from runback.sweeping.space.search_space import parse
from runback.sweeping.study.study_store import open_study, read_study
from runback.sweeping.sweep_settings import SweeperSettings

SEARCH = Search.of(parse({"x": "interval(0, 1)"}, [], None), ["maximize"], {})

COORDINATOR = """
import random, sys, time
sys.path.insert(0, sys.argv[1])
from functools import partial
from pathlib import Path
from test_coordinator import sweep
from optuna.pruners import HyperbandPruner, SuccessiveHalvingPruner
from runback.sweeping import report
from runback.sweeping.trials.engines.local_engine import LocalEngine

def trial(number, params):
    hurry = random.SystemRandom().random()
    for step in range(1, 10):
        time.sleep(hurry * 0.03)
        report(step * (1 - (params["x"] - 0.3) ** 2 - (params["y"] - 0.8) ** 2), step)
    return 9 * (1 - (params["x"] - 0.3) ** 2 - (params["y"] - 0.8) ** 2)

pruners = {
    "asha": partial(SuccessiveHalvingPruner, min_resource="auto", reduction_factor=2),
    "hyperband": partial(HyperbandPruner, max_resource="auto", reduction_factor=2),
}
sampler = {"_target_": f"optuna.samplers.{sys.argv[3]}"}
if sys.argv[3] == "TPESampler":
    sampler["n_startup_trials"] = 4
if sys.argv[3] == "NSGAIISampler":
    sampler["population_size"] = 4
space = {"x": "interval(0.0, 1.0)", "y": "interval(0.0, 1.0)"}
sweep(
    Path(sys.argv[2]), LocalEngine(), trial, n_trials=18, n_workers=int(sys.argv[5]), sampler=sampler,
    space=space, pruner=pruners[sys.argv[4]], window=3, retries={"lost": 100},
)[2].run()
"""


def run(folder: Path, sampler: str, pruner: str, *, n_workers=3, kills=0):
    """Run the sweep, killing its coordinator so often, and return each trial's state, params and values."""
    folder.mkdir()
    here = str(Path(__file__).parents[1] / "trials")
    command = [sys.executable, "-c", COORDINATOR, here, str(folder), sampler, pruner, str(n_workers)]
    for _ in range(kills):
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            try:
                _wait_for_values(folder)
                process.wait(random.uniform(0.05, 0.7))  # noqa: S311 - a moment
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
    subprocess.run(command, check=True, timeout=1200)
    trials = read_study(folder, "s").get_trials(deepcopy=False)
    return [(t.state, t.params, t.values, t.intermediate_values) for t in trials]


def _wait_for_values(folder: Path) -> None:
    """Wait until a new coordinator is at work."""
    count, deadline = _values(folder), time.monotonic() + 60
    while _values(folder) == count and time.monotonic() < deadline:
        time.sleep(0.02)


def _values(folder: Path) -> int:
    try:
        with sqlite3.connect(f"file:{folder}/study.db?mode=ro", uri=True) as database:
            return int(database.execute("SELECT count(*) FROM trial_intermediate_values").fetchone()[0])
    except sqlite3.Error:
        return 0


@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [
        ("TPESampler", "asha"),
        pytest.param("CmaEsSampler", "hyperband", marks=pytest.mark.slow),
        pytest.param("QMCSampler", "asha", marks=pytest.mark.slow),
        pytest.param("NSGAIISampler", "asha", marks=pytest.mark.slow),
    ],
)
def test_a_deterministic_sweep_is_the_same_whatever_is_killed_and_whoever_is_faster(
    tmp_path, sampler, pruner
):
    undisturbed = run(tmp_path / "undisturbed", sampler, pruner)
    assert {state for state, *_ in undisturbed} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert run(tmp_path / "killed", sampler, pruner, kills=3) == undisturbed
    assert run(tmp_path / "fewer workers", sampler, pruner, n_workers=1) == undisturbed


def settings(**changes):
    return SweeperSettings(**{"deterministic": True, "sampler": {"_target_": "tpe"}, **changes})


def test_a_deterministic_sweep_keeps_its_window_and_threads_when_it_goes_on(tmp_path):
    study = open_study(tmp_path, "s", SEARCH)
    assert keep_order(study, settings(), 4, 2) == Order(4, 2)
    again = open_study(tmp_path, "s", SEARCH)
    assert keep_order(again, settings(), 8, 1) == Order(4, 2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"deterministic": False}, "deterministic=True, now False"),
        ({"seed": 7}, "seed=0, now 7"),
        ({"pruner": {"_target_": "asha"}}, "pruner=None, now"),
    ],
)
def test_what_the_order_depends_on_stays_as_it_is(tmp_path, changed, message):
    keep_order(open_study(tmp_path, "s", SEARCH), settings(), 4, 2)
    with pytest.raises(InputError, match=message):
        keep_order(open_study(tmp_path, "s", SEARCH), settings(**changed), 4, 2)


def test_another_sweep_may_change_its_sampler_but_not_become_deterministic(tmp_path):
    study = open_study(tmp_path, "s", SEARCH)
    assert keep_order(study, settings(deterministic=False), 2, 1) == Order(None, 1)
    assert keep_order(study, settings(deterministic=False, seed=7), 3, 2) == Order(None, 2)
    with pytest.raises(InputError, match="deterministic=False, now True"):
        keep_order(study, settings(), 2, 1)


def test_a_study_from_before_a_setting_was_there_is_refused_in_one_line(tmp_path):
    study = open_study(tmp_path, "s", SEARCH)
    settings = SweeperSettings(direction="maximize", deterministic=True)
    stored = {name: getattr(settings, name) for name in ("deterministic", "seed", "sampler", "pruner")}
    study.set_user_attr("runback:order", {**stored, "window": 2, "threads": 1})
    with pytest.raises(
        InputError, match=r"begun with hydra\.sweeper\.first=None, now config: a deterministic"
    ):
        keep_order(study, settings, 2, 1)
