"""Optuna's successive halving and Hyperband, whose rungs compare the best value so far, or the last."""

import copy
import math
from typing import Any

from optuna.pruners import HyperbandPruner, SuccessiveHalvingPruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from runback.errors import InputError

COMPARED = ("best", "last")


class RungHalving(SuccessiveHalvingPruner):
    """Successive halving that ends a trial at a rung where others' values were better there.

    Optuna's own compares what was reported last: a trial ends that had a bad epoch at a rung.
    """

    def __init__(
        self,
        *,
        value: str = "best",
        min_resource: int | str = "auto",
        reduction_factor: int = 4,
        min_early_stopping_rate: int = 0,
        bootstrap_count: int = 0,
    ) -> None:
        """`value` is what rungs compare: the best value so far, or the last. Errors: InputError."""
        super().__init__(min_resource, reduction_factor, min_early_stopping_rate, bootstrap_count)
        self._value = checked_value(value)

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Tell whether a trial ends."""
        return super().prune(study, _seen(trial, study.direction, self._value))


class BracketHalving(HyperbandPruner):
    """Hyperband, likewise."""

    def __init__(
        self,
        *,
        value: str = "best",
        min_resource: int = 1,
        max_resource: str | int = "auto",
        reduction_factor: int = 3,
        bootstrap_count: int = 0,
    ) -> None:
        """`value` is what rungs compare: the best value so far, or the last. Errors: InputError."""
        # Optuna would notice at the first report.
        SuccessiveHalvingPruner(min_resource, reduction_factor, 0, bootstrap_count)
        if isinstance(max_resource, int) and max_resource < min_resource:
            raise InputError(
                "hydra.sweeper.pruner.max_resource must be at least min_resource; got "
                f"{max_resource} and {min_resource}"
            )
        super().__init__(min_resource, max_resource, reduction_factor, bootstrap_count)
        self._value = checked_value(value)

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Tell whether a trial ends."""
        return super().prune(study, _seen(trial, study.direction, self._value))


def checked_value(value: Any) -> str:
    """Return what rungs compare, if it is one of `COMPARED`. Errors: InputError."""
    if value not in COMPARED:
        raise InputError(f"hydra.sweeper.pruner.value must be best or last; got {value!r:.80}")
    return str(value)


def _seen(trial: FrozenTrial, direction: StudyDirection, value: str) -> FrozenTrial:
    """Return a trial with the best value so far in the place of its last one, unless that is NaN."""
    last = trial.last_step
    if value == "last" or last is None or math.isnan(trial.intermediate_values[last]):
        return trial
    finite = [one for one in trial.intermediate_values.values() if not math.isnan(one)]
    best = max(finite) if direction == StudyDirection.MAXIMIZE else min(finite)
    seen = copy.copy(trial)
    seen.intermediate_values = {**trial.intermediate_values, last: best}
    return seen
