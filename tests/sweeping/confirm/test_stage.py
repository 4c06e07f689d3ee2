"""The confirm stage of real sweeps, of an app that takes no time and is not tracked."""

import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest

from runback.sweeping.confirm.confirm_results import find_confirmed
from runback.sweeping.study.study_store import find_confirm_study, read_study

APP = """
import os, random, time
import hydra

@hydra.main(version_base="1.3", config_path=os.getcwd(), config_name="app")
def app(cfg):
    if cfg.seed and os.path.exists(f"{cfg.folder}/breaks"):
        raise RuntimeError("it breaks")
    if cfg.seed:
        time.sleep(cfg.seconds)
    with open(f"{cfg.folder}/trained", "a") as log:
        log.write(f"{cfg.x} {cfg.seed}\\n")
    return cfg.slope * cfg.x + random.Random(f"{cfg.x},{cfg.seed}").gauss(0, 1)

if __name__ == "__main__":
    app()
"""

CONFIG = """
defaults:
  - override hydra/sweeper: runback
x: 0
slope: 0
seed: 0
seconds: 0
folder: ${oc.env:PWD}
hydra:
  sweep:
    dir: out/${hydra.sweeper.name}
    subdir: ${hydra.job.num}
  sweeper:
    n_workers: 2
    confirm: {top: 3, seeds: 3}
"""

MANY = """
import contextlib, io, json, sys
import app

told = []
for line in json.load(sys.stdin):
    if line[0] == "touch":
        open(line[1], "w").close()
        continue
    if line[0] == "remove":
        import os
        os.remove(line[1])
        continue
    sys.argv = ["app.py", *line]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            app.app()
        except SystemExit as end:
            out.write(f"exit {end.code}")
    told.append(out.getvalue())
print(json.dumps(told))
"""


