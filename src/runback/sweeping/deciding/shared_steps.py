"""Lets a sampler learn from all trials: two are compared at the last step that both have come to.

Optuna's samplers rank what is complete before what was pruned, and that by its last step before its value.
"""

import copy
import math
from collections.abc import Sequence

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from runback.sweeping.study.attributes import ENDED_BY


def ranked_at_shared_steps(trials: Sequence[FrozenTrial], direction: StudyDirection) -> list[FrozenTrial]:
    """Return the trials as a sampler is to learn from them.

    Each that has reported, paused and running ones too, is complete; its value is the share of the others
    that it was better than at the last step that both have come to, by the best value that each had by then.
    One that is complete without a report had its value at each step. One that its params have ended, or that
    was pruned without a report, is worse than all. Others stay as they are, as those that run and have
    reported nothing.
    """
    sign = 1 if direction == StudyDirection.MAXIMIZE else -1
    curves = _curves([trial for trial in trials if not _is_worst(trial)])
    shares = dict(zip(curves, _shares([*curves.values()], sign), strict=True))
    shares |= {trial.number: -1.0 for trial in trials if _is_worst(trial)}
    return [_learned(trial, shares, sign) for trial in trials]


def _is_worst(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.PRUNED and (ENDED_BY in trial.user_attrs or not _values(trial))


def _curves(trials: Sequence[FrozenTrial]) -> dict[int, dict[int, float]]:
    """Return the curves of the trials that have a value, by their numbers."""
    curves = {trial.number: _values(trial) for trial in trials if _values(trial)}
    steps = {step for curve in curves.values() for step in curve} or {1}
    for trial in trials:
        if (
            trial.number not in curves
            and trial.state == TrialState.COMPLETE
            and math.isfinite(trial.values[0])
        ):
            curves[trial.number] = dict.fromkeys(steps, trial.values[0])
    return curves


def _learned(trial: FrozenTrial, shares: dict[int, float], sign: int) -> FrozenTrial:
    if trial.number not in shares:
        return trial
    learned = copy.copy(trial)
    learned.state = TrialState.COMPLETE
    learned.values = [sign * shares[trial.number]]
    return learned


def _shares(curves: Sequence[dict[int, float]], sign: int) -> list[float]:
    """Return the share of the comparisons that each curve wins; an equal one is half won."""
    if len(curves) < 2:
        return [0.5] * len(curves)
    steps = sorted({step for curve in curves for step in curve})
    last = np.array([max(curve) for curve in curves])
    best = np.array([_best_so_far(curve, steps, sign) for curve in curves])  # (trials, steps)
    shared = np.searchsorted(steps, np.minimum(last[:, None], last[None, :]))  # (trials, trials)
    own = np.take_along_axis(best, shared, axis=1)
    wins = (own > own.T) + 0.5 * (own == own.T)
    np.fill_diagonal(wins, 0.0)
    return [float(share) for share in wins.sum(axis=1) / (len(curves) - 1)]


def _values(trial: FrozenTrial) -> dict[int, float]:
    return {step: value for step, value in trial.intermediate_values.items() if math.isfinite(value)}


def _best_so_far(curve: dict[int, float], steps: Sequence[int], sign: int) -> list[float]:
    best, found = -math.inf, []
    for step in steps:
        best = max(best, sign * curve[step]) if step in curve else best
        found.append(best)
    return found
