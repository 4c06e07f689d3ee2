"""Trials that do nothing but sleep, some longer than others, run in several ways.

How long a trial sleeps is a function of its number: whoever runs them has the same work. Each trial notes
when it began and ended: what counts is the time from the first one's start, without the imports before it.
"""

import os
import random
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coordinated

SHORTEST, LONGEST = 0.5, 2.0
"""Seconds that trials sleep."""

HYDRA_OPTUNA_SWEEPER = (
    "hydra-core<1.4",
    "hydra-optuna-sweeper==1.2.0",
    "hydra-joblib-launcher==1.2.0",
    "sqlalchemy<2",  # later ones do not work with that sweeper's Optuna
)

APP = """
import json, os, time
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig


@hydra.main(version_base="1.3", config_path=".", config_name="app")
def app(cfg):
    began = time.monotonic()
    number = HydraConfig.get().job.num
    time.sleep(json.loads(os.environ["SLEEPS"])[number])
    Path(os.environ["SPANS"], str(number)).write_text(f"{began} {time.monotonic()}")
    return (cfg.x - 0.3) ** 2


if __name__ == "__main__":
    app()
"""

TWO_PROCESSES = """
import json, os, sys, time
from pathlib import Path

import optuna

optuna.logging.set_verbosity(optuna.logging.WARNING)
sleeps = json.loads(os.environ["SLEEPS"])


def objective(trial):
    if trial.number >= len(sleeps):  # asked for while the last ones ran
        trial.study.stop()
        raise optuna.TrialPruned
    began = time.monotonic()
    trial.suggest_categorical("optimizer", ["sgd", "adam", "rmsprop"])
    rate = trial.suggest_float("learning_rate", 0.0001, 0.1, log=True)
    trial.suggest_int("width", 32, 512, step=32)
    time.sleep(sleeps[trial.number])
    Path(os.environ["SPANS"], str(trial.number)).write_text(f"{began} {time.monotonic()}")
    return rate


storage = "sqlite:///study.db"
if sys.argv[1] == "create":
    optuna.create_study(storage=storage, study_name="s", direction="maximize")
else:
    study = optuna.load_study(storage=storage, study_name="s", sampler=optuna.samplers.TPESampler())
    study.optimize(objective)
"""


@dataclass(frozen=True)
class Span:
    """When a trial began and ended, in seconds by one clock."""

    began: float
    ended: float


Sweep = Callable[[Path, Sequence[float], int], list[Span]]
"""Runs a trial for each of these sleeps, so many at once, in a folder of its own."""


def unequal(count: int) -> list[float]:
    """Return the seconds that each of `count` trials sleeps: evenly spread, in an order drawn once."""
    step = (LONGEST - SHORTEST) / (count - 1)
    sleeps = [SHORTEST + step * number for number in range(count)]
    random.Random(0).shuffle(sleeps)  # noqa: S311 - an order, not a secret
    return sleeps


def wall(spans: Sequence[Span]) -> float:
    """Return the seconds from the first trial's start to the last one's end."""
    return max(span.ended for span in spans) - min(span.began for span in spans)


def busy(spans: Sequence[Span], slots: int) -> float:
    """Return the share of their time for which `slots` slots ran a trial, until the last one was started.

    From then on there is nothing left for a slot to do.
    """
    first, last = min(span.began for span in spans), max(span.began for span in spans)
    inside = sum(min(span.ended, last) - span.began for span in spans)
    return inside / (slots * (last - first))


def deterministic(folder: Path, sleeps: Sequence[float], slots: int) -> list[Span]:
    """Run them by runback's coordinator, each proposed by the results of the trials `slots` before it."""
    return coordinator(folder, sleeps, slots, deterministic=True)


def coordinator(
    folder: Path, sleeps: Sequence[float], slots: int, *, deterministic: bool = False
) -> list[Span]:
    """Run them by runback's coordinator, without Hydra."""
    spans = folder / "spans"

    def sleep(number: int, params: dict[str, Any]) -> float:
        began = time.monotonic()
        time.sleep(sleeps[number])
        (spans / str(number)).write_text(f"{began} {time.monotonic()}")
        return float(params["learning_rate"])

    spans.mkdir(parents=True)
    coordinated.sweep(
        folder / "sweep", sleep, n_trials=len(sleeps), n_workers=slots, deterministic=deterministic
    )
    return _spans(folder, sleeps)


def runback(folder: Path, sleeps: Sequence[float], slots: int) -> list[Span]:
    """Run them as a sweep of runback in an app under Hydra."""
    config = "defaults:\n  - override hydra/sweeper: runback\n  - override hydra/sweeper/sampler: tpe\nx: 0\n"
    arguments = ["-m", "x=interval(0,1)", "hydra.sweeper.direction=minimize"]
    arguments += [f"hydra.sweeper.n_trials={len(sleeps)}", f"hydra.sweeper.n_workers={slots}"]
    return _app(sys.executable, folder, config, arguments, sleeps)


def hydra_optuna_sweeper(python: str, folder: Path, sleeps: Sequence[float], slots: int) -> list[Span]:
    """Run them as a sweep of hydra-optuna-sweeper, installed where `python` is."""
    config = "defaults:\n  - override hydra/sweeper: optuna\n  - override hydra/launcher: joblib\nx: 0\n"
    arguments = ["-m", "x=interval(0,1)", f"hydra.sweeper.n_trials={len(sleeps)}"]
    arguments += [f"hydra.sweeper.n_jobs={slots}", f"hydra.launcher.n_jobs={slots}"]
    return _app(python, folder, config, arguments, sleeps)


def optuna(folder: Path, sleeps: Sequence[float], slots: int) -> list[Span]:
    """Run them in `slots` processes of Optuna that share one study on SQLite."""
    environment = _environment(folder, sleeps)
    (folder / "optimize.py").write_text(TWO_PROCESSES)
    command = [sys.executable, "optimize.py"]
    subprocess.run([*command, "create"], cwd=folder, env=environment, check=True)
    running = [subprocess.Popen([*command, "run"], cwd=folder, env=environment) for _ in range(slots)]
    for process in running:
        if process.wait() != 0:
            raise SystemExit("a process of Optuna failed")
    return _spans(folder, sleeps)


def install_hydra_optuna_sweeper(folder: Path) -> str:
    """Install it from PyPI into a new environment; return its interpreter."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, *HYDRA_OPTUNA_SWEEPER], check=True)
    return python


def _app(
    python: str, folder: Path, config: str, arguments: Sequence[str], sleeps: Sequence[float]
) -> list[Span]:
    environment = _environment(folder, sleeps)
    if python != sys.executable:
        environment.pop("PYTHONPATH", None)  # it leads to packages of this environment
    (folder / "app.py").write_text(APP)
    (folder / "app.yaml").write_text(config)
    done = subprocess.run(
        [python, "app.py", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return _spans(folder, sleeps)


def _environment(folder: Path, sleeps: Sequence[float]) -> dict[str, str]:
    spans = folder / "spans"
    spans.mkdir(parents=True)
    return {**os.environ, "SLEEPS": str(list(sleeps)), "SPANS": str(spans)}


def _spans(folder: Path, sleeps: Sequence[float]) -> list[Span]:
    files = [folder / "spans" / str(number) for number in range(len(sleeps))]
    return [Span(*map(float, file.read_text().split())) for file in files]
