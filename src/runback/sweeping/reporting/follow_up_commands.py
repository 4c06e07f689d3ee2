"""The commands that go on from a sweep: a person copies them from its note."""

import re
import shlex
from pathlib import Path

from omegaconf import DictConfig
from optuna.study import Study

from runback.sweeping.confirm.winner import winners_run
from runback.sweeping.reporting import public_values
from runback.sweeping.study.attributes import RUN_ID
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.study_store import best_trials, finished_count
from runback.system.config.override_text import quoted
from runback.system.config.written_config import written_overrides

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

    `config` is the sweep's, with Hydra's part; `best_config` the file with the best trial's.
    """
    best, winner = best_trials(study, 1), winners_run(study)
    run_id = winner or (best[0].user_attrs.get(RUN_ID) if best else None)
    if run_id is None:
        return []
    which = "best trial" if winner is None else "winner"
    name, named = shlex.quote(study.study_name), shlex.quote(str(run_id))
    return [
        ("go on", _go_on(study, budget, config)),
        ("all trials in one table", f"runback compare --sweep {name}"),
        (f"the {which}: on the test split, trained again and compared", f"runback evaluate {named}"),
        ("", f"runback reproduce {named}"),
        (
            "the config of the search's best trial",
            f"runback train --config {shlex.quote(public_values.path(best_config))}",
        ),
    ]


def _go_on(study: Study, budget: Budget, config: DictConfig) -> str:
    hydra = config.hydra
    given = [*written_overrides(hydra.overrides.hydra), *written_overrides(hydra.overrides.task)]
    overrides = [override for override in given if override.partition("=")[0] not in OWN]
    if budget.n_trials is not None:
        count = budget.n_trials * (2 if finished_count(study) >= budget.n_trials else 1)
        overrides.append(f"hydra.sweeper.n_trials={count}")
    name = study.study_name
    file = hydra.runtime.choices.get("sweeps")
    if file is None:
        verb = ["train", "--multirun", f"hydra.sweeper.name={quoted(name)}"]
    else:
        verb = ["sweep", *arguments_of(str(file), name)]
    return shlex.join(["runback", *verb, *overrides])


def arguments_of(file: str, name: str) -> list[str]:
    """Return what `runback sweep` is called with for a sweep of this name, by this file of `sweeps/`."""
    is_own = re.fullmatch(rf"{re.escape(file)}(-\d+)?", name)
    return [name] if is_own else [file, f"hydra.sweeper.name={quoted(name)}"]
