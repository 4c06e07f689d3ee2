"""Hyperband that continues weights, as KerasTuner does it.

Source: KerasTuner 1.4.8, `keras_tuner/src/tuners/hyperband.py`, class HyperbandOracle; its defaults, and as
many iterations as there is time for, as its documentation recommends. The algorithm: L. Li, K. Jamieson, G.
DeSalvo, A. Rostamizadeh and A. Talwalkar, "Hyperband: A Novel Bandit-Based Approach to Hyperparameter
Optimization", JMLR 18 (2018), 1-52. KerasTuner loads a trial's weights without its optimizer's state: that
costs nothing here.
"""

import heapq
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from replay.curve_model import Curve
from replay.virtual_engine import Costs, Reported

FACTOR = 3


@dataclass
class Run:
    """A training of a config from one epoch to another: a trial in KerasTuner's words."""

    config: int
    """The number of its config, whose weights it continues."""
    params: dict[str, Any]
    begin: int
    """The epochs trained before."""
    end: int
    score: float | None = None
    """The best value of its epochs; None: it runs."""
    is_continued: bool = False


@dataclass
class Bracket:
    """A round of random configs, and the rounds in which the best of the round before go on."""

    number: int
    rounds: list[list[Run]]


@dataclass
class Oracle:
    """Says what a free worker trains next."""

    draw: Callable[[], dict[str, Any]]
    """Draws a config at random."""
    max_epochs: int
    most_configs: float = math.inf
    brackets: list[Bracket] = field(default_factory=list)
    n_configs: int = 0

    def __post_init__(self) -> None:
        self._n_brackets = math.floor(round(math.log(self.max_epochs, FACTOR), 9)) + 1
        self._number = self._n_brackets - 1  # the one that halves most comes first
        self._open_bracket()

    def next_run(self) -> Run | None:
        """Return what is trained next: a new config of a bracket's first round, or the best that may go on.

        None: there are no more configs, and none may go on yet.
        """
        self.brackets = [one for one in self.brackets if len(one.rounds[-1]) != self._size(one, one.number)]
        for bracket in self.brackets:
            if len(bracket.rounds[0]) < self._size(bracket, 0) and self.n_configs < self.most_configs:
                return self._new_config(bracket)
            for place in range(1, len(bracket.rounds)):
                past = bracket.rounds[place - 1]
                ready = [run for run in past if run.score is not None and not run.is_continued]
                if len(ready) > self._size(bracket, place - 1) - self._size(bracket, place):
                    best = max(ready, key=lambda run: run.score or 0.0)
                    best.is_continued = True
                    run = Run(best.config, best.params, best.end, self._epochs(bracket, place))
                    bracket.rounds[place].append(run)
                    return run
        if self.n_configs >= self.most_configs:
            return None
        self._number = (self._number - 1) % self._n_brackets
        return self._new_config(self._open_bracket())

    def _open_bracket(self) -> Bracket:
        bracket = Bracket(self._number, [[] for _ in range(self._number + 1)])
        self.brackets.append(bracket)
        return bracket

    def _new_config(self, bracket: Bracket) -> Run:
        run = Run(self.n_configs, self.draw(), 0, self._epochs(bracket, 0))
        self.n_configs += 1
        bracket.rounds[0].append(run)
        return run

    def _size(self, bracket: Bracket, place: int) -> int:
        end_size = math.ceil(1 + math.log(self.max_epochs, FACTOR)) / (bracket.number + 1)
        return math.ceil(end_size * float(FACTOR) ** (bracket.number - place))

    def _epochs(self, bracket: Bracket, place: int) -> int:
        return math.ceil(self.max_epochs / float(FACTOR) ** (bracket.number - place))


def search(
    train: Callable[[Mapping[str, Any]], Curve],
    space: Mapping[str, BaseDistribution],
    *,
    n_epochs: int,
    costs: Costs,
    seconds: float,
    n_trials: int | None,
    slots: int,
    seed: int,
) -> list[Reported]:
    """Search on a virtual clock; return the epochs trained in the order of time.

    `n_trials` limits the configs: one that is continued counts once.
    """
    generator = np.random.default_rng(seed)
    most_configs = math.inf if n_trials is None else n_trials
    oracle = Oracle(lambda: drawn_config(space, generator), n_epochs, most_configs)
    history: list[Reported] = []
    now, running, count = 0.0, list[tuple[float, int, Run, float]](), 0
    while now < seconds:
        while len(running) < slots and (run := oracle.next_run()) is not None:
            curve = train(run.params)
            epochs = epochs_of(run, curve, costs, now)
            history += epochs
            count += 1
            heapq.heappush(running, (epochs[-1].time, count, run, max(one.reported for one in epochs)))
        if not running:
            break
        now, _, run, score = heapq.heappop(running)
        run.score = score
    return sorted(history, key=lambda one: one.time)


def epochs_of(run: Run, curve: Curve, costs: Costs, now: float) -> list[Reported]:
    """Return the epochs of a run that begins now."""
    first = now + costs.start + curve.first_seconds + costs.checkpoint
    times = [first + place * (curve.seconds + costs.checkpoint) for place in range(run.end - run.begin)]
    return [
        Reported(time, run.config, place + 1, float(curve.reported[place]), float(curve.true[place]))
        for time, place in zip(times, range(run.begin, run.end), strict=True)
    ]


def drawn_config(space: Mapping[str, BaseDistribution], generator: np.random.Generator) -> dict[str, Any]:
    """Draw a config at random."""
    return {name: drawn(axis, generator) for name, axis in space.items()}


def drawn(axis: BaseDistribution, generator: np.random.Generator) -> Any:
    """Draw a value at random, uniform or log-uniform."""
    if isinstance(axis, CategoricalDistribution):
        return axis.choices[generator.integers(len(axis.choices))]
    if isinstance(axis, IntDistribution | FloatDistribution):
        is_whole = isinstance(axis, IntDistribution)
        low, high = (axis.low - 0.5, axis.high + 0.5) if is_whole else (axis.low, axis.high)
        if axis.log:
            value = math.exp(generator.uniform(math.log(low), math.log(high)))
        else:
            value = generator.uniform(low, high)
        return min(axis.high, max(axis.low, round(value))) if is_whole else value
    raise TypeError(f"unknown distribution {axis}")
