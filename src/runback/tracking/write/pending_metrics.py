"""A run's metrics on their way to MLflow: mirrored to a file at once, kept until the store has them."""

import runback.tracking.mlflow_settings  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric

from runback.tracking.read.rows import SYSTEM
from runback.tracking.write import metrics_file
from runback.tracking.layout import MIRROR, SAMPLES
from runback.tracking.mlflow_limits import metric_name

BATCH_LIMIT = 1000
"""Metrics that MLflow takes in one call (mlflow.utils.validation.MAX_METRICS_PER_BATCH)."""


class PendingMetrics:
    """The points of one run that its store has not taken yet, in order.

    Sending a point twice is harmless: the store knows it by its name, step, time and value. In a run that is
    taken up again, a step that is done again is not a second point. Points may come from several threads, and
    be sent by another.
    """

    def __init__(self, client: MlflowClient, run_id: str, folder: Path | None) -> None:
        self.last_step: int | None = None
        """The highest step so far, those of system metrics aside."""
        self.next_sample = 0
        """The first step that no system metric has."""
        self._taken: set[tuple[str, int]] = set()
        self._client = client
        self._run_id = run_id
        self._folder = folder
        self._pending: list[Metric] = []
        self._lock, self._sending = threading.Lock(), threading.Lock()

    def add(self, step: int, metrics: Mapping[str, float]) -> None:
        """Mirror these metrics, and keep them until `send` is called.

        Those that `recover` found at this step already are passed over. Raises DiskFull.
        """
        now = time.time()
        values = {_name(name): float(value) for name, value in metrics.items()}
        with self._lock:
            values = {name: value for name, value in values.items() if (name, step) not in self._taken}
            self._pending += [Metric(name, value, int(now * 1000), step) for name, value in values.items()]
            self._note((_name(name), step) for name in metrics)
            for file, part in _by_file(values).items():
                if self._folder is not None:
                    metrics_file.write(self._folder / file, step, now, part)

    def recover(self) -> None:
        """Send the points of the mirrors that the store does not have. Raises MlflowException, OSError."""
        files = [] if self._folder is None else [self._folder / MIRROR, self._folder / SAMPLES]
        points = {(point.key, point.step): point for file in files for point in metrics_file.read(file)}
        stored = self._stored()
        self._taken = stored | points.keys()
        self._pending = [point for place, point in points.items() if place not in stored]
        self._note(self._taken)
        self.send()

    def send(self) -> None:
        """Send all that is pending. Raises MlflowException when the store fails; the rest stays pending."""
        with self._sending:
            while batch := self._first():
                self._client.log_batch(self._run_id, metrics=batch, synchronous=True)
                with self._lock:
                    del self._pending[: len(batch)]

    def _first(self) -> list[Metric]:
        with self._lock:
            return self._pending[:BATCH_LIMIT]

    def _note(self, places: Iterable[tuple[str, int]]) -> None:
        for name, step in places:
            if name.startswith(SYSTEM):
                self.next_sample = max(step + 1, self.next_sample)
            else:
                self.last_step = step if self.last_step is None else max(step, self.last_step)

    def _stored(self) -> set[tuple[str, int]]:
        names = self._client.get_run(self._run_id).data.metrics
        return {
            (name, point.step)
            for name in names
            for point in self._client.get_metric_history(self._run_id, name)
        }


def _name(name: str) -> str:
    return name if name.startswith(SYSTEM) else metric_name(name)


def _by_file(values: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return the metrics that go into each mirror."""
    files: dict[str, dict[str, float]] = {}
    for name, value in values.items():
        files.setdefault(SAMPLES if name.startswith(SYSTEM) else MIRROR, {})[name] = value
    return files
