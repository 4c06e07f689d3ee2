"""A study as one trial may see it: what its sampler and its pruner read and write."""

import copy
from collections.abc import Container, Mapping, Sequence
from typing import Any, NoReturn, cast

from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from runback.sweeping.study import optuna_internals
from runback.sweeping.study.attributes import JOURNAL


def _refused(method: str) -> Any:
    """Return a method in the place of one of Optuna's that a view has no answer to."""

    def refuse(self: object, *arguments: Any, **options: Any) -> NoReturn:
        raise NotImplementedError(f"a sampler or pruner called {method}, which a view of a study refuses")

    return refuse


class StudyView(BaseStorage):
    """A storage with `others` and one trial more, `own`. What is written stays in here.

    A trial's number and params so come into the study at once, in one transaction, or not at all; and what a
    sampler notes about the whole study (how far it is in a sequence, which trials are the parents of a
    generation) comes with them. Optuna's methods that change more than that raise NotImplementedError.
    """

    create_new_study = _refused("create_new_study")
    delete_study = _refused("delete_study")
    get_all_studies = _refused("get_all_studies")
    set_study_user_attr = _refused("set_study_user_attr")
    set_trial_intermediate_value = _refused("set_trial_intermediate_value")
    set_trial_state_values = _refused("set_trial_state_values")
    set_trial_user_attr = _refused("set_trial_user_attr")

    def __init__(
        self, study: Study, others: Sequence[FrozenTrial], own: FrozenTrial, asked: Sequence[FrozenTrial] = ()
    ) -> None:
        """`asked` are the trials whose samplers' notes about the study count."""
        self._study = study
        self._others = {optuna_internals.trial_id(trial): trial for trial in others}
        self.own = own
        self._notes = noted(asked)
        self.written: dict[str, Any] = {}

    def study(self, sampler: BaseSampler | None = None, pruner: BasePruner | None = None) -> Study:
        """Return the study that consists of what can be seen here."""
        return Study(self._study.study_name, self, sampler, pruner)

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return the real study's ID."""
        return optuna_internals.study_id(self._study)

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
        real = optuna_internals.storage_of(self._study).get_study_system_attrs(study_id)
        return {**real, **self._notes, **self.written}

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Keep what a sampler writes about the study."""
        self.written[key] = value

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Return the ID of the one trial that can be asked for here."""
        return optuna_internals.trial_id(self.own)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial."""
        return self.own if trial_id == optuna_internals.trial_id(self.own) else self._others[trial_id]

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
        self._others[optuna_internals.trial_id(trial)] = copied = copy.copy(trial)
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
