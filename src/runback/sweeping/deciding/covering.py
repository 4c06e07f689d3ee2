"""Draws the points that a search begins with so that they cover its space.

Numbers come from a scrambled Halton sequence; of a choice's values each comes once before any comes again,
in an order that is drawn anew for each round.
"""

import math
from collections.abc import Mapping
from random import Random
from statistics import NormalDist
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from runback.sweeping.space.search_space import exact

SPREAD = 0.15
"""The standard deviation of values around a prior, as a share of the axis."""


def covering_point(
    distributions: Mapping[str, BaseDistribution],
    index: int,
    seed: int,
    priors: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Return the `index`-th point, from 0: always the same one for the same `seed`.

    Of three points, two go by the priors; the third is there for when these are wrong. Where they are heeded,
    values have a normal distribution around the prior, on the axis' scale, cut at its ends.
    """
    numbers = [name for name, one in distributions.items() if not isinstance(one, CategoricalDistribution)]
    places = dict(zip(numbers, _places(len(numbers), index, seed), strict=True))
    heeded = priors if priors and _heeds_priors(index, seed) else {}
    for name, prior in heeded.items():
        places[name] = _near(_place(distributions[name], prior), places[name])
    return {
        name: _choice(name, one, index, seed)
        if isinstance(one, CategoricalDistribution)
        else _number(one, places[name])
        for name, one in distributions.items()
    }


def _places(dimensions: int, index: int, seed: int) -> list[float]:
    if dimensions == 0:
        return []
    from scipy.stats import qmc

    sequence = qmc.Halton(d=dimensions, scramble=True, rng=seed % 2**32)  # it takes none below 0
    sequence.fast_forward(index)
    return [float(place) for place in sequence.random(1)[0]]


def _heeds_priors(index: int, seed: int) -> bool:
    """Tell whether a point goes by the priors: of each three, one that is drawn at random does not.

    Each third one would have numbers of a third of an axis only: Halton's sequence in base 3 takes turns.
    """
    turn, place = divmod(index, 3)
    return place != Random(f"{seed},priors,{turn}").randrange(3)  # noqa: S311 - an order, not a secret


def _place(axis: BaseDistribution, value: float) -> float:
    """Return where a value is on an axis, from 0 to 1."""
    if not isinstance(axis, IntDistribution | FloatDistribution):
        raise TypeError(f"no place on {axis}")
    if axis.high == axis.low:
        return 0.5
    low, high, at = (math.log(x) if axis.log else x for x in (axis.low, axis.high, value))
    return (at - low) / (high - low)


def _near(middle: float, place: float) -> float:
    """Return the quantile `place` of the normal distribution around `middle` that is cut at 0 and 1."""
    normal = NormalDist(middle, SPREAD)
    below, above = normal.cdf(0.0), normal.cdf(1.0)
    return min(1.0, max(0.0, normal.inv_cdf(below + place * (above - below))))


def _choice(name: str, axis: CategoricalDistribution, index: int, seed: int) -> Any:
    choices = list(axis.choices)
    turn, place = divmod(index, len(choices))
    Random(f"{seed},{name},{turn}").shuffle(choices)  # noqa: S311 - an order, not a secret
    return choices[place]


def _number(axis: BaseDistribution, place: float) -> Any:
    """Return the value at a place of an axis, from 0 to 1."""
    if isinstance(axis, IntDistribution):
        # Each whole number, or step, has a share of its own.
        low, high = axis.low - 0.5 * axis.step, axis.high + 0.5 * axis.step
        value = _between(low, high, place, is_log=axis.log)
        steps = round((value - axis.low) / axis.step)
        return min(max(axis.low + steps * axis.step, axis.low), axis.high)
    if isinstance(axis, FloatDistribution) and axis.step is not None:
        count = int(exact(axis, axis.high) / axis.step - exact(axis, axis.low) / axis.step + 1e-9) + 1
        return exact(axis, axis.low + min(int(place * count), count - 1) * axis.step)
    if isinstance(axis, FloatDistribution):
        return min(max(_between(axis.low, axis.high, place, is_log=axis.log), axis.low), axis.high)
    raise TypeError(f"unknown distribution {axis}")


def _between(low: float, high: float, place: float, *, is_log: bool) -> float:
    if is_log:
        return math.exp(math.log(low) + place * (math.log(high) - math.log(low)))
    return low + place * (high - low)
