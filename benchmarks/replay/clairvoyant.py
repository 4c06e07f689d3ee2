"""A bound for searches that begin at random: what one would need that knows how each training will end.

It trains random configs, each for one epoch, and goes on at once, without a new start, with those that will
reach the level. Nobody knows that after an epoch: a search that is faster has drawn better than at random.
"""

import heapq
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution

from replay.curve_model import Curve
from replay.keras_tuner_hyperband import Run, drawn_config, epochs_of
from replay.virtual_engine import Costs, Reported


def search(
    train: Callable[[Mapping[str, Any]], Curve],
    space: Mapping[str, BaseDistribution],
    *,
    level: float,
    costs: Costs,
    seconds: float,
    n_trials: int | None,
    slots: int,
    seed: int,
) -> list[Reported]:
    """Search on a virtual clock; return the epochs trained in the order of time."""
    generator = np.random.default_rng(seed)
    history: list[Reported] = []
    free_at = [0.0] * slots
    number = 0
    while free_at[0] < seconds and (n_trials is None or number < n_trials):
        params = drawn_config(space, generator)
        curve = train(params)
        will_reach_it = curve.reported.max() >= level
        run = Run(number, params, 0, len(curve.reported) if will_reach_it else 1)
        epochs = epochs_of(run, curve, costs, free_at[0])
        history += epochs
        heapq.heapreplace(free_at, epochs[-1].time)
        number += 1
    return sorted(history, key=lambda one: one.time)
