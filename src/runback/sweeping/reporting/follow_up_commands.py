"""The commands that go on from a sweep: a person copies them from its note."""

import os
import re
import shlex
from pathlib import Path

from omegaconf import DictConfig
from optuna.study import Study

from runback.sweeping.confirm.winner import winners_run
from runback.sweeping.hydra_task import TASK_VARIABLE
from runback.sweeping.reporting import public_values
from runback.sweeping.study.attributes import RUN_ID
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.study_store import best_trials, finished_count
from runback.system.config.override_text import quoted
from runback.system.config.written_config import written_overrides
from runback.tracking.layout import ROOT_VARIABLE

OWN = (
    "+sweeps",
    "+given",
    "hydra.sweeper.name",
    "hydra.sweeper.extend",
    "hydra.sweeper.n_trials",
    "hydra.mode",
    "hydra.output_subdir",
)
"""Overrides that commands give another way."""


def commands(study: Study, budget: Budget, config: DictConfig, best_config: Path) -> list[tuple[str, str]]:
    """Return pairs of what a command does and the command; none for trials without runs of their own.

    Of an app that is neither the classifier nor a script, nobody knows how it is started again. `config` is
    the sweep's, with Hydra's part; `best_config` the file with the best trial's.
    """
    best, winner = best_trials(study, 1), winners_run(study)
    run_id = winner or (best[0].user_attrs.get(RUN_ID) if best else None)
    if run_id is None:
        return []
    which = "best trial" if winner is None else "winner"
    name, named = shlex.quote(study.study_name), shlex.quote(str(run_id))
    table = ("all trials in one table", f"runback compare --sweep {name}")
    again = f"runback reproduce {named}"
    script = script_swept()
    if script is not None:
        go_on = _go_on_with(script, study, budget, config)
        return [("go on", go_on), table, (f"the {which}, trained again and compared", again)]
    if not is_classifier(config):
        return [table]
    return [
        ("go on", _go_on(study, budget, config)),
        table,
        (f"the {which}: on the test split, trained again and compared", f"runback evaluate {named}"),
        ("", again),
        (
            "the config of the search's best trial",
            f"runback train --config {shlex.quote(public_values.path(best_config))}",
        ),
    ]


def script_swept() -> str | None:
    """Return what names the task that is swept, as train.py:train; None where that is in no script."""
    place, _, name = os.environ.get(TASK_VARIABLE, "").rpartition(":")
    if not place:
        return None
    root, file = Path(os.environ.get(ROOT_VARIABLE, "/")), Path(place).resolve()
    is_inside = place.endswith(".py") and file.is_relative_to(root)
    return f"{file.relative_to(root).as_posix() if is_inside else place}:{name}"


def is_classifier(config: DictConfig) -> bool:
    """Tell whether a sweep's config is that of `runback sweep NAME`, which sets the project's folder."""
    return ROOT_VARIABLE in os.environ and config.hydra.job.config_name == "train"


def _overrides(study: Study, budget: Budget, config: DictConfig) -> list[str]:
    hydra = config.hydra
    given = [*written_overrides(hydra.overrides.hydra), *written_overrides(hydra.overrides.task)]
    overrides = [override for override in given if override.partition("=")[0] not in OWN]
    if budget.n_trials is not None:
        count = budget.n_trials * (2 if finished_count(study) >= budget.n_trials else 1)
        overrides.append(f"hydra.sweeper.n_trials={count}")
    return overrides


def _go_on_with(script: str, study: Study, budget: Budget, config: DictConfig) -> str:
    """Return the command that goes on with the sweep of a script."""
    name, file = study.study_name, config.hydra.runtime.choices.get("sweeps")
    chosen = [] if file is None else [f"+sweeps={file}"]
    default = script.rpartition(":")[2] if file is None else file
    named = [] if name == default else [f"hydra.sweeper.name={quoted(name)}"]
    return shlex.join(["runback", "sweep", script, *chosen, *named, *_overrides(study, budget, config)])


def _go_on(study: Study, budget: Budget, config: DictConfig) -> str:
    name, file = study.study_name, config.hydra.runtime.choices.get("sweeps")
    overrides = _overrides(study, budget, config)
    if file is None:
        verb = ["train", "--multirun", f"hydra.sweeper.name={quoted(name)}"]
    else:
        verb = ["sweep", *arguments_of(str(file), name)]
    return shlex.join(["runback", *verb, *overrides])


def arguments_of(file: str, name: str) -> list[str]:
    """Return what `runback sweep` is called with for a sweep of this name, by this file of `sweeps/`."""
    is_own = re.fullmatch(rf"{re.escape(file)}(-\d+)?", name)
    return [name] if is_own else [file, f"hydra.sweeper.name={quoted(name)}"]