@dataclass(frozen=True)
class Folder:
    """A folder with the app."""

    path: Path
    project: object

    def many(self, *lines: list[str]) -> list[str]:
        """Run several command lines in one process; return what each has printed."""
        done = subprocess.run(
            [sys.executable, "-c", MANY], input=json.dumps(lines), **self._how(), check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        how = {**self._how(), "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        del how["capture_output"]
        return subprocess.Popen([sys.executable, "app.py", *arguments], **how, start_new_session=True)

    def _how(self):
        env = self.project.environment(PWD=str(self.path))
        return {"cwd": self.path, "env": env, "capture_output": True, "text": True}

    def study(self, name: str) -> optuna.Study:
        return read_study(self.path / "out" / name, name)

    def facts(self, name: str) -> dict:
        return json.loads((self.path / "out" / name / "confirm" / "confirm.json").read_text())

    def trained(self) -> Counter[str]:
        return Counter((self.path / "trained").read_text().splitlines())


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_project):
    path = tmp_path_factory.mktemp("app")
    (path / "app.py").write_text(APP)
    (path / "app.yaml").write_text(CONFIG)
    return Folder(path, make_project(tmp_path_factory.mktemp("project")))


TOP_2 = "hydra.sweeper.confirm={top:2,seeds:3}"
EVEN = ["-m", "x=range(0,4)", "hydra.sweeper.name=even"]
STEEP = [
    "-m",
    "x=range(10,13)",
    "slope=100",
    "hydra.sweeper.name=steep",
    "hydra.sweeper.confirm={top:2,seeds:3}",
]
SEEDS = ["-m", "seed=range(1,4)", "x=20", "hydra.sweeper.name=seeds", "hydra.sweeper.confirm.seeds=2"]
BROKEN = ["-m", "x=range(30,32)", "hydra.sweeper.name=broken", "hydra.sweeper.confirm={top:1,seeds:2}"]


@pytest.fixture(scope="module")
def told(folder):
    """Run all sweeps; return what each command has printed."""
    lines = [EVEN, EVEN, STEEP, SEEDS, ["touch", "breaks"], BROKEN, ["remove", "breaks"], BROKEN, BROKEN]
    names = ["even", "even again", "steep", "seeds", "broken", "mended", "mended again"]
    return dict(zip(names, folder.many(*lines), strict=True))


def test_the_best_trials_are_trained_again_on_the_same_fresh_seeds(told, folder):
    facts = folder.facts("even")
    assert len(facts["finalists"]) == 3
    assert len(set(facts["seeds"])) == 3
    best = sorted(folder.study("even").trials, key=lambda trial: -trial.value)[:3]
    assert {one["trial"] for one in facts["finalists"]} == {trial.number for trial in best}
    for one in facts["finalists"]:
        assert one["search"] == folder.study("even").trials[one["trial"]].value
        for seed in facts["seeds"]:
            assert folder.trained()[f"{one['params']['x']} {seed}"] == 1
            assert (folder.path / "out" / "even" / "confirm" / f"{one['trial']}-{seed}").is_dir()


def test_what_differs_by_noise_is_not_called_better(told, folder):
    facts = folder.facts("even")
    assert "differ by less than noise: none of them is better" in told["even"]
    assert facts["verdict"] in told["even"]
    assert not any(one["best_is_better"] for one in facts["finalists"])
    assert sum(one["probability_best"] for one in facts["finalists"]) == pytest.approx(1)
    assert (
        "differ by less than noise" in (folder.path / "out" / "even" / "confirm" / "confirm.md").read_text()
    )


def test_what_differs_by_more_is(told, folder):
    assert "Trial 2 is better than trial 1, beyond noise." in told["steep"]
    best, other = folder.facts("steep")["finalists"]
    assert (best["trial"], other["best_is_better"]) == (2, True)
    assert 90 < other["lead_of_best"]["mean"] < 110
    assert other["lead_of_best"]["low"] > 0


def test_trials_that_differ_only_in_their_seed_are_one_configuration(told, folder):
    assert (
        "differ only in their seed: they are one configuration, and none of them is better" in told["seeds"]
    )
    [one] = folder.facts("seeds")["finalists"]
    assert len(one["differ_only_in_seed"]) == 2
    assert one["optimism"] == pytest.approx(one["search"] - sum(one["values"]) / 2)
    assert "confirming 1 finalist (of 3 asked for) on 2 fresh seeds: 2 trainings" in told["seeds"]


def test_a_confirmed_sweep_is_finished_and_shows_its_results_again(told, folder):
    assert "sweep even is finished: 4 of 4 trials" in told["even again"]
    assert folder.facts("even")["verdict"] in told["even again"]
    assert "confirming" not in told["even again"]


def test_trainings_do_not_count_as_trials_of_the_search(told, folder):
    study = folder.study("even")
    assert len(study.trials) == 4
    assert len(find_confirm_study(study).trials) == 9


def test_what_has_failed_is_tried_again_when_the_sweep_goes_on(told, folder):
    assert "failed  code: RuntimeError: it breaks" in told["broken"]
    assert "No finalist has a value on every fresh seed." in told["broken"]
    assert "has a value on 0 of 2 seeds" in told["broken"]
    assert "confirming 1 finalist on 2 fresh seeds: 2 trainings" in told["mended"]
    assert "confirmed on 2 fresh seeds" in told["mended"]
    assert "sweep broken is finished" in told["mended again"]
    assert len(find_confirmed(folder.study("broken")).standings) == 1


def test_a_killed_stage_goes_on_where_it_was(folder):
    slow = ["-m", "x=range(40,42)", "hydra.sweeper.name=killed", "seconds=0.3", TOP_2]
    process = folder.start(*slow)
    log = folder.path / "out" / "killed" / "confirm"
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and len(list(log.glob("*/outcome.json"))) < 2:
        time.sleep(0.05)
    process.kill()
    process.communicate(timeout=300)
    before, trained = done(folder.study("killed")), folder.trained()
    assert 1 <= len(before) < 6
    [out] = folder.many(slow)
    assert "confirmed on 3 fresh seeds" in out
    assert "trial   0  done" not in out
    points = done(folder.study("killed"))
    assert len(points) == len(set(points)) == 6
    for x, seed in before:
        assert folder.trained()[f"{x} {seed}"] == trained[f"{x} {seed}"] == 1


def done(search: optuna.Study) -> list[tuple[int, int]]:
    """Return what has been confirmed, as values of x and seed."""
    trials = find_confirm_study(search).get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    return [(search.trials[one.params["trial"]].params["x"], one.params["seed"]) for one in trials]


@pytest.mark.slow
def test_no_better_one_is_declared_where_trials_differ_only_by_chance(folder):
    """In any of five sweeps whose configurations are equally good: a false alarm in 1 of 20 is expected."""
    names = [f"chance{number}" for number in range(5)]
    lines = [
        ["-m", "x=interval(0.0,1.0)", f"hydra.sweeper.name={name}", f"hydra.sweeper.seed={number}",
         "hydra.sweeper.n_trials=12", "hydra.sweeper.confirm.seeds=5"]
        for number, name in enumerate(names)
    ]  # fmt: skip
    for name, out in zip(names, folder.many(*lines), strict=True):
        assert "differ by less than noise: none of them is better" in out
        assert not any(one["best_is_better"] for one in folder.facts(name)["finalists"])
