"""A run's metrics on their way to MLflow: mirrored to a file at once, kept until the store has them."""

import runback.tracking.flags  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import contextlib
import json
import logging
import os
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric

from runback.disk import is_full
from runback.errors import DiskFull
from runback.tracking.layout import MIRROR
from runback.tracking.text import metric_name

BATCH_LIMIT = 1000
"""Metrics that MLflow takes in one call (mlflow.utils.validation.MAX_METRICS_PER_BATCH)."""

SYSTEM = "system/"
"""What the names of metrics begin with that tell of the machine, not of a training."""

_logger = logging.getLogger(__name__)


class Curves:
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
        self._known: set[tuple[str, int]] = set()
        self._client = client
        self._run_id = run_id
        self._mirror = None if folder is None else folder / MIRROR
        self._pending: list[Metric] = []
        self._lock, self._sending = threading.Lock(), threading.Lock()

    def add(self, step: int, metrics: Mapping[str, float]) -> None:
        """Mirror these metrics, and keep them until `send` is called.

        Those that `recover` found at this step already are passed over. Raises DiskFull.
        """
        now = time.time()
        values = {_name(name): float(value) for name, value in metrics.items()}
        with self._lock:
            values = {name: value for name, value in values.items() if (name, step) not in self._known}
            self._pending += [Metric(name, value, int(now * 1000), step) for name, value in values.items()]
            self._note((_name(name), step) for name in metrics)
            if values:
                self._write_mirror(step, now, values)

    def recover(self) -> None:
        """Send the points of the mirror that the store does not have. Raises MlflowException, OSError."""
        points = {(point.key, point.step): point for point in self._read_mirror()}
        stored = self._stored()
        self._known = stored | points.keys()
        self._pending = [point for place, point in points.items() if place not in stored]
        self._note(self._known)
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

    def _read_mirror(self) -> list[Metric]:
        """Return the mirror's points. A last line that a crash cut off is removed from it."""
        if self._mirror is None or not self._mirror.exists():
            return []
        content = self._mirror.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            os.truncate(self._mirror, len(whole))
        return [point for line in whole.splitlines() for point in self._points(line)]

    def _points(self, line: bytes) -> list[Metric]:
        try:
            row = json.loads(line)
            return [
                Metric(name, float(value), int(row["time"] * 1000), int(row["step"]))
                for name, value in row["metrics"].items()
            ]
        except (ValueError, KeyError, TypeError, AttributeError):
            _logger.warning("a damaged line in %s is passed over: %.60r", self._mirror, line)
            return []

    def _write_mirror(self, step: int, now: float, values: dict[str, float]) -> None:
        if self._mirror is None:
            return
        try:
            _append(self._mirror, json.dumps({"step": step, "time": now, "metrics": values}) + "\n")
        except OSError as error:
            if is_full(error):
                raise DiskFull(f"the disk is full: cannot write {self._mirror}") from error
            _logger.warning("cannot write %s: %s", self._mirror, error.strerror or error)


def _name(name: str) -> str:
    return name if name.startswith(SYSTEM) else metric_name(name)


def _append(path: Path, line: str) -> None:
    """Add a line to a file, the whole of it or nothing. Raises OSError."""
    size = path.stat().st_size if path.exists() else 0
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line)
    except OSError:
        with contextlib.suppress(OSError):
            os.truncate(path, size)  # the next line must not continue half of this one
        raise
