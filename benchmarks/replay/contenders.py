"""The contenders of a replay: each searches a task on a virtual clock, and returns what it has trained."""

import contextlib
import copy
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from hydra_plugins.runback_sweeper.config import PRUNERS
from replay.clairvoyant import search as clairvoyant
from replay.curve_model import CurveModel
from replay.keras_tuner_hyperband import search as keras_tuner_hyperband
from replay.virtual_engine import Costs, Reported, SearchOver, VirtualEngine
from runback.sweeping.deciding.decisions import Decisions
from runback.sweeping.deciding.promoting import PromotingDecisions
from runback.sweeping.deciding.promotion import Promotion
from runback.sweeping.deciding.proposer import Proposer
from runback.sweeping.space.search_space import Parameter, Space
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.study_store import pruner_for
from runback.sweeping.trials.coordinator import Coordinator
from runback.sweeping.trials.failures import RETRIES, FailurePolicy

EPOCHS = "number of epochs"
"""The param that a training takes its number of epochs from, where it is searched; no table has it."""


@dataclass(frozen=True)
class Task:
    """A search's task: the same for all contenders."""

    model: CurveModel
    space: Space
    n_epochs: int
    """The budget of a training."""
    costs: Costs
    seconds: float
    """The virtual time that a search gets."""
    n_trials: int | None
    """The trials that it gets; None: as many as it can train in the time."""
    slots: int
    level: float
    """The value that is searched for."""
    first: Sequence[Mapping[str, Any]]
    """The points that a contender begins with which takes first points."""


Search = Callable[[Task, int], list[Reported]]
"""Searches with a seed, and returns the epochs trained in the order of time."""


def contenders(n_epochs: int) -> dict[str, Search]:
    """Return the contenders by their names, for trainings with this budget of epochs."""
    random = {"_target_": "optuna.samplers.RandomSampler"}
    tpe = {"_target_": "optuna.samplers.TPESampler"}
    # Each with its own defaults, as Optuna's documentation shows it; its examples count steps from 0.
    halving = {"_target_": "optuna.pruners.SuccessiveHalvingPruner"}
    median = {"_target_": "optuna.pruners.MedianPruner"}
    hyperband = {"_target_": "optuna.pruners.HyperbandPruner", "max_resource": n_epochs}
    # As runback's config groups have it.
    asha, brackets = PRUNERS["asha"], {**PRUNERS["hyperband"], "max_resource": n_epochs}
    return {
        "random": Coordinated(random),
        "optuna tpe": Coordinated(tpe),
        "optuna tpe + successive halving": Coordinated(tpe, halving, first_step=0),
        "optuna tpe + median": Coordinated(tpe, median, first_step=0),
        "optuna tpe + hyperband": Coordinated(tpe, hyperband, first_step=0),
        "keras-tuner hyperband": _keras_tuner,
        "clairvoyant": _clairvoyant,
        "runback": Coordinated(tpe, startup="covering", promotion=Promotion()),
        "runback, first points": Coordinated(
            tpe, startup="covering", promotion=Promotion(), takes_first=True
        ),
        "runback, prior": Coordinated(tpe, startup="covering", promotion=Promotion(), has_prior=True),
        "first points, no baseline": Coordinated(
            tpe, startup="covering", promotion=Promotion(), takes_first=True, has_baseline=False
        ),
        # What it did before, and its parts one by one.
        "asha, epochs searched": Coordinated(tpe, asha, are_epochs_searched=True),
        "asha": Coordinated(tpe, asha),
        "asha, last value": Coordinated(tpe, {**asha, "value": "last"}),
        "hyperband": Coordinated(tpe, brackets),
        "hyperband, last value": Coordinated(tpe, {**brackets, "value": "last"}),
        "asha, covering": Coordinated(tpe, asha, startup="covering"),
        "asha, first points": Coordinated(tpe, asha, takes_first=True),
        "covering": Coordinated(tpe, startup="covering"),
        "promotion": Coordinated(tpe, promotion=Promotion()),
        "promotion, last step first": Coordinated(
            tpe, startup="covering", promotion=Promotion(), learns_at_shared_steps=False
        ),
        "promotion, random": Coordinated(random, promotion=Promotion()),
        "promotion from 2": Coordinated(tpe, startup="covering", promotion=Promotion(2)),
        "promotion from 3": Coordinated(tpe, startup="covering", promotion=Promotion(3)),
        "promotion by 2": Coordinated(tpe, startup="covering", promotion=Promotion(1, 2)),
        "promotion by 4": Coordinated(tpe, startup="covering", promotion=Promotion(1, 4)),
        "promotion by 6": Coordinated(tpe, startup="covering", promotion=Promotion(1, 6)),
        "promotion, not eager": Coordinated(tpe, startup="covering", promotion=Promotion(eager=False)),
        "promotion, multivariate": Coordinated(
            {**tpe, "multivariate": True}, startup="covering", promotion=Promotion()
        ),
        **{
            f"promotion, {n} start-up trials": Coordinated(
                {**tpe, "n_startup_trials": n}, startup="covering", promotion=Promotion()
            )
            for n in (5, 7, 15)
        },
        "promotion, last value": Coordinated(tpe, startup="covering", promotion=Promotion(value="last")),
    }


BY_DEFAULT = (
    "random",
    "optuna tpe",
    "optuna tpe + successive halving",
    "optuna tpe + median",
    "optuna tpe + hyperband",
    "keras-tuner hyperband",
    "clairvoyant",
    "runback",
)
"""The contenders of a replay that names none."""


