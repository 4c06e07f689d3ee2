"""The budget of a sweep."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """When to stop asking: `n_trials` completed or pruned in the whole study, `timeout` seconds from now.

    A timeout ends the asking; trials that run then are not cut short.
    """

    n_trials: int | None
    timeout: float | None
    n_workers: int
