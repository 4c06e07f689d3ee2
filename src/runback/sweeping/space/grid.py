"""Lists the points of a finite search space, each once: the grid and brute-force samplers.

Optuna's own two end a study through `Study.stop`, which exists only inside `Study.optimize`, and let
timing decide which point a trial takes. Here trial k takes the k-th point.
"""

import itertools
import math
from collections.abc import Mapping
from decimal import Decimal
from random import Random
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from runback.errors import InputError

MOST = 1_000_000
"""Points of a grid: each is held in memory, and takes a training."""


def points(
    distributions: Mapping[str, BaseDistribution], *, shuffle: bool = False, seed: int = 0
) -> list[dict[str, Any]]:
    """List every point, the last key varying fastest, or in a seeded random order.

    Errors: InputError where an axis is continuous, and for more than `MOST` points.
    """
    count = math.prod(_count(name, distribution) for name, distribution in distributions.items())
    if count > MOST:
        raise InputError(
            f"the grid has {count:,} points, more than {MOST:,}: give fewer values, or another sampler and "
            "its trials, as in hydra/sweeper/sampler=tpe hydra.sweeper.n_trials=100"
        )
    axes = [_axis(distribution) for distribution in distributions.values()]
    listed = [dict(zip(distributions, values, strict=True)) for values in itertools.product(*axes)]
    if shuffle:
        Random(seed).shuffle(listed)  # noqa: S311 - an order, not a secret
    return listed


def is_finite(distributions: Mapping[str, BaseDistribution]) -> bool:
    """Tell whether every axis has a finite list of values."""
    return not any(isinstance(d, FloatDistribution) and d.step is None for d in distributions.values())


def _axis(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    low, _, step = _decimals(distribution)
    return [float(low + i * step) for i in range(_count("", distribution))]


def _count(name: str, distribution: BaseDistribution) -> int:
    """Return the number of values of an axis. Errors: InputError where it is continuous."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return (distribution.high - distribution.low) // distribution.step + 1
    if isinstance(distribution, FloatDistribution) and distribution.step is not None:
        low, high, step = _decimals(distribution)
        return int((high - low) / step) + 1
    raise InputError(
        f"search space of {name}: a grid needs a finite list of values; "
        "give choice(...) or range(...), or another sampler, as in hydra/sweeper/sampler=tpe"
    )


def _decimals(distribution: Any) -> tuple[Decimal, Decimal, Decimal]:
    """Return both ends and the step of a range, as they are written."""
    low, high, step = (Decimal(str(x)) for x in (distribution.low, distribution.high, distribution.step))
    return low, high, step
