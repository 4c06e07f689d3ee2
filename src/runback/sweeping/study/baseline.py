"""Compares a sweep's best trial with the trial that is the config as it was composed."""

from collections.abc import Mapping
from typing import Any

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from runback.sweeping.study import states
from runback.sweeping.study.study_store import best_trials
from runback.system.text.listing import listed

NAMED = 5
"""Trials that are better in several objectives, which are named."""


def baseline_text(study: Study, point: Mapping[str, Any] | None) -> str:
    """Return a sentence on how the best compares with the config as it is; empty where no trial is that.

    `point` are the config's own params, where they are in the search space.
    """
    trials = study.get_trials(deepcopy=False)
    own = next((trial for trial in trials if point is not None and trial.params == point), None)
    if own is None:
        return ""
    if own.state != TrialState.COMPLETE:
        return f"the config as it is: no value, {_without_value(own)}; best: {_best(study)}"
    said = f"the config as it is: {_values(own)} (trial {own.number})"
    better = [trial for trial in trials if trial.state == TrialState.COMPLETE and _beats(trial, own, study)]
    if not better:
        return f"{said}; no trial is better"
    if len(study.directions) == 1:
        return f"{said}; best: {_best(study)}"
    numbers = listed([str(trial.number) for trial in better], NAMED)
    return f"{said}; better in one objective and as good in all: trial {numbers}"


def _best(study: Study) -> str:
    best = best_trials(study, 1)
    if not best:
        return "none"
    more = "" if len(study.directions) == 1 else ", of the Pareto front"
    return f"{_values(best[0])} (trial {best[0].number}{more})"


def _values(trial: FrozenTrial) -> str:
    return ", ".join(f"{value:.4f}" for value in trial.values)


def _without_value(trial: FrozenTrial) -> str:
    """Return how a trial stands that has no value."""
    word = states.state(trial)
    at = f" at {states.reached(trial)}" if trial.intermediate_values else ""
    match word:
        case "failed":
            return f"trial {trial.number} failed ({states.failure(trial)})"
        case "pruned":
            return f"trial {trial.number} was pruned{at}"
        case "waiting":
            return f"trial {trial.number} is to go on"
    return f"trial {trial.number} is {word}{at}"


def _beats(trial: FrozenTrial, other: FrozenTrial, study: Study) -> bool:
    """Tell whether a trial is better in an objective, and as good in all others."""
    gains = [
        one - two if direction == StudyDirection.MAXIMIZE else two - one
        for one, two, direction in zip(trial.values, other.values, study.directions, strict=True)
    ]
    return min(gains) >= 0 and max(gains) > 0
