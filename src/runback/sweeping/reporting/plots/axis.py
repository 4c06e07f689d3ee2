"""An axis of parallel coordinates: where a value lies between its ends, 0 to 1."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial

from runback.system.text.formatting import short_value

TICKS = 5


@dataclass(frozen=True)
class Axis:
    """One axis; `choices` are its values where they have no order, else `low` and `high` are its ends."""

    name: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    choices: tuple[str, ...] = ()
    is_objective: bool = False

    @classmethod
    def of_values(cls, name: str, values: Sequence[Any]) -> Self:
        """Return the objective's axis: from the least to the greatest of its values."""
        finite = [value for value in values if math.isfinite(value)] or [0.0]
        return cls(name, min(finite), max(finite), is_objective=True)

    def place(self, trial: FrozenTrial) -> float | None:
        """Return where the trial lies; None where it lacks the param, or has no finite value."""
        value: Any = trial.value if self.is_objective else trial.params.get(self.name)
        if value is None:
            return None
        if self.choices:
            return self._share(self.choices.index(str(value)), 0, len(self.choices) - 1)
        return self._of_number(float(value)) if math.isfinite(value) else None

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Places with labels."""
        if self.choices:
            return [(self._share(i, 0, len(self.choices) - 1), name) for i, name in enumerate(self.choices)]
        if self.low == self.high:
            return [(0.5, short_value(self.low))]
        shares = [i / (TICKS - 1) for i in range(TICKS)]
        return [(share, f"{self._at(share):.3g}") for share in shares]

    def _of_number(self, value: float) -> float:
        if self.log:
            return self._share(math.log(value), math.log(self.low), math.log(self.high))
        return self._share(value, self.low, self.high)

    def _at(self, share: float) -> float:
        if self.log:
            return math.exp(math.log(self.low) * (1 - share) + math.log(self.high) * share)
        return self.low * (1 - share) + self.high * share

    @staticmethod
    def _share(value: float, low: float, high: float) -> float:
        return 0.5 if low == high else (value - low) / (high - low)


def axis_of(name: str, trials: Sequence[FrozenTrial]) -> Axis:
    """Return a param's axis, as wide as the values of these trials."""
    having = [trial for trial in trials if name in trial.params]
    if not having:
        return Axis(name)
    distribution: Any = having[-1].distributions[name]
    if isinstance(distribution, CategoricalDistribution):
        return Axis(name, choices=tuple(str(choice) for choice in distribution.choices))
    values = [float(trial.params[name]) for trial in having]
    return Axis(name, min(values), max(values), log=distribution.log)
