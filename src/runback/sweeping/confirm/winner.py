"""The winner of a confirm stage in MLflow's model registry."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from optuna.study import Study

from runback.statistics.paired_seeds import welch
from runback.sweeping.confirm.confirm_results import Confirmed, Training, find_confirmed
from runback.sweeping.confirm.confirm_text import verdict
from runback.system.text.escape import for_markdown
from runback.tracking.tags import (
    CONFIRMED_TAG,
    DIRECTION_TAG,
    INTERVAL_TAG,
    MEAN_TAG,
    OBJECTIVE_TAG,
    SEEDS_TAG,
    SWEEP_TAG,
    VALIDATION_DATA_TAG,
    VALIDATION_HASH_TAG,
    VALUES_TAG,
)

if TYPE_CHECKING:
    from runback.tracking.store import Store

ALIKE = {
    DIRECTION_TAG: "direction",
    OBJECTIVE_TAG: "objective",
    VALIDATION_DATA_TAG: "set of validation images",
}
"""Tags that have to be the same in two versions whose values are compared."""


def register_winner(store: "Store", result: Confirmed) -> str | None:
    """Register the winner's model; make it the champion unless another one is that it does not beat.

    The winner has the best mean, and the median of its runs is registered: the best of them would be a lucky
    seed again, and its value no picture of what the interval says. Returns what was done, in a sentence; None
    where there is no winner that MLflow knows. Errors: InputError, StoreError.
    """
    from runback.tracking import registry

    run = median_run(result)
    if run is None or run.run_id is None:
        return None
    tags = _tags(store, result, run.run_id)
    version = registry.register(store, run.run_id, description=_description(result, run), tags=tags)
    before = registry.champion(store, version.name)
    is_champion = before is not None and before.number == version.number
    reason = None if before is None or is_champion else _why_not(before.tags, tags)
    if reason is None:
        registry.crown(store, version)
    what = f"Registered as {version.name} version {version.number} (trial {run.trial}, run {run.run_id})"
    if before is None or is_champion:
        return f"{what}, the champion."
    if reason is None:
        return f"{what}, the champion now: better than version {before.number} beyond noise."
    by_hand = f"runback promote {run.run_id[:8]}"
    return f"{what}; version {before.number} stays the champion: {reason}. By hand: {by_hand}"


def winners_run(search: Study) -> str | None:
    """Return the run that stands for the winner of a sweep's confirm stage, None where there is none."""
    result = find_confirmed(search)
    run = None if result is None else median_run(result)
    return None if run is None else run.run_id


def median_run(result: Confirmed) -> Training | None:
    """Return the best finalist's training with the median value, of an even number the worse middle one."""
    if not result.standings:
        return None
    best = result.standings[0].trial
    runs = [one for one in result.trainings if one.trial == best]
    runs.sort(key=lambda one: (one.value if result.maximize else -(one.value or 0), one.seed))
    return runs[(len(runs) - 1) // 2]


def _why_not(before: Mapping[str, str], now: Mapping[str, str]) -> str | None:
    """Return why the champion stays, None where the new version is better beyond noise."""
    values_before = _values(before)
    if values_before is None:
        return "it was not confirmed, but promoted by hand"
    for tag, what in ALIKE.items():
        if before.get(tag) != now.get(tag):
            return f"it had another {what}"
    lead = welch(json.loads(now[VALUES_TAG]), values_before)
    is_better = lead.low > 0 if now[DIRECTION_TAG] == "maximize" else lead.high < 0
    return None if is_better else "the new one is not better beyond noise"


def _values(tags: Mapping[str, str]) -> list[float] | None:
    """Return a version's confirmed values; None where it has none, or none that can be read."""
    try:
        values = [float(value) for value in json.loads(tags[VALUES_TAG])]
    except (KeyError, ValueError, TypeError):
        return None
    return values if len(values) > 1 else None


def _tags(store: "Store", result: Confirmed, run_id: str) -> dict[str, str]:
    from runback.tracking.read.find_runs import find_run

    run = find_run(store, run_id).data
    best = result.standings[0]
    return {
        SWEEP_TAG: result.sweep,
        CONFIRMED_TAG: str(best.trial),
        VALUES_TAG: json.dumps(best.values),
        MEAN_TAG: str(best.mean.mean),
        INTERVAL_TAG: f"{best.mean.low} to {best.mean.high}",
        SEEDS_TAG: ",".join(map(str, result.plan.seeds)),
        DIRECTION_TAG: "maximize" if result.maximize else "minimize",
        OBJECTIVE_TAG: run.params.get("training.objective") or run.tags.get(OBJECTIVE_TAG, ""),
        VALIDATION_DATA_TAG: run.tags.get(VALIDATION_HASH_TAG, ""),
    }


def _description(result: Confirmed, run: Training) -> str:
    best, n = result.standings[0], len(result.plan.seeds)
    seeds = ", ".join(map(str, result.plan.seeds))
    mean = f"**{best.mean.mean:.4f}**, 95 % interval {best.mean.low:.4f} to {best.mean.high:.4f}"
    return (
        f"Trial {best.trial} of sweep **{for_markdown(result.sweep)}**, trained on {n} fresh seeds "
        f"({seeds}): mean {mean}. This is the run with the median value, {run.value:.4f} on seed {run.seed}. "
        f"{for_markdown(verdict(result))}"
    )
