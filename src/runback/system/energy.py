"""How much energy this machine's processors and GPUs have taken, where they count it."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pynvml

POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows the counters of Intel's and AMD's RAPL."""

MOST_WATTS = 2_000
"""More than any processor package takes: a counter that would have counted faster has begun anew instead."""


class EnergyMeter:
    """Adds up what counters have counted since it was made; `update` must see them more often than they wrap.

    A package's counter wraps after a quarter of an hour under load at the earliest. They count everything
    that the machine does, not this process alone. Counters that cannot be read are left out. What a counter
    that begins anew, as after a suspend, had counted since it was last read is lost.
    """

    def __init__(self) -> None:
        self.joules: dict[str, float] = {}
        """By `cpu` and `gpu`, what there are counters of."""
        self._last: dict[str, float] = {}
        self._read = time.monotonic()
        self._gpus = _gpus()
        self.update()

    def update(self) -> dict[str, float]:
        """Read the counters; return the joules since they were read before, by `cpu` and `gpu`."""
        passed: dict[str, float] = {}
        now = time.monotonic()
        most = MOST_WATTS * (now - self._read)
        for kind, name, joules, wrap in [*_package_counters(), *_gpu_counters(self._gpus)]:
            key = f"{kind} {name}"
            before = self._last.get(key, joules)
            more = joules - before
            if more < 0:  # it has wrapped, or begun anew
                more = more + wrap if 0 <= more + wrap <= most else joules
            passed[kind] = passed.get(kind, 0.0) + more
            self._last[key] = joules
        self._read = now
        for kind, more in passed.items():
            self.joules[kind] = self.joules.get(kind, 0.0) + more
        return passed


def _package_counters() -> Iterator[tuple[str, str, float, float]]:
    """Yield kind, name, joules, and where the counter begins anew."""
    for zone in sorted(POWERCAP.glob("intel-rapl:[0-9]*")):
        if zone.name.count(":") > 1:
            continue  # a part of a package
        with contextlib.suppress(OSError, ValueError):  # root's alone on most machines
            if not (zone / "name").read_text().startswith("package"):
                continue  # the whole platform, with the packages in it
            joules = int((zone / "energy_uj").read_text()) / 1e6
            wrap = int((zone / "max_energy_range_uj").read_text()) / 1e6
            yield "cpu", zone.name, joules, wrap


def _gpus() -> list[Any]:
    """Return NVML's handles of this machine's GPUs; NVML stays open until the process ends."""
    try:
        pynvml.nvmlInit()
        return [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []


def _gpu_counters(handles: list[Any]) -> Iterator[tuple[str, str, float, float]]:
    for number, handle in enumerate(handles):
        with contextlib.suppress(pynvml.NVMLError):  # not before Volta
            yield "gpu", str(number), pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3, 0.0
