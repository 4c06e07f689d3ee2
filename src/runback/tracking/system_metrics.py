"""Records what the machine does while a run trains: CPU, memory, disk, network, GPUs."""

import runback.tracking.flags  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import contextlib
from collections.abc import Iterator
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from runback.tracking.run import Run

SAMPLING_SECONDS = 5.0
"""Seconds between two samples."""


@contextlib.contextmanager
def system_metrics(
    run: Run, sampling_seconds: float = SAMPLING_SECONDS, *, resumed: bool = False
) -> Iterator[None]:
    """Log the metrics `system/...` to `run` while the body runs: every few seconds and once at its end.

    With `resumed` they follow those that the run has. GPU metrics appear where NVML finds one.
    A store that fails ends the recording, never the body.
    """
    monitoring: Any = SystemMetricsMonitor  # it has no types
    monitor = monitoring(
        run.id, sampling_interval=sampling_seconds, tracking_uri=run.store.uri, resume_logging=resumed
    )
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()
        _log_last_sample(monitor)


def _log_last_sample(monitor: Any) -> None:
    """Log what MLflow drops: the samples since its last logging, in a short run the only ones."""
    monitor.collect_metrics()
    with contextlib.suppress(MlflowException):
        monitor.publish_metrics(monitor.aggregate_metrics())
        monitor.mlflow_logger.flush()
