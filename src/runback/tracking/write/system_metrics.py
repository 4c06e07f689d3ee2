"""Records what the machine does while a run trains: CPU, memory, disk, network, GPUs."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from runback.errors import DiskFull
from runback.tracking.mlflow_internals import machine_monitor
from runback.tracking.read.rows import SYSTEM
from runback.tracking.write.run_writer import RunWriter

SAMPLING_SECONDS = 5.0
"""Seconds between two samples."""


@contextlib.contextmanager
def system_metrics(run: RunWriter, sampling_seconds: float = SAMPLING_SECONDS) -> Iterator[None]:
    """Log the metrics `system/...` to `run` while the body runs: every few seconds and once at its end.

    They follow those that the run has. GPU metrics appear where NVML finds one.
    """
    machine = machine_monitor(run.id, sampling_seconds, run.store.uri)
    ended = threading.Event()
    thread = threading.Thread(target=_sample, args=(run, machine, ended), name="SystemMetrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _sample(run: RunWriter, machine: Any, ended: threading.Event) -> None:
    with contextlib.suppress(DiskFull):  # the training will meet it too, and say so
        while True:
            machine.collect_metrics()
            is_last = ended.wait(machine.sampling_interval)
            if is_last:
                machine.collect_metrics()
            run.log_sample({SYSTEM + name: value for name, value in machine.aggregate_metrics().items()})
            for monitor in machine.monitors:
                monitor.clear_metrics()
            if is_last:
                return
