"""Runs as pandas frames: a row for each run, and a row for each of their epochs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from runback.comparison.columns import curve_columns, typed, whole
from runback.comparison.run_metrics import results
from runback.errors import InputError
from runback.runs.objectives import better_direction, recorded_objectives
from runback.system.files.contained_path import inside
from runback.tracking.artifact_names import NETWORK
from runback.tracking.objective_tags import tagged_objectives
from runback.tracking.read.rows import Runs
from runback.tracking.read.run_reader import Reader
from runback.tracking.tags import (
    COMMIT_TAG,
    DIRECTION_TAG,
    DIRTY_TAG,
    FAILURE_TAG,
    KIND_TAG,
    OBJECTIVE_TAG,
    REASON_TAG,
    SWEEP_TAG,
    TRAIN_HASH_TAG,
    TRIAL_TAG,
    VALIDATION_HASH_TAG,
)
from runback.tracking.upkeep.moved_artifacts import local_path

SIZE = "model.parameters"
"""The param that no person chose: the column `parameters`."""

CODE_AND_DATA = {
    "commit": COMMIT_TAG,
    "uncommitted": DIRTY_TAG,
    "training_data": TRAIN_HASH_TAG,
    "validation_data": VALIDATION_HASH_TAG,
}
"""Columns with what a run is made from besides its config, and their tags."""

HASH_LENGTH = 12
"""Characters of a hash that are enough to tell it from another."""


@dataclass(frozen=True, eq=False)
class RunFrame:
    """Runs, a row each; `causes` are the columns with what they were made from, `metrics` what came out."""

    rows: pd.DataFrame
    causes: list[str]
    metrics: list[str]
    objectives: Mapping[str, str] = field(default_factory=dict)
    """The metrics that they are judged by, and the better direction of each."""


def read_runs(reader: Reader, ids: list[str]) -> RunFrame:
    """Read these runs, at least one, in this order. Errors: InputError for a whole sweep's run, StoreError.

    Columns, without those that no run has a value in: run, name, sweep, trial, status, failure, reason, start
    (UTC), duration (seconds), epoch, the metrics, parameters, model_bytes, the params, and the first
    characters of the commit and of the data's SHA-256.
    """
    runs = reader.runs(ids)
    _refuse_sweeps(runs)
    outcome = results(reader, runs)
    facts = {**_facts(runs), **outcome, **_size(runs, reader.mlruns)}
    params = {name: typed(values) for name, values in sorted(_params(runs).items()) if name != SIZE}
    causes = {f"params.{name}" if name in facts else name: column for name, column in params.items()}
    causes |= {name: _cut(runs.tag(tag)) for name, tag in CODE_AND_DATA.items()}
    rows = pd.DataFrame({**facts, **causes}).dropna(axis="columns", how="all")
    metrics = [name for name in outcome if name in rows and name != "epoch"]
    return RunFrame(rows, [name for name in causes if name in rows], metrics, _objectives(runs))


def read_curves(reader: Reader, runs: Sequence[str]) -> pd.DataFrame:
    """Read the metrics of each epoch of these runs: run, epoch (from 1), then each metric. StoreError."""
    return curve_columns(reader.curves(list(runs)), runs)


def _objectives(runs: Runs) -> dict[str, str]:
    """Return the objectives of all runs, the first run's first: a task's by its tags, else by a param."""
    tags = zip(
        runs.tag(OBJECTIVE_TAG), runs.tag(DIRECTION_TAG), runs.param("training.objective"), strict=True
    )
    found: dict[str, str] = {}
    for objective, direction, param in tags:
        named = tagged_objectives(objective, direction)
        if not named and param is not None:
            named = {name: better_direction(name) for name in recorded_objectives(param)}
        found = {**found, **{name: one for name, one in named.items() if name not in found}}
    return found


def _params(runs: Runs) -> dict[str, list[str | None]]:
    """Return the params; of a trial that failed early `optimizer` is what others have as `optimizer.name`."""
    params = dict(runs.params)
    for name in [name for name in params if f"{name}.name" in params]:
        early, late = params.pop(name), params[f"{name}.name"]
        params[f"{name}.name"] = [a if b is None else b for a, b in zip(early, late, strict=True)]
    return params


def _refuse_sweeps(runs: Runs) -> None:
    for run_id, kind, sweep in zip(runs.ids, runs.tag(KIND_TAG), runs.tag(SWEEP_TAG), strict=True):
        if kind == "sweep":
            raise InputError(f"run {run_id} is a whole sweep: name its trials, or all with --sweep {sweep}")


def _facts(runs: Runs) -> dict[str, pd.Series]:
    starts, ends = (pd.Series(times, dtype="float64") for times in (runs.starts, runs.ends))
    return {
        "run": pd.Series(runs.ids),
        "name": pd.Series(runs.names),
        "sweep": pd.Series(runs.tag(SWEEP_TAG)),
        "trial": typed(runs.tag(TRIAL_TAG)),
        "status": pd.Series(runs.statuses),
        "failure": pd.Series(runs.tag(FAILURE_TAG)),
        "reason": pd.Series(runs.tag(REASON_TAG)),
        "start": pd.to_datetime(pd.Series(runs.starts), unit="ms", utc=True),
        "duration": (ends - starts) / 1000,
    }


def _size(runs: Runs, mlruns: Path) -> dict[str, pd.Series]:
    return {
        "parameters": typed(runs.param(SIZE)),
        "model_bytes": whole([_bytes(uri, mlruns) for uri in runs.artifact_uris]),
    }


def _bytes(artifact_uri: str, mlruns: Path) -> int | None:
    """Return the size of a run's model.keras where that is a file in mlruns/."""
    folder = local_path(artifact_uri)
    try:
        return None if folder is None else inside(mlruns, folder / NETWORK, NETWORK).stat().st_size
    except (OSError, InputError):
        return None


def _cut(hashes: Sequence[str | None]) -> pd.Series:
    return pd.Series([value and value[:HASH_LENGTH] for value in hashes])
