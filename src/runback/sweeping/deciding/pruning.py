"""Decides when a trial has seen enough."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial

from runback.sweeping.study.optuna_internals import storage_of
from runback.sweeping.study.study_view import StudyView, own_attributes


class Pruning(Protocol):
    """Decides when one trial ends."""

    def decide(self, step: int, value: float) -> bool:
        """Return whether the trial ends that reported this value, which the study has."""


class LivePruning:
    """Compares a trial with all that the study has at this moment."""

    def __init__(self, study: Study, pruner: BasePruner, trial_id: int) -> None:
        self._study, self._pruner, self._trial_id = study, pruner, trial_id

    def decide(self, step: int, value: float) -> bool:
        """Return whether the trial ends that reported this value, which the study has."""
        return self._pruner.prune(self._study, storage_of(self._study).get_trial(self._trial_id))


class OrderedPruning:
    """Compares a trial with the same others at every time: with those that are `known` to it.

    Replays the decisions on values reported before a restart, so that a decision lost with a killed
    coordinator is made again, identically.
    """

    def __init__(
        self, study: Study, pruner: BasePruner, known: Sequence[FrozenTrial], trial: FrozenTrial
    ) -> None:
        self._own = copy.copy(trial)
        self._own.intermediate_values = {}
        self._own.system_attrs = own_attributes(trial)
        self._pruner = pruner
        self._study = StudyView(study, known, self._own).study(pruner=pruner)
        self._decided: dict[int, bool] = {}
        for step, value in sorted(trial.intermediate_values.items()):
            self.decide(step, value)

    def decide(self, step: int, value: float) -> bool:
        """Return whether the trial ends that reported this value."""
        if step not in self._decided:
            self._own.intermediate_values = {**self._own.intermediate_values, step: value}
            self._decided[step] = self._pruner.prune(self._study, self._own)
        return self._decided[step]

    @property
    def notes(self) -> Mapping[str, Any]:
        """The pruner's notes about the trial."""
        return self._own.system_attrs
