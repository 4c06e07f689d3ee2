"""Lets a sampler learn from all trials: two are compared at the last step that both have come to.

Optuna's samplers rank what is complete before what was pruned, and that by its last step before its value.
"""

import copy
import math
from collections.abc import Sequence

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState


def ranked_at_shared_steps(trials: Sequence[FrozenTrial], direction: StudyDirection) -> list[FrozenTrial]:
    """Return the trials as a sampler is to learn from them.

    Each that has reported, paused and running ones too, is complete; its value is the share of the others
    that it was better than at the last step that both have come to, by the best value that each had by then.
    One that ended early without a report is worse than all. Others stay as they are, as those that run and
    have reported nothing.
    """
    sign = 1 if direction == StudyDirection.MAXIMIZE else -1
    reported = [trial for trial in trials if _values(trial)]
    shares = dict(zip((trial.number for trial in reported), _shares(reported, sign), strict=True))
    return [_learned(trial, shares, sign) for trial in trials]


def _learned(trial: FrozenTrial, shares: dict[int, float], sign: int) -> FrozenTrial:
    is_worst = trial.number not in shares and trial.state == TrialState.PRUNED
    if trial.number not in shares and not is_worst:
        return trial
    learned = copy.copy(trial)
    learned.state = TrialState.COMPLETE
    learned.values = [sign * shares.get(trial.number, -1.0)]
    return learned


def _shares(trials: Sequence[FrozenTrial], sign: int) -> list[float]:
    """Return the share of the comparisons that each trial wins; an equal one is half won."""
    if len(trials) < 2:
        return [0.5] * len(trials)
    steps = sorted({step for trial in trials for step in _values(trial)})
    last = np.array([max(_values(trial)) for trial in trials])
    best = np.array([_best_so_far(trial, steps, sign) for trial in trials])  # (trials, steps)
    shared = np.searchsorted(steps, np.minimum(last[:, None], last[None, :]))  # (trials, trials)
    own = np.take_along_axis(best, shared, axis=1)
    wins = (own > own.T) + 0.5 * (own == own.T)
    np.fill_diagonal(wins, 0.0)
    return [float(share) for share in wins.sum(axis=1) / (len(trials) - 1)]


def _values(trial: FrozenTrial) -> dict[int, float]:
    return {step: value for step, value in trial.intermediate_values.items() if math.isfinite(value)}


def _best_so_far(trial: FrozenTrial, steps: Sequence[int], sign: int) -> list[float]:
    values, best, found = _values(trial), -math.inf, []
    for step in steps:
        best = max(best, sign * values[step]) if step in values else best
        found.append(best)
    return found
