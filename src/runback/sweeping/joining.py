"""How a worker joins the study of a sweep: what `runback worker` hands to the sweeper."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from optuna.study import Study

from runback.errors import DataError
from runback.sweeping.control.controller import as_changed
from runback.sweeping.space.search_identity import Search
from runback.sweeping.study.attributes import RECORDED_SWEEP
from runback.sweeping.study.budget import Budget


def joined_budget(
    study: Study, joining: Mapping[str, Any], budget: Budget
) -> Callable[[], int | None] | None:
    """Return a function that returns the sweep's `n_trials` as it is by now; None for a worker that leaves.

    A worker stays with `stay`, though the budget is used up: whoever goes on with the sweep may raise it.
    """
    if not joining.get("stay"):
        return None

    own = budget.n_trials

    def now() -> int | None:
        n_trials = study.user_attrs.get(RECORDED_SWEEP, {}).get("n_trials")
        is_number = isinstance(n_trials, int) and not isinstance(n_trials, bool) and n_trials > 0
        return as_changed(study, replace(budget, n_trials=n_trials if is_number else own)).n_trials

    return now


def as_recorded(search: Search, joining: Mapping[str, Any] | None) -> Search:
    """Return a worker's search with the study's values of the paths that the machine has of its own."""
    own = {} if joining is None else joining.get("own") or {}
    if joining is None or not own:
        return search
    base = {**search.base, **{key: str(value) for key, value in own.items()}}
    return replace(search, fixed=tuple(joining["fixed"]), base=base)


def compared_data(joining: Mapping[str, Any], found: str | None) -> list[str]:
    """Return a line on how a worker's data compares with the study's. Errors: DataError where it differs."""
    recorded = joining.get("data")
    if recorded is None or found is None:
        return [
            "note: the data is not compared with that of the sweep's other trials: its task is not checked "
            "before the first trial (see check=True of runback.task), or reads none by then"
        ]
    if recorded != found:
        raise DataError(
            f"the data here is not the sweep's: it has the fingerprint {found[:12]}, the sweep's has "
            f"{str(recorded)[:12]}; give this machine's path as KEY=PATH"
        )
    return [f"data: fingerprint {found[:12]}, as the sweep's"]
