"""Proposes the params of each trial."""

import copy
import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from runback.errors import InputError
from runback.sweeping.deciding.cmaes_state import read_safely
from runback.sweeping.deciding.covering import covering_point
from runback.sweeping.space.search_space import Space, exact
from runback.sweeping.study.attributes import ENQUEUED, JOURNAL
from runback.sweeping.study.study_store import part
from runback.sweeping.study.study_view import StudyView

NOT_STORED = -1
"""The ID of a trial that is being proposed."""


class Proposer:
    """Proposes each trial with a sampler of its own.

    A fresh sampler per trial, seeded by SHA-256(seed, number), makes what is proposed a function of
    the study's content, not of how often the coordinator was restarted. Quasi-random sequences are the
    exception: their trials must share one scrambling, so they share the seed.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        space: Space,
        seed: int,
        *,
        first: Sequence[Mapping[str, Any]] = (),
        startup: str = "random",
    ) -> None:
        """Begin with the points `first`; then, where `startup` is covering, with points that cover the space.

        Errors: InputError where the sampler cannot search this space, or its dependency is missing.
        """
        self._spec = dict(spec)
        self._first = [*first]
        self._seed = seed
        self._space = space
        self._distributions = space.distributions
        target = str(spec.get("_target_", ""))
        _check_numbers(spec)
        if target.endswith(".GPSampler") and importlib.util.find_spec("torch") is None:
            # Optuna would notice at its tenth trial.
            raise InputError(
                "sampler gp needs PyTorch, which is missing: pip install torch, or use sampler tpe"
            )
        if target.endswith(".CmaEsSampler"):
            read_safely()
        self._points: list[dict[str, Any]] | None = None
        if target.startswith("runback."):
            product = part(spec, "hydra.sweeper.sampler", distributions=space.distributions, seed=seed)
            points = {point_key(point): point for point in map(space.searched, product)}
            self._points = [*points.values()]
        self._one_sequence = target.endswith(".QMCSampler")
        self._covering = 0
        if startup == "covering" and target.endswith((".TPESampler", ".GPSampler")):
            self._covering = self._spec.get("n_startup_trials", 10)
            self._spec["n_startup_trials"] = 1  # the trials before cover the space, also those that run yet
        self._enqueued: dict[int, Mapping[str, Any]] = {}
        self._fitting: set[int] = set()
        if self._points is None:
            self._sampler(0)

    @property
    def covers(self) -> bool:
        """Whether it begins with points that cover the space, and heed its priors."""
        return self._covering > 0

    @property
    def limit(self) -> int | None:
        """The number of points there are to visit; None: no end."""
        return None if self._points is None else len(self._points)

    def first_left(self, asked: Sequence[FrozenTrial]) -> int:
        """Return how many of the points that it begins with are not `asked` for yet."""
        return max(0, len(self._first) - len(asked))

    def has_more(self, asked: Sequence[FrozenTrial]) -> bool:
        """Tell whether there are points behind those that were `asked` for."""
        if self._points is None or self._enqueued.keys() - {one.user_attrs.get(ENQUEUED) for one in asked}:
            return True
        return not {point_key(point) for point in self._points} <= {point_key(one.params) for one in asked}

    def enqueue(self, event: int, params: Mapping[str, Any]) -> None:
        """Propose this point next, once, where no trial is of the same event."""
        self._enqueued[event] = params

    def propose(
        self, study: Study, known: Sequence[FrozenTrial], asked: Sequence[FrozenTrial], pruner: BasePruner
    ) -> FrozenTrial | None:
        """Return the trial after all that were `asked` for, going by what is `known`; None: all is visited.

        It is not in the study yet. `known` are the first ones of `asked`, or all of them.
        """
        number = len(asked)
        if self._enqueued and number >= len(self._first):
            done = {trial.user_attrs.get(ENQUEUED) for trial in asked}
            event = next((event for event in self._enqueued if event not in done), None)
            if event is not None:
                trial = proposed_trial(number, self._enqueued[event], self._distributions)
                trial.user_attrs = {ENQUEUED: event}
                return trial
        if self._points is not None:
            visited = {point_key(trial.params) for trial in asked}
            point = next((point for point in self._points if point_key(point) not in visited), None)
            return None if point is None else proposed_trial(number, point, self._distributions)
        if number < len(self._first):
            return proposed_trial(number, self._first[number], self._distributions)
        if number < self._covering:
            index = number - len(self._first)
            point = covering_point(self._distributions, index, self._seed, self._space.priors)
            return proposed_trial(number, self._space.searched(point), self._distributions)
        return self._sampled(study, known, asked, pruner)

    def _sampled(
        self, study: Study, known: Sequence[FrozenTrial], asked: Sequence[FrozenTrial], pruner: BasePruner
    ) -> FrozenTrial:
        number = len(asked)
        seen = [self._within(trial) for trial in known]
        view = StudyView(study, seen, proposed_trial(number, {}, {}), asked)
        self._ask(view.study(self._sampler(number), pruner))
        view.own.params = {name: exact(self._distributions[name], v) for name, v in view.own.params.items()}
        if view.written or view.own.system_attrs:
            journal: Any = {"study": view.written, "own": list(view.own.system_attrs)}
            view.own.system_attrs = {**view.own.system_attrs, JOURNAL: journal}
        return view.own

    def _ask(self, study: Study) -> None:
        """Ask for a trial: first what is always searched, then what is with some choices only."""
        always = [one for one in self._space.parameters if one.only_with is None]
        trial = study.ask({one.name: one.distribution for one in always})
        for one in self._space.parameters:
            if one.only_with is not None and one.is_searched(trial.params):
                _suggest(trial, one.name, one.distribution)

    def _within(self, trial: FrozenTrial) -> FrozenTrial:
        """Return a trial as one of this search space, whose ranges may be wider than they were."""
        if trial.number in self._fitting:
            return trial
        if all(one == self._distributions[name] for name, one in trial.distributions.items()):
            self._fitting.add(trial.number)
            return trial
        fitted = copy.copy(trial)
        fitted.distributions = {name: self._distributions[name] for name in trial.params}
        return fitted

    def _sampler(self, number: int) -> BaseSampler:
        digest = hashlib.sha256(f"{self._seed},{number}".encode()).digest()
        seed = self._seed % 2**32 if self._one_sequence else int.from_bytes(digest[:4], "big")
        return part(self._spec, "hydra.sweeper.sampler", seed=seed)  # type: ignore[no-any-return]


def _check_numbers(spec: Mapping[str, Any]) -> None:
    """Refuse numbers of a sampler that Optuna would notice at a trial. Errors: InputError."""
    for name, value in spec.items():
        is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        if name.startswith("n_") and not is_number:
            raise InputError(f"hydra.sweeper.sampler.{name} must be a whole number from 0; got {value!r:.80}")


def proposed_trial(
    number: int, params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    """Return a trial that is not in its study yet."""
    return FrozenTrial(
        number=number,
        trial_id=NOT_STORED,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=datetime.now(),
        datetime_complete=None,
        params=dict(params),
        distributions={name: distributions[name] for name in params},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )


def _suggest(trial: Trial, name: str, axis: BaseDistribution) -> None:
    if isinstance(axis, CategoricalDistribution):
        trial.suggest_categorical(name, axis.choices)
    elif isinstance(axis, IntDistribution):
        trial.suggest_int(name, axis.low, axis.high, step=axis.step, log=axis.log)
    elif isinstance(axis, FloatDistribution):
        trial.suggest_float(name, axis.low, axis.high, step=axis.step, log=axis.log)


def point_key(params: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return what is the same for the same params."""
    return tuple(sorted(params.items()))
