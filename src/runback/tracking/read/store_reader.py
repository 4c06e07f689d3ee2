"""Reads many runs through MLflow, from whatever store it knows: a server, or a database of another kind."""

from concurrent.futures import ThreadPoolExecutor

from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException

from runback.errors import StoreError
from runback.tracking.mlflow_internals import newest_metrics
from runback.tracking.mlflow_limits import first_line
from runback.tracking.read.find_runs import find_run, search_sweep
from runback.tracking.read.rows import SYSTEM, EpochTable, Point, Runs, as_curves, columns
from runback.tracking.store import Store
from runback.tracking.tags import KIND_TAG, RETRY_TAG

CALLS = 8
"""Calls under way at once, where each run takes its own."""


class StoreReader:
    """Reads runs through MLflow's client."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.mlruns = store.layout.mlruns
        self._cached: dict[str, MlflowRun] = {}

    def of_sweep(self, sweep: str) -> list[str]:
        """Return the IDs of a sweep's runs, see `Reader`."""
        runs = reversed(search_sweep(self._store, sweep))
        trainings = {run.info.run_id: run for run in runs if run.data.tags.get(KIND_TAG) == "train"}
        self._cached |= trainings
        replaced = {run.data.tags.get(RETRY_TAG) for run in trainings.values()}
        return [run_id for run_id in trainings if run_id not in replaced]

    def find(self, run_id: str) -> str:
        """Return the ID that begins like this, see `Reader`."""
        run = find_run(self._store, run_id)
        self._cached[run.info.run_id] = run
        return str(run.info.run_id)

    def runs(self, ids: list[str]) -> Runs:
        """Return these runs, see `Reader`."""
        stored = [self._cached.get(run_id) or find_run(self._store, run_id) for run_id in ids]
        params, metrics, tags = columns(len(ids)), columns(len(ids)), columns(len(ids))
        epochs: list[int | None] = []
        for position, run in enumerate(stored):
            for key, value in run.data.params.items():
                params[key][position] = value
            for key, value in run.data.tags.items():
                tags[key][position] = value
            points = newest_metrics(run)
            for point in points:
                metrics[point.key][position] = point.value
            steps = [point.step for point in points if not point.key.startswith(SYSTEM)]
            epochs.append(max(steps, default=0) or None)
        return Runs(
            ids=[run.info.run_id for run in stored],
            names=[run.info.run_name for run in stored],
            statuses=[run.info.status for run in stored],
            starts=[run.info.start_time for run in stored],
            ends=[run.info.end_time or None for run in stored],
            artifact_uris=[run.info.artifact_uri for run in stored],
            epochs=epochs,
            params=dict(params),
            metrics=dict(metrics),
            tags=dict(tags),
        )

    def curves(self, ids: list[str]) -> EpochTable:
        """Return the metrics of all epochs, see `Reader`."""
        with ThreadPoolExecutor(CALLS) as pool:
            points_of_runs = pool.map(self._points, range(len(ids)), ids)
            return as_curves([point for points in points_of_runs for point in points])

    def _points(self, position: int, run_id: str) -> list[Point]:
        client = self._store.client
        try:
            names = (self._cached.get(run_id) or client.get_run(run_id)).data.metrics
            return [
                (position, point.step, name, point.value)
                for name in names
                if not name.startswith(SYSTEM)
                for point in client.get_metric_history(run_id, name)
                if point.step > 0
            ]
        except MlflowException as error:
            raise StoreError(f"cannot read the metrics of run {run_id}: {first_line(str(error))}") from error
