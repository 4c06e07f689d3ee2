"""The finalists of a search, and the fresh seeds that they are trained on."""

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from optuna.study import Study
from optuna.trial import TrialState

from runback.sweeping.confirm.confirm_settings import ConfirmSettings
from runback.sweeping.study.study_store import best_trials

SEEDS = range(1000, 10_000)
"""The range that fresh seeds are drawn from: short enough to be read in a run's name."""


@dataclass(frozen=True)
class Finalist:
    """A trial that is confirmed."""

    trial: int
    value: float
    """The objective's value in the search."""
    params: dict[str, Any]
    twins: list[int]
    """Other completed trials with the same params but for the seed, the best first."""


@dataclass(frozen=True)
class ConfirmPlan:
    """The trainings of a confirm stage: each finalist on each seed."""

    finalists: list[Finalist]
    seeds: list[int]
    seed_key: str
    asked: dict[str, Any]
    """The settings that it follows from, and the search's budget."""

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read what `as_json` wrote."""
        finalists = [Finalist(**finalist) for finalist in content["finalists"]]
        return cls(**{**content, "finalists": finalists})

    def as_json(self) -> dict[str, Any]:
        """Return the plan as a study stores it."""
        return asdict(self)

    @property
    def points(self) -> list[dict[str, int]]:
        """The trainings, seed by seed: wherever it is interrupted, finalists have about as many."""
        return [{"trial": one.trial, "seed": seed} for seed in self.seeds for one in self.finalists]


def make_plan(
    study: Study, settings: ConfirmSettings, *, seed: int, used: Any, budget: Mapping[str, Any]
) -> ConfirmPlan:
    """Choose the finalists of a search that has ended.

    `seed` is the sampler's, from which the fresh seeds follow; `used` is the seed that trials share, if they
    do. No trial of the study was trained on a fresh seed.
    """
    chosen = finalists(study, settings)
    completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    taken = {str(used), *(str(trial.params.get(settings.key)) for trial in completed)}
    fresh = (one for one in _drawn(seed) if str(one) not in taken)
    seeds = list(itertools.islice(fresh, settings.seeds))
    return ConfirmPlan(chosen, seeds, settings.key, requested(settings, budget))


def requested(settings: ConfirmSettings, budget: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a plan follows from, besides the search's results."""
    return {**asdict(settings), **budget}


def finalists(study: Study, settings: ConfirmSettings) -> list[Finalist]:
    """Return the best completed trials, the best first; of those that differ in their seed alone one."""
    alike: dict[str, list[Any]] = {}
    for trial in best_trials(study, len(study.get_trials(deepcopy=False))):
        key = {name: value for name, value in trial.params.items() if name != settings.key}
        alike.setdefault(repr(sorted(key.items())), []).append(trial)
    return [
        Finalist(first.number, float(first.value), dict(first.params), [twin.number for twin in twins])
        for first, *twins in itertools.islice(alike.values(), settings.top)
    ]


def _drawn(seed: int) -> Any:
    """Draw seeds, each once: the same ones for the same `seed`, and the first n whatever n is."""
    seen = set()
    for count in itertools.count():
        digest = hashlib.sha256(f"{seed},confirm,{count}".encode()).digest()
        drawn = SEEDS[int.from_bytes(digest[:8], "big") % len(SEEDS)]
        if drawn not in seen:
            seen.add(drawn)
            yield drawn
