"""The description of a sweep's run: Markdown, read in MLflow."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from runback.sweeping.reporting import public_values
from runback.sweeping.reporting.markdown import code_block, table_row
from runback.sweeping.study import states
from runback.sweeping.study.attributes import RUN_ID
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.study_store import best_trials, finished_count
from runback.sweeping.study.training_times import training_times
from runback.system.text.escape import for_markdown, for_terminal
from runback.system.text.formatting import duration, short_value

BEST = 5
"""Trials in the table."""

PARAMS = 10
"""Columns of params in it: more are wider than the page."""


@dataclass(frozen=True)
class RunLinks:
    """The place of the sweep's run in MLflow."""

    experiment_id: str
    run_id: str

    def trial(self, run_id: str) -> str:
        """Return the address of a trial's run in MLflow's page."""
        return f"#/experiments/{quote(self.experiment_id, safe='')}/runs/{quote(run_id, safe='')}"

    def artifact(self, name: str) -> str:
        """Return the address of one of the sweep's own artifacts."""
        return f"{self.trial(self.run_id)}/artifacts/{quote(name)}"


def note(
    study: Study,
    place: RunLinks,
    budget: Budget,
    *,
    elapsed: float,
    commands: Sequence[tuple[str, str]],
    artifacts: Sequence[str] = (),
    confirmed: str = "",
    compared: str = "",
    cost: str = "",
    troubles: Sequence[str] = (),
) -> str:
    """Return the note. `elapsed` are seconds since this start, `artifacts` the names of those to open first.

    `commands` are pairs of what a command does and the command, `confirmed` the confirm stage's own section,
    `compared` how the best compares with the config as it is, `cost` what it all took, `troubles` what of the
    output could not be written.
    """
    links = " · ".join(f"[{for_markdown(name)}]({place.artifact(name)})" for name in artifacts)
    # MLflow shows about six lines until one clicks for more.
    paragraphs = [_progress(study, budget, elapsed), links, _table(study, place), for_markdown(compared)]
    paragraphs += [_paused(study, place), confirmed]
    paragraphs += [_commands(commands), for_markdown(cost), *map(for_markdown, troubles)]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _progress(study: Study, budget: Budget, elapsed: float) -> str:
    trials = study.get_trials(deepcopy=False)
    running = sum(trial.state == TrialState.RUNNING for trial in trials)
    done = f"{finished_count(study)} of {budget.n_trials}" if budget.n_trials else str(finished_count(study))
    parts = [f"**{done} trials**", *([f"{running} running"] if running else []), *states.counts(trials)]
    parts.append(f"{duration(_busy_seconds(trials))} with trials running")
    if budget.timeout is not None:
        parts.append(
            f"{duration(min(elapsed, budget.timeout))} of {duration(budget.timeout)} since its start"
        )
    return " · ".join(parts)


def _table(study: Study, place: RunLinks) -> str:
    best = best_trials(study, BEST)
    if not best:
        return ""
    params = dict(list(public_values.param_names(study.get_trials(deepcopy=False)).items())[:PARAMS])
    objectives = map(_objective, public_values.objectives(study), study.directions)
    heads = ["trial", *objectives, *map(for_markdown, params.values()), "time"]
    rows = [heads, *(_row(trial, list(params), place) for trial in best)]
    lines = [table_row(cells) for cells in rows]
    lines.insert(1, "|" + " --- |" * len(heads))
    name = "" if len(study.directions) == 1 else "Trials that no other one beats in every objective:\n\n"
    return name + "\n".join(lines)


def _objective(name: str, direction: StudyDirection) -> str:
    return f"{for_markdown(name)} {'↑' if direction == StudyDirection.MAXIMIZE else '↓'}"


def _paused(study: Study, place: RunLinks) -> str:
    """Return the paused trials that have come furthest, in a line."""
    if len(study.directions) > 1:
        return ""
    paused = states.paused_trials(study.get_trials(deepcopy=False), study.direction, BEST)
    shown = [f"trial {_link(trial, place)} {states.reached(trial)}" for trial in paused]
    return f"Paused: {' · '.join(shown)}" if shown else ""


def _link(trial: FrozenTrial, place: RunLinks) -> str:
    run_id = trial.user_attrs.get(RUN_ID)
    return str(trial.number) if run_id is None else f"[{trial.number}]({place.trial(run_id)})"


def _row(trial: FrozenTrial, params: Sequence[str], place: RunLinks) -> list[str]:
    values = [f"**{value:.4f}**" for value in trial.values]
    chosen = [
        for_markdown(short_value(public_values.param(name, trial.params.get(name, "")))) for name in params
    ]
    return [_link(trial, place), *values, *chosen, duration(public_values.seconds(trial) or 0.0)]


def _commands(commands: Sequence[tuple[str, str]]) -> str:
    if not commands:
        return ""
    printable = [(purpose, for_terminal(command)) for purpose, command in commands]
    lines = [f"# {purpose}\n{command}" if purpose else command for purpose, command in printable]
    return code_block("\n".join(lines))


def _busy_seconds(trials: Sequence[FrozenTrial]) -> float:
    """Return the time in which at least one trial ran: a sweep may have been continued after a night."""
    now = datetime.now()
    spans = [(start, end or now) for trial in trials for start, end in training_times(trial)]
    total, until = timedelta(), datetime.min
    for start, end in sorted(spans):
        total += max(end - max(start, until), timedelta())
        until = max(until, end)
    return total.total_seconds()
