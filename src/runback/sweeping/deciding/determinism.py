"""The settings that a deterministic sweep keeps, from its first trial to its last."""

from dataclasses import dataclass
from typing import Any

from optuna.study import Study

from runback.errors import InputError
from runback.sweeping.study.attributes import ORDER
from runback.sweeping.sweep_settings import SweeperSettings

_UNTIL_CHANGED = ("deterministic", "seed", "sampler", "pruner", "first", "startup")
"""Settings that decide what is proposed and pruned."""


@dataclass(frozen=True)
class Order:
    """The order of trials, fixed however many workers there are later."""

    window: int | None
    """Trial k depends on trials up to k - `window`; None: on all."""
    threads: int
    """A trial's CPU threads."""


def keep_order(study: Study, settings: SweeperSettings, n_workers: int, threads: int) -> Order:
    """Return the study's order. Where it is deterministic, its first start decides on window and threads.

    Errors: InputError where settings have changed that the order depends on.
    """
    stored: dict[str, Any] | None = study.user_attrs.get(ORDER)
    if stored is None:
        stored = {name: getattr(settings, name) for name in _UNTIL_CHANGED}
        stored |= {"window": n_workers, "threads": threads}
        study.set_user_attr(ORDER, stored)
    if not (stored["deterministic"] or settings.deterministic):
        return Order(None, threads)
    for name in _UNTIL_CHANGED:
        if stored.get(name) != getattr(settings, name):
            raise InputError(
                f"sweep {study.study_name} was begun with hydra.sweeper.{name}={stored.get(name)}, now "
                f"{getattr(settings, name)}: a deterministic sweep keeps it; to start a fresh study: --new"
            )
    return Order(int(stored["window"]), int(stored["threads"]))
