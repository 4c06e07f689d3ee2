"""The results of a confirm stage: read from its study, and compared."""

from collections.abc import Sequence
from dataclasses import dataclass

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from runback.statistics.paired_seeds import Standing, standings
from runback.sweeping.confirm.finalists import ConfirmPlan, Finalist
from runback.sweeping.study.attributes import PLAN, REPORTED, RUN_ID
from runback.sweeping.study.study_store import find_confirm_study


@dataclass(frozen=True)
class Training:
    """One finalist on one fresh seed; `value` and `run_id` are None where there is none."""

    trial: int
    seed: int
    value: float | None
    run_id: str | None


@dataclass(frozen=True)
class Confirmed:
    """The results of a sweep's confirm stage, finished or not."""

    sweep: str
    maximize: bool
    plan: ConfirmPlan
    trainings: list[Training]
    """The plan's trainings, seed by seed."""
    standings: list[Standing]
    """The finalists that have a value on every seed, the best first."""

    def finalist(self, trial: int) -> Finalist:
        """Return the finalist that this trial is."""
        return next(one for one in self.plan.finalists if one.trial == trial)

    @property
    def incomplete(self) -> list[Finalist]:
        """Finalists that do not have a value on every seed: nothing is said about them."""
        ranked = {one.trial for one in self.standings}
        return [one for one in self.plan.finalists if one.trial not in ranked]

    def values(self, trial: int) -> list[float]:
        """Return the values that a finalist has, in the order of the seeds."""
        return [one.value for one in self.trainings if one.trial == trial and one.value is not None]


def stored_plan(study: Study) -> ConfirmPlan | None:
    """Return the plan that a confirm study follows, None where it has none yet."""
    content = study.user_attrs.get(PLAN)
    return None if content is None else ConfirmPlan.from_json(content)


def keep_plan(study: Study, plan: ConfirmPlan) -> None:
    """Let a confirm study follow this plan from now on."""
    if stored_plan(study) != plan:
        study.set_user_attr(PLAN, plan.as_json())


def is_reported(study: Study, plan: ConfirmPlan) -> bool:
    """Tell whether nothing is left to do for this plan."""
    return bool(study.user_attrs.get(REPORTED) == plan.as_json())


def keep_reported(study: Study, plan: ConfirmPlan) -> None:
    """Note that nothing is left to do for this plan."""
    study.set_user_attr(REPORTED, plan.as_json())


def find_confirmed(search: Study) -> Confirmed | None:
    """Return the results so far of the confirm stage of a search; None where it has none."""
    study = find_confirm_study(search)
    plan = None if study is None else stored_plan(study)
    return None if study is None or plan is None else confirmed(study, plan, search.study_name)


def confirmed(study: Study, plan: ConfirmPlan, sweep: str) -> Confirmed:
    """Compare the finalists of a plan by what the stage's study has by now."""
    maximize = study.direction == StudyDirection.MAXIMIZE
    trainings = _trainings(study.get_trials(deepcopy=False), plan)
    result = Confirmed(sweep, maximize, plan, trainings, [])
    whole = {one.trial: result.values(one.trial) for one in plan.finalists}
    whole = {trial: values for trial, values in whole.items() if len(values) == len(plan.seeds)}
    if whole:
        search = {one.trial: one.value for one in plan.finalists}
        result.standings.extend(standings(search, whole, maximize=maximize))
    return result


def _trainings(trials: Sequence[FrozenTrial], plan: ConfirmPlan) -> list[Training]:
    # Of several the last counts: the others have failed.
    trained = {(trial.params["trial"], trial.params["seed"]): trial for trial in trials}
    return [_training(point["trial"], point["seed"], trained) for point in plan.points]


def _training(trial: int, seed: int, trained: dict[tuple[int, int], FrozenTrial]) -> Training:
    last = trained.get((trial, seed))
    if last is None:
        return Training(trial, seed, None, None)
    value = float(last.values[0]) if last.state == TrialState.COMPLETE and last.values else None
    return Training(trial, seed, value, last.user_attrs.get(RUN_ID))
