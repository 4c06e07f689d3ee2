"""Records what the machine does while a run trains: CPU, memory, disk, network, GPUs."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from runback.errors import DiskFull
from runback.system.energy import EnergyMeter
from runback.tracking.mlflow_internals import machine_monitor
from runback.tracking.read.rows import SYSTEM
from runback.tracking.write.run_writer import RunWriter

SAMPLING_SECONDS = 5.0
"""Seconds between two samples."""

ENERGY = "energy_joules"
"""What follows `cpu_` and `gpu_` in the names of metrics of energy."""


@contextlib.contextmanager
def system_metrics(run: RunWriter, sampling_seconds: float = SAMPLING_SECONDS) -> Iterator[None]:
    """Log the metrics `system/...` to `run` while the body runs: every few seconds and once at its end.

    They follow those that the run has. GPU metrics appear where NVML finds one. `system/cpu_energy_joules`
    and `system/gpu_energy_joules` are what the machine has taken since the sample before, where it counts it.
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
        meter = EnergyMeter()
        while True:
            machine.collect_metrics()
            is_last = ended.wait(machine.sampling_interval)
            if is_last:
                machine.collect_metrics()
            energy = {f"{kind}_{ENERGY}": joules for kind, joules in meter.update().items()}
            sample = machine.aggregate_metrics() | energy
            run.log_sample({SYSTEM + name: value for name, value in sample.items()})
            for monitor in machine.monitors:
                monitor.clear_metrics()
            if is_last:
                return
