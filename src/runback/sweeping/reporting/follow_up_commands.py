"""The commands that go on from a sweep: a person copies them from its note."""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from optuna.study import Study

from runback.sweeping.confirm.winner import winners_run
from runback.sweeping.reporting import public_values
from runback.sweeping.study.attributes import RECORDED, RUN_ID
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.study_store import best_trials, finished_count
from runback.system.config.override_text import quoted
from runback.system.config.written_config import written_overrides
from runback.system.secrecy.config_secrets import masked_override
from runback.tracking.tracking_server import given_words

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


@dataclass(frozen=True)
class AppCommands:
    """How the app of a sweep is started, and what else can be done with its runs."""

    words: tuple[str, ...]
    """The words that its command line begins with, before the overrides; none: no command starts it."""
    is_evaluated: bool
    """Whether `runback evaluate` measures its runs, and `runback train --config` takes their configs."""
    overrides: Callable[[Mapping[str, Any]], Sequence[str]]
    """Returns the overrides of a trial with these params."""
    is_of_runback: bool = True
    """Whether runback starts it, so that all its runs can be run back, and its name leads to its folder."""

    def train(self, params: Mapping[str, Any], best_config: Path) -> str:
        """Return the command that trains once, as the trial with these params; empty where none does."""
        if self.is_evaluated:
            return shlex.join(
                ["runback", "train", "--config", public_values.path(best_config), *given_words()]
            )
        if not self.words:
            return ""
        given = map(masked_override, self.overrides(params))
        return shlex.join([*self.words, *(one for one in given if not _is_own(one)), *given_words()])


def commands(
    study: Study, budget: Budget, config: DictConfig, best_config: Path, app: AppCommands
) -> list[tuple[str, str]]:
    """Return pairs of what a command does and the command; none for trials without runs of their own.

    Of an app that is neither the classifier nor a script, nobody knows how it is started again. `config` is
    the sweep's, with Hydra's part; `best_config` the file with the best trial's.
    """
    best, winner = best_trials(study, 1), winners_run(study)
    run_id = winner or (best[0].user_attrs.get(RUN_ID) if best else None)
    if run_id is None:
        return []
    which = "best trial" if winner is None else "winner"
    name, named = (shlex.join([one, *given_words()]) for one in (study.study_name, str(run_id)))
    found = [
        *([("go on", _go_on(study, budget, config, app))] if app.words else []),
        ("all trials in one table", f"runback compare --sweep {name}"),
    ]
    if app.is_evaluated:
        found.append(
            (f"the {which}: on the test split, trained again and compared", f"runback evaluate {named}")
        )
        found.append(("", f"runback reproduce {named}"))
    elif app.is_of_runback or RECORDED in best[0].user_attrs:
        found.append((f"the {which}: trained again and compared", f"runback reproduce {named}"))
    again = app.train(best[0].params, best_config)
    return [*found, ("the config of the search's best trial", again)] if again else found


def _go_on(study: Study, budget: Budget, config: DictConfig, app: AppCommands) -> str:
    hydra = config.hydra
    given = [*written_overrides(hydra.overrides.hydra), *written_overrides(hydra.overrides.task)]
    file = hydra.runtime.choices.get("sweeps") if app.is_evaluated else None
    overrides = [one for one in given if not _is_own(one) or (file is None and one.startswith("+sweeps"))]
    if budget.n_trials is not None:
        count = budget.n_trials * (2 if finished_count(study) >= budget.n_trials else 1)
        overrides.append(f"hydra.sweeper.n_trials={count}")
    overrides += given_words()
    name = study.study_name
    if file is not None:
        return shlex.join(["runback", "sweep", *arguments_of(str(file), name), *overrides])
    if not app.is_of_runback:  # its folder may have the time in its name
        overrides = [one for one in overrides if not one.startswith("hydra.sweep.dir=")]
        overrides.append(f"hydra.sweep.dir={quoted(public_values.path(Path(hydra.sweep.dir).absolute()))}")
    return shlex.join([*app.words, "--multirun", f"hydra.sweeper.name={quoted(name)}", *overrides])


def _is_own(override: str) -> bool:
    return override.partition("=")[0] in OWN


def arguments_of(file: str, name: str) -> list[str]:
    """Return what `runback sweep` is called with for a sweep of this name, by this file of `sweeps/`."""
    is_own = re.fullmatch(rf"{re.escape(file)}(-\d+)?", name)
    return [name] if is_own else [file, f"hydra.sweeper.name={quoted(name)}"]
