"""The settings of the confirm stage, `hydra.sweeper.confirm`."""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

from runback.errors import InputError
from runback.system.text.listing import did_you_mean

KEY = "hydra.sweeper.confirm"

MOST_SEEDS = 1000
"""Seeds a finalist: more than anybody trains; fresh seeds have four digits."""


@dataclass(frozen=True)
class ConfirmSettings:
    """The settings of a confirm stage."""

    top: int = 3
    """Finalists: the best completed trials that differ in more than their seed."""
    seeds: int = 5
    """Fresh seeds that each of them is trained on, the same ones for all; at least 2."""
    seed_key: str | None = None
    """The key of the app's config that a seed is put into; None: `seed` where it has one, else `run.seed`."""

    @property
    def key(self) -> str:
        """The key that a seed is put into, once it is known."""
        return self.seed_key or "seed"

    def within(self, keys: Collection[str]) -> "ConfirmSettings":
        """Return the settings for an app whose config has these keys."""
        default = "seed" if "seed" in keys else "run.seed"
        return dataclasses.replace(self, seed_key=self.seed_key or default)

    @classmethod
    def of(cls, spec: Any) -> Self:
        """Read what the config says. Errors: InputError."""
        if not isinstance(spec, Mapping):
            raise InputError(f"{KEY} must be like {{top: 3, seeds: 5}}, or null for none; got {spec}")
        known = [field.name for field in dataclasses.fields(cls)]
        for name in spec:
            if name not in known:
                hint = did_you_mean(str(name), known, f"expected {', '.join(known)}")
                raise InputError(f"{KEY} has no {name}: {hint}")
        settings = cls(**spec)
        settings._check()
        return settings

    def _check(self) -> None:
        if not _is_whole(self.top) or self.top < 1:
            raise InputError(f"{KEY}.top must be a whole number from 1; got {self.top}")
        if not _is_whole(self.seeds) or not 2 <= self.seeds <= MOST_SEEDS:
            raise InputError(f"{KEY}.seeds must be a whole number from 2 to {MOST_SEEDS}; got {self.seeds}")
        if self.seed_key is not None and (not isinstance(self.seed_key, str) or not self.seed_key):
            raise InputError(f"{KEY}.seed_key must be a key of the config, as seed; got {self.seed_key}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
