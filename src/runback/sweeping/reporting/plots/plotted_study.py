"""A study as plots need it: in memory, of one objective, with short names and without secrets."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from runback.sweeping.reporting import public_values
from runback.sweeping.study.attributes import ENDED_BY, PARTS, PAUSED_AT, TIMES
from runback.sweeping.study.states import is_paused, state

MATRIX_TRIALS = 100
"""Trials in a matrix of contours: what Optuna puts into the page for each grows with their square."""

MATRIX_PARAMS = 3
"""Params in such a matrix: of more the panels are too small to see anything."""


PLOTTED = (ENDED_BY, PARTS, PAUSED_AT, TIMES)
"""The attributes of trials that plots show."""


@dataclass(frozen=True)
class PlottedStudy:
    """One objective of a study. `params` are those that plots show, the most important first.

    Their names, texts among their values and `objective` are escaped for what they are drawn with.
    """

    study: Study
    objective: str
    title: str
    """The objective's own name."""
    params: list[str]
    whole: Study
    """The study with all its objectives; the same where there is one."""

    @property
    def completed(self) -> list[FrozenTrial]:
        """The trials that have a value."""
        return self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))

    @property
    def maximizes(self) -> bool:
        """Whether more is better."""
        return self.study.direction == StudyDirection.MAXIMIZE


def views(study: Study, escape: Callable[[str], str] = str) -> list[PlottedStudy]:
    """Return a view of each objective, whose texts are escaped for what draws them."""
    trials = study.get_trials(deepcopy=False)
    names = {name: escape(short) for name, short in public_values.param_names(trials).items()}
    shared = [_shown(trial, names, escape) for trial in trials]
    several = len(study.directions) > 1
    titles = public_values.objectives(study)
    whole = _study(shared, study.directions, [escape(title) for title in titles])
    found = []
    for i, (title, direction) in enumerate(zip(titles, study.directions, strict=True)):
        one = _study([_of_objective(trial, i) for trial in shared], [direction], None) if several else whole
        found.append(
            PlottedStudy(one, escape(title), title, by_importance(one, _valued(one, names.values())), whole)
        )
    return found


def _valued(study: Study, names: Iterable[str]) -> list[str]:
    """Return the params that a trial with a value has: that of a condition may be in none."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [name for name in names if any(name in trial.params for trial in done)]


def word(trial: FrozenTrial) -> str:
    """Return the state of a plotted trial: done, pruned, failed, running, paused or waiting."""
    return "paused" if is_paused(trial) else state(trial)


def by_importance(study: Study, names: Sequence[str]) -> list[str]:
    """Return params in the order of their importance, as they are where that cannot be told."""
    try:
        importances = optuna.importance.get_param_importances(study)
    except (ValueError, RuntimeError):  # too few trials, or all of the same value
        return list(names)
    return sorted(names, key=lambda name: -importances.get(name, 0.0))


def for_matrix(view: PlottedStudy) -> Study:
    """Return a study of few trials, evenly chosen, the best of all among them."""
    completed = view.completed
    if len(completed) <= MATRIX_TRIALS:
        return view.study
    step = len(completed) / (MATRIX_TRIALS - 1)
    chosen = {completed[int(i * step)].number for i in range(MATRIX_TRIALS - 1)}
    chosen.add(view.study.best_trial.number)
    return _study([t for t in completed if t.number in chosen], view.study.directions, None)


def _study(trials: Sequence[FrozenTrial], directions: Sequence[Any], names: list[str] | None) -> Study:
    study = optuna.create_study(directions=list(directions))
    if names is not None:
        study.set_metric_names(names)
    study.add_trials(trials)
    return study


def _shown(trial: FrozenTrial, names: Mapping[str, str], escape: Callable[[str], str]) -> FrozenTrial:
    def value(name: str, raw: Any) -> Any:
        told = public_values.param(name, raw)
        return escape(told) if isinstance(told, str) else told

    copied = copy.copy(trial)
    known = {name: axis for name, axis in trial.distributions.items() if name in names}
    copied.distributions = {
        names[name]: _with_choices(axis, partial(value, name)) for name, axis in known.items()
    }
    copied.params = {names[name]: value(name, trial.params[name]) for name in known}
    copied.user_attrs = {name: one for name, one in trial.user_attrs.items() if name in PLOTTED}
    if is_paused(trial):  # Optuna draws no curve of a trial that waits
        copied.state = TrialState.RUNNING
    copied.system_attrs = {}
    return copied


def _with_choices(axis: BaseDistribution, value: Callable[[Any], Any]) -> BaseDistribution:
    if not isinstance(axis, CategoricalDistribution):
        return axis
    return CategoricalDistribution(list(dict.fromkeys(map(value, axis.choices))))


def _of_objective(trial: FrozenTrial, index: int) -> FrozenTrial:
    copied = copy.copy(trial)
    copied.values = None if trial.values is None else [trial.values[index]]
    return copied
