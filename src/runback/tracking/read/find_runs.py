"""Finds runs and reads what they left behind."""

import runback.tracking.mlflow_settings  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath

from mlflow.entities import Experiment, LifecycleStage, ViewType
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from mlflow.utils import get_results_from_paginated_fn
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from runback.errors import InputError, StoreAway, StoreError
from runback.system.files.regular_file import read_regular
from runback.tracking.artifact_place import of_artifact
from runback.tracking.write.delivery import send_end
from runback.tracking.write.run_writer import Status
from runback.tracking.read.run_id import beginning, the_only
from runback.tracking.store import Store, is_refusal, store_errors
from runback.tracking.upkeep.restoring import deleted_run
from runback.tracking.tags import FOLDER_TAG, REASON_TAG, SWEEP_TAG
from runback.tracking.tracking_server import why

PAGE = 200
"""Runs that a store is asked for at once: a busy server needs seconds for 1,000."""

IDS = 100
"""IDs in one condition."""

EXPERIMENTS = 1000
"""Experiments that a store is asked for at once: what MLflow's client asks for."""

OPEN = " AND ".join(f"attributes.status != '{status}'" for status in ("FINISHED", "FAILED", "KILLED"))
"""The condition for runs that are RUNNING, or SCHEDULED: paused."""


def find_run(store: Store, run_id: str) -> MlflowRun:
    """Return the run with this ID, or with this beginning of an ID, of 6 characters or more.

    Raises InputError when there is none, or when several runs' IDs begin like that; StoreError when the store
    fails.
    """
    condition = f"attributes.run_id LIKE '{beginning(run_id)}%'"
    matches = search(store, condition, limit=100)
    if not matches and (gone := search(store, condition, limit=1, deleted=True)):
        refuse_deleted(store, gone[0].info.run_id, gone[0].info.experiment_id)
    return the_only(matches, run_id, store)


def refuse_deleted(store: Store, run_id: str, experiment: str) -> None:
    """Raise InputError for a deleted run: it says how to restore it, or the experiment that it went with."""
    with store_errors(store, f"run {run_id}"):
        is_alone = store.client.get_experiment(experiment).lifecycle_stage == LifecycleStage.ACTIVE
    raise InputError(deleted_run(store.uri, run_id, None if is_alone else experiment))


def search(
    store: Store, condition: str = "", *, limit: int | None = None, deleted: bool = False
) -> list[MlflowRun]:
    """Return the runs that meet a condition in MLflow's language, the newest first: up to `limit`, or all.

    Those that a person has deleted, of deleted experiments too, are found with `deleted`, and only they.
    Raises StoreError.
    """
    kind = ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY
    experiments = ViewType.ALL if deleted else ViewType.ACTIVE_ONLY

    def some_experiments(count: int, token: str | None) -> list[Experiment]:
        return store.client.search_experiments(experiments, count, page_token=token)

    def page(count: int, token: str | None) -> list[MlflowRun]:
        return store.client.search_runs(experiment_ids, condition, kind, count, page_token=token)

    try:
        found = get_results_from_paginated_fn(some_experiments, EXPERIMENTS)  # type: ignore[no-untyped-call]
        experiment_ids = [one.experiment_id for one in found]
        runs: list[MlflowRun] = get_results_from_paginated_fn(page, PAGE, limit)  # type: ignore[no-untyped-call]
    except MlflowException as error:
        trouble = StoreError if is_refusal(error) else StoreAway
        raise trouble(f"cannot search {store}: {why(error)}") from error
    return runs


def search_ids(store: Store, ids: Sequence[str]) -> list[MlflowRun]:
    """Return those of these runs that are there, in any order, by their whole IDs. Raises StoreError."""
    runs: list[MlflowRun] = []
    for start in range(0, len(ids), IDS):
        named = ", ".join(_quoted(run_id) for run_id in ids[start : start + IDS])
        runs += search(store, f"attributes.run_id IN ({named})")
    return runs


