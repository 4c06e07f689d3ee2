"""The budget of a sweep."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """The end of a sweep: `n_trials` completed or pruned in the whole study, or `timeout` seconds from now.

    After a timeout no trial is started, or goes on from a pause; trials that run then are not cut short.
    """

    n_trials: int | None
    timeout: float | None
    n_workers: int
