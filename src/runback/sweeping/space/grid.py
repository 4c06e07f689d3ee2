"""Lists the points of a finite search space, each once: the grid and brute-force samplers.

Optuna's own two end a study through `Study.stop`, which exists only inside `Study.optimize`, and let
timing decide which point a trial takes. Here trial k takes the k-th point.
"""

import itertools
from collections.abc import Mapping
from decimal import Decimal
from random import Random
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from runback.errors import InputError


def points(
    distributions: Mapping[str, BaseDistribution], *, shuffle: bool = False, seed: int = 0
) -> list[dict[str, Any]]:
    """List every point, the last key varying fastest, or in a seeded random order.

    Errors: InputError where an axis is continuous.
    """
    axes = [_axis(name, distribution) for name, distribution in distributions.items()]
    listed = [dict(zip(distributions, values, strict=True)) for values in itertools.product(*axes)]
    if shuffle:
        Random(seed).shuffle(listed)  # noqa: S311 - an order, not a secret
    return listed


def is_finite(distributions: Mapping[str, BaseDistribution]) -> bool:
    """Tell whether every axis has a finite list of values."""
    return not any(isinstance(d, FloatDistribution) and d.step is None for d in distributions.values())


def _axis(name: str, distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    if isinstance(distribution, FloatDistribution) and distribution.step is not None:
        low, high, step = (Decimal(str(x)) for x in (distribution.low, distribution.high, distribution.step))
        return [float(low + i * step) for i in range(int((high - low) / step) + 1)]
    raise InputError(
        f"search space of {name}: a grid needs a finite list of values; "
        "give choice(...) or range(...), or another sampler, as in hydra/sweeper/sampler=tpe"
    )