def search_sweep(store: Store, sweep: str) -> list[MlflowRun]:
    """Return the runs of a sweep, its own and its trials'. Raises StoreError."""
    return search(store, f"tags.`{SWEEP_TAG}` = {_quoted(sweep)}")


def running_children(store: Store, parent: str) -> list[MlflowRun]:
    """Return the runs below another one that run or are paused, by its ID. Raises StoreError."""
    below = f"tags.`{MLFLOW_PARENT_RUN_ID}` = {_quoted(parent)}"
    return search(store, f"{OPEN} AND {below}")


def newest_in(store: Store, folder: Path) -> MlflowRun | None:
    """Return the newest run whose folder in mlruns/ this is; None where there is none. Raises StoreError."""
    named = folder.relative_to(store.layout.mlruns).as_posix()
    matches = search(store, f"tags.`{FOLDER_TAG}` = {_quoted(named)}", limit=1)
    return matches[0] if matches else None


def has_run(store: Store, run_id: str) -> bool:
    """Return whether the store has the run with this whole ID."""
    return bool(search(store, f"attributes.run_id = {_quoted(run_id)}", limit=1))


def parent_of(run: MlflowRun) -> str | None:
    """Return the ID of the run that a run is below of, a trial's sweep; None for one that is by itself."""
    return run.data.tags.get(MLFLOW_PARENT_RUN_ID)


def last_metrics(store: Store, run_id: str) -> dict[str, float]:
    """Return the last value of each of a run's metrics. Raises StoreError."""
    with store_errors(store, f"the metrics of run {run_id}"):
        return dict(store.client.get_run(run_id).data.metrics)


def is_running(store: Store, run_id: str) -> bool:
    """Return whether the store has a run that is RUNNING by its word. Raises StoreError."""
    return bool(search(store, f"attributes.run_id = {_quoted(run_id)} AND attributes.status = 'RUNNING'"))


def artifacts(store: Store, run_id: str, folder: str = "") -> list[str]:
    """Return the paths of a run's artifacts in one of its folders (default: the top).

    Errors: InputError for a place outside mlruns/, StoreError.
    """
    return [path for path, _ in _listed(store, run_id, folder)]


def download(store: Store, run_id: str, artifact_file: str) -> Path:
    """Return the local path of a run's artifact: read it, don't write there, it may be the original.

    Raises InputError when the run has no such artifact, StoreError where it is no ordinary file.
    """
    parent = str(PurePosixPath(artifact_file).parent)
    if artifact_file not in artifacts(store, run_id, "" if parent == "." else parent):
        raise InputError(f"run {run_id} has no artifact {artifact_file!r}")
    place = of_artifact(store, run_id, artifact_file)
    if place is not None:
        if not place.is_file():
            raise StoreError(f"cannot read {artifact_file} of run {run_id}: it is no ordinary file")
        return place
    try:
        folder = tempfile.mkdtemp(dir=_downloads().name)
        return Path(store.client.download_artifacts(run_id, artifact_file, folder))
    except (MlflowException, OSError) as error:
        raise StoreError(f"cannot read {artifact_file} of run {run_id}: {why(error)}") from error


@cache
def _downloads() -> tempfile.TemporaryDirectory[str]:
    """Return the folder of what this process has downloaded; it goes with the process."""
    return tempfile.TemporaryDirectory(prefix="runback-")


def artifact_files(store: Store, run_id: str, folder: str = "") -> list[str]:
    """Return the paths of all files among a run's artifacts.

    Errors: InputError for a place outside mlruns/, StoreError.
    """
    files: list[str] = []
    for path, is_folder in _listed(store, run_id, folder):
        files += artifact_files(store, run_id, path) if is_folder else [path]
    return files


