"""The budget of a sweep."""

from dataclasses import dataclass


@dataclass
class Budget:
    """The end of a sweep: `n_trials` in the whole study, or `timeout` seconds from its start; may change.

    Trials count that are completed, pruned or paused; failed ones do not. After a timeout no trial is started
    or goes on; those that run are not cut short: they come to their end, or to their next pause.
    """

    n_trials: int | None
    timeout: float | None
    n_workers: int