class LastStepFirst(PromotingDecisions):
    """Promotion whose sampler ranks paused trials as pruned ones: by the last step before the value."""

    def learned(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return trials as the sampler learns from them: what has reported and not ended as pruned."""
        return [_as_pruned(trial) if _has_value(trial) else trial for trial in trials]


def _has_value(trial: FrozenTrial) -> bool:
    return not trial.state.is_finished() and any(map(math.isfinite, trial.intermediate_values.values()))


def _as_pruned(trial: FrozenTrial) -> FrozenTrial:
    pruned = copy.copy(trial)
    pruned.state = TrialState.PRUNED
    return pruned


@dataclass(frozen=True)
class Coordinated:
    """A search by runback's coordinator, with a sampler and a pruner as its config has them."""

    sampler: Mapping[str, Any]
    pruner: Mapping[str, Any] | None = None
    first_step: int = 1
    """The step of the first epoch's report."""
    are_epochs_searched: bool = False
    """Whether the number of epochs is one of the params, from half of the budget to all of it."""
    takes_first: bool = False
    """Whether it begins with the task's first points."""
    has_prior: bool = False
    """Whether each logarithmic axis has the value of the first of them as its prior."""
    has_baseline: bool = True
    """Whether the first of them is trained to its end without a pause."""
    startup: str = "random"
    learns_at_shared_steps: bool = True
    """Whether the sampler of a search with promotion compares trials at the steps that they share."""
    promotion: Promotion | None = None
    """What lets trials pause and go on, in the place of a pruner."""

    def __call__(self, task: Task, seed: int) -> list[Reported]:
        """Search with a seed."""
        return self.played(task, seed).history

    def played(self, task: Task, seed: int, *, ends: bool = False) -> VirtualEngine:
        """Search with a seed; return the engine. With `ends` the search ends at the level, or the time."""
        space = _with_epochs(task) if self.are_epochs_searched else task.space
        if self.has_prior:
            space = _with_priors(space, task)
        engine = VirtualEngine(
            train=partial(task.model.curve, seed=seed),
            costs=task.costs,
            n_epochs=lambda params: int(params.get(EPOCHS, task.n_epochs)),
            first_step=self.first_step,
            level=task.level if ends else math.inf,
            seconds=task.seconds if ends else math.inf,
        )
        study = optuna.create_study(  # Hyperband draws a trial's bracket by the study's name
            storage=InMemoryStorage(), study_name=f"replay {seed}", direction="maximize"
        )
        first = _first(space, task) if self.takes_first else []
        proposer = Proposer(self.sampler, space, seed, first=first, startup=self.startup)
        decisions = Decisions(study, proposer, partial(pruner_for, self.pruner))
        if self.promotion is not None:
            new_pruner = partial(pruner_for, None)
            promoting = PromotingDecisions if self.learns_at_shared_steps else LastStepFirst
            has_baseline = bool(first) and self.has_baseline
            decisions = promoting(study, proposer, new_pruner, None, self.promotion, has_baseline)
        budget = Budget(task.n_trials, task.seconds, task.slots)
        policy = FailurePolicy(RETRIES)
        with contextlib.suppress(SearchOver):
            Coordinator(study, decisions, engine, budget, policy, engine.new_trial, clock=engine.clock).run()
        return engine


def _first(space: Space, task: Task) -> list[dict[str, Any]]:
    """Return the task's first points, within what was recorded."""
    points = [{EPOCHS: task.n_epochs, **point} for point in task.first]
    axes = space.distributions
    return [{name: _within(axis, point[name]) for name, axis in axes.items()} for point in points]


def _within(axis: BaseDistribution, value: Any) -> Any:
    """Return a value, or the end of the recorded range that is next to it: nothing is known beyond."""
    if isinstance(axis, IntDistribution | FloatDistribution):
        return min(axis.high, max(axis.low, value))
    return value


def _with_epochs(task: Task) -> Space:
    epochs = Parameter(EPOCHS, IntDistribution(max(1, task.n_epochs // 2), task.n_epochs))
    return replace(task.space, parameters=(*task.space.parameters, epochs))


def _with_priors(space: Space, task: Task) -> Space:
    likely = task.first[0] if task.first else {}
    return replace(
        space,
        parameters=tuple(
            replace(one, prior=_within(one.distribution, likely[one.name]))
            if one.name in likely and getattr(one.distribution, "log", False)
            else one
            for one in space.parameters
        ),
    )


def _keras_tuner(task: Task, seed: int) -> list[Reported]:
    return _alone(keras_tuner_hyperband, task, seed, n_epochs=task.n_epochs)


def _clairvoyant(task: Task, seed: int) -> list[Reported]:
    return _alone(clairvoyant, task, seed, level=task.level)


def _alone(search: Callable[..., list[Reported]], task: Task, seed: int, **more: Any) -> list[Reported]:
    """Search without runback's coordinator."""
    return search(
        partial(task.model.curve, seed=seed),
        task.space.distributions,
        costs=task.costs,
        seconds=task.seconds,
        n_trials=task.n_trials,
        slots=task.slots,
        seed=seed,
        **more,
    )


def quiet() -> None:
    """Silence Optuna, which has a line for each trial."""
    optuna.logging.set_verbosity(logging.WARNING)
