"""How much energy this machine's processors and GPUs have taken, where they count it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pynvml

POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows the counters of Intel's and AMD's RAPL: one zone a processor package."""


class EnergyMeter:
    """Adds up what counters have counted since it was made; `update` must see them more often than they wrap.

    A package's counter wraps after a quarter of an hour under load at the earliest. They count everything
    that the machine does, not this process alone. Counters that cannot be read are left out.
    """

    def __init__(self) -> None:
        self.joules: dict[str, float] = {}
        """By `cpu` and `gpu`, what there are counters of."""
        self._last: dict[str, tuple[float, float]] = {}
        self.update()

    def update(self) -> None:
        """Read the counters."""
        for kind, name, joules, wrap in _counters():
            key = f"{kind} {name}"
            before, _ = self._last.get(key, (joules, wrap))
            passed = joules - before if joules >= before else joules - before + wrap
            self.joules[kind] = self.joules.get(kind, 0.0) + max(0.0, passed)
            self._last[key] = (joules, wrap)


def _counters() -> Iterator[tuple[str, str, float, float]]:
    """Yield kind, name, joules, and where the counter begins anew."""
    for zone in sorted(POWERCAP.glob("intel-rapl:[0-9]*")):
        if zone.name.count(":") > 1:
            continue  # a part of a package
        with contextlib.suppress(OSError, ValueError):  # root's alone on most machines
            joules = int((zone / "energy_uj").read_text()) / 1e6
            wrap = int((zone / "max_energy_range_uj").read_text()) / 1e6
            yield "cpu", zone.name, joules, wrap
    yield from _gpu_counters()


def _gpu_counters() -> Iterator[tuple[str, str, float, float]]:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return
    try:
        for number in range(pynvml.nvmlDeviceGetCount()):
            with contextlib.suppress(pynvml.NVMLError):  # not before Volta
                handle = pynvml.nvmlDeviceGetHandleByIndex(number)
                yield "gpu", str(number), pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3, 0.0
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()