def _listed(store: Store, run_id: str, folder: str) -> list[tuple[str, bool]]:
    """Return the paths of artifacts in a folder, and whether each is a folder itself.

    On a disk here without MLflow, which would list also what is wherever the run's models are said to be.
    """
    place = of_artifact(store, run_id, folder)
    try:
        if place is None:
            return [(file.path, file.is_dir) for file in store.client.list_artifacts(run_id, folder or None)]
        if not place.is_dir():
            return []
        names = sorted(entry.name for entry in place.iterdir())
    except (MlflowException, OSError) as error:
        raise StoreError(f"cannot list the artifacts of run {run_id}: {why(error)}") from error
    paths = [(PurePosixPath(folder, name).as_posix(), place / name) for name in names]
    return [(path, at.is_dir() and not at.is_symlink()) for path, at in paths]


def read_bytes(store: Store, run_id: str, artifact_file: str) -> bytes:
    """Return the content of a run's artifact. Raises InputError when the run has no such artifact."""
    try:
        return read_regular(download(store, run_id, artifact_file))
    except OSError as error:
        raise StoreError(f"cannot read {artifact_file} of run {run_id}: {error.strerror}") from error


def curves(store: Store, run_id: str, names: Sequence[str]) -> list[dict[str, float]]:
    """Return what a run logged under these metric names: a dict for each step, from step 1. StoreError."""
    steps: dict[int, dict[str, float]] = {}
    try:
        for name in names:
            for point in store.client.get_metric_history(run_id, name):
                if point.step:  # what belongs to no step is logged at 0
                    steps.setdefault(point.step, {})[name] = point.value
    except MlflowException as error:
        raise StoreError(f"cannot read the metrics of run {run_id}: {why(error)}") from error
    return [steps[step] for step in sorted(steps)]


def history(store: Store, run_id: str, name: str) -> list[float]:
    """Return every value that a run logged under a metric's name, by their steps. Raises StoreError."""
    with store_errors(store, f"the metrics of run {run_id}"):
        points = store.client.get_metric_history(run_id, name)
    return [point.value for point in sorted(points, key=lambda one: one.step)]


def read_text(store: Store, run_id: str, artifact_file: str) -> str:
    """Return the text of a run's artifact. Raises InputError when the run has no such artifact."""
    return read_bytes(store, run_id, artifact_file).decode()


def is_scheduled(store: Store, run_id: str) -> bool:
    """Return whether the store has a run that is paused. Raises StoreError."""
    return bool(search(store, f"attributes.run_id = {_quoted(run_id)} AND attributes.status = 'SCHEDULED'"))


def close_runs(
    store: Store, *, tags: Mapping[str, str], status: Status, reason: str | None, run_id: str | None = None
) -> list[str]:
    """End the runs with all these tags that run or are paused, whose process cannot; return their IDs.

    With a `run_id` only that one.

    Raises StoreError, which is StoreAway where the store does not answer.
    """
    conditions = [OPEN]
    conditions += [] if run_id is None else [f"attributes.run_id = {_quoted(run_id)}"]
    conditions += [f"tags.`{name}` = {_quoted(value)}" for name, value in tags.items()]
    closed = [str(run.info.run_id) for run in search(store, " AND ".join(conditions), limit=1000)]
    for run_id in closed:
        with store_errors(store, f"the end of run {run_id}"):
            end = {"status": status, "ended_at": int(time.time() * 1000), "reason": reason}
            send_end(store.client, run_id, end)
    return closed


def end_killed(store: Store, run_id: str, *, status: Status, reason: str | None) -> None:
    """End a run otherwise that is KILLED. Raises StoreError."""
    with store_errors(store, f"the end of run {run_id}"):
        if store.client.get_run(run_id).info.status == "KILLED":
            end = {"status": status, "ended_at": int(time.time() * 1000), "reason": reason}
            send_end(store.client, run_id, end)


def reason_of(run: MlflowRun) -> str | None:
    """Return why a run is not FINISHED, None when it says nothing."""
    reason: str | None = run.data.tags.get(REASON_TAG)
    return reason


def _quoted(value: str) -> str:
    """Quote a value for MLflow's search, whose strings know no escape."""
    if "'" in value and '"' in value:
        raise InputError(f"MLflow cannot search for a value with both kinds of quotes; got {value!r}")
    return f'"{value}"' if "'" in value else f"'{value}'"
