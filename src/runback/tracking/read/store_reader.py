"""Reads many runs through MLflow, from whatever store it knows: a server, or a database of another kind."""

from concurrent.futures import ThreadPoolExecutor

from mlflow.entities import Run as MlflowRun

from runback.tracking.mlflow_internals import HISTORY_LIMIT, HISTORY_RUNS, metric_histories, newest_metrics
from runback.tracking.read.find_runs import find_run, search_ids, search_sweep
from runback.tracking.read.rows import SYSTEM, EpochTable, Runs, as_curves, columns
from runback.tracking.store import Store, store_errors
from runback.tracking.tags import KIND_TAG, RETRY_TAG

CALLS = 4
"""Calls under way at once: more would make other clients of a server wait."""


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
        stored = self._stored(ids)
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
        names: dict[str, list[str]] = {}
        positions: dict[str, list[int]] = {}
        stored = self._stored(ids)
        for position, run in enumerate(stored):
            positions.setdefault(run.info.run_id, []).append(position)
        for run in {run.info.run_id: run for run in stored}.values():
            for point in newest_metrics(run):
                if point.step > 0 and not point.key.startswith(SYSTEM):
                    names.setdefault(point.key, []).append(run.info.run_id)
        parts = [
            (name, having[start : start + HISTORY_RUNS])
            for name, having in names.items()
            for start in range(0, len(having), HISTORY_RUNS)
        ]
        with ThreadPoolExecutor(CALLS) as pool:
            histories = pool.map(lambda part: self._histories(*part), parts)
            return as_curves(
                [
                    (position, step, name, value)
                    for (name, _), points in zip(parts, histories, strict=True)
                    for run_id, step, value in points
                    for position in positions.get(run_id, ())
                    if step > 0
                ]
            )

    def _histories(self, name: str, ids: list[str]) -> list[tuple[str, int, float]]:
        """Return all points of a metric of these runs: those of fewer at once where they are too many."""
        client = self._store.client
        with store_errors(self._store, f"the metrics of {len(ids)} runs", "read"):
            points = metric_histories(client, ids, name)
            if len(points) < HISTORY_LIMIT:
                return points
            if len(ids) == 1:
                whole = client.get_metric_history(ids[0], name)
                return [(ids[0], point.step, point.value) for point in whole]
        middle = len(ids) // 2
        return [*self._histories(name, ids[:middle]), *self._histories(name, ids[middle:])]

    def _stored(self, ids: list[str]) -> list[MlflowRun]:
        """Return these runs. Errors: InputError for one that is not there, StoreError."""
        asked = [run_id for run_id in ids if run_id not in self._cached]
        if len(asked) > 1:
            self._cached |= {run.info.run_id: run for run in search_ids(self._store, asked)}
        return [self._cached.get(run_id) or find_run(self._store, run_id) for run_id in ids]
