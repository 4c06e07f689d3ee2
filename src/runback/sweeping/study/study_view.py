"""A study as one trial may see it: what its sampler and its pruner read and write."""

import copy
from collections.abc import Container, Mapping, Sequence
from typing import Any, cast

from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from runback.sweeping.study.attributes import JOURNAL


class StudyView:
    """Optuna's storage with `others` and one trial more, `own`. What is written stays in here.

    A trial's number and params so come into the study at once, in one transaction, or not at all; and what a
    sampler notes about the whole study (how far it is in a sequence, which trials are the parents of a
    generation) comes with them.
    """

    def __init__(
        self, study: Study, others: Sequence[FrozenTrial], own: FrozenTrial, asked: Sequence[FrozenTrial] = ()
    ) -> None:
        """`asked` are the trials whose samplers' notes about the study count."""
        self._study = study
        self._others = {trial._trial_id: trial for trial in others}
        self.own = own
        self._notes = noted(asked)
        self.written: dict[str, Any] = {}

    def study(self, sampler: BaseSampler | None = None, pruner: BasePruner | None = None) -> Study:
        """Return the study that consists of what can be seen here."""
        return Study(self._study.study_name, cast("BaseStorage", self), sampler, pruner)

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return the real study's ID."""
        return self._study._study_id

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return the real study's name."""
        return self._study.study_name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Return the real study's directions."""
        return self._study.directions

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the real study's attributes."""
        return self._study.user_attrs

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the real study's attributes, and those that samplers wrote since."""
        real = self._study._storage.get_study_system_attrs(study_id)
        return {**real, **self._notes, **self.written}

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Keep what a sampler writes about the study."""
        self.written[key] = value

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Return the ID of the one trial that can be asked for here."""
        return self.own._trial_id

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial."""
        return self.own if trial_id == self.own._trial_id else self._others[trial_id]

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials in the order of their numbers."""
        trials = [t for t in (*self._others.values(), self.own) if states is None or t.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Keep a param of the own trial."""
        self.own.params = {
            **self.own.params, param_name: distribution.to_external_repr(param_value_internal)
        }  # fmt: skip
        self.own.distributions = {**self.own.distributions, param_name: distribution}

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Keep what a sampler or pruner writes about a trial: its own, or for others no longer than this."""
        trial = self.get_trial(trial_id)
        trial = trial if trial is self.own else self._copied(trial)
        trial.system_attrs = {**trial.system_attrs, key: value}

    def _copied(self, trial: FrozenTrial) -> FrozenTrial:
        self._others[trial._trial_id] = copied = copy.copy(trial)
        return copied


def noted(asked: Sequence[FrozenTrial]) -> dict[str, Any]:
    """Return what the samplers of these trials wrote about their study."""
    notes: dict[str, Any] = {}
    for trial in asked:
        notes.update(_journal(trial).get("study", {}))
    return notes


def own_attributes(trial: FrozenTrial) -> dict[str, Any]:
    """Return the system attributes that a trial got when it was asked for."""
    names = _journal(trial).get("own", [])
    return {name: value for name, value in trial.system_attrs.items() if name in names}


def _journal(trial: FrozenTrial) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", trial.system_attrs.get(JOURNAL, {}))
