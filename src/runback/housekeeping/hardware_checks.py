"""Whether this machine has what trainings need: disk, memory, processors, GPUs."""

import shutil
from collections import Counter
from importlib.metadata import PackageNotFoundError

import psutil

from runback.errors import InputError
from runback.housekeeping.check import Check, ok
from runback.housekeeping.package_checks import missing_cuda
from runback.provenance.machine import hardware
from runback.sweeping.trials.devices import devices
from runback.sweeping.trials.out_of_memory import MEMORY_PER_TRIAL
from runback.system.cores import available_cores
from runback.system.text.quiet_stderr import NVIDIA_DRIVER
from runback.tracking.layout import Layout, check_writable

LEAST_SPACE = 1_000_000_000
"""Bytes that must be free: CIFAR-10 takes 0.35 GB, archive and decoded, each run of a CNN with 1.2 million
weights 0.04 GB, and its checkpoints as much again. With less, a sweep ends in the middle."""

LITTLE_SPACE = 5_000_000_000
"""Bytes below which there is a warning: a sweep of 100 such runs wants that."""

GIGABYTE = 1e9


def machine_checks(layout: Layout) -> list[Check]:
    """Check the disk that mlruns/ is on, memory, processors and GPUs."""
    return [disk_check(layout), memory_check(), _cores_check(), gpu_check()]


def disk_check(layout: Layout) -> Check:
    """Check that mlruns/ can be written to and that there is space for it."""
    try:
        check_writable(layout)
    except InputError as error:  # StoreError is one
        return Check("disk", "problem", str(error))
    there = next(one for one in (layout.mlruns, *layout.mlruns.parents) if one.exists())
    free = shutil.disk_usage(there).free
    found = f"{free / GIGABYTE:,.1f} GB free for {layout.mlruns}"
    if free >= LITTLE_SPACE:
        return ok("disk", found)
    return Check(
        "disk",
        "problem" if free < LEAST_SPACE else "warning",
        found,
        "make space (`runback clean` shows what is not needed), or put mlruns/ elsewhere with RUNBACK_MLRUNS",
    )


def memory_check() -> Check:
    """Check that there is memory for one trial."""
    memory = psutil.virtual_memory()
    found = f"{memory.available / GIGABYTE:,.1f} of {memory.total / GIGABYTE:,.1f} GB available"
    if memory.available >= MEMORY_PER_TRIAL:
        return ok("memory", found)
    return Check(
        "memory", "warning", found, f"end other programs: a trial may want {MEMORY_PER_TRIAL / GIGABYTE:g} GB"
    )


def _cores_check() -> Check:
    cores, there = available_cores(), psutil.cpu_count() or 1
    limited = "" if cores == there else f" of {there}, to which this process is limited"
    return ok("cpu", f"{cores} {'core' if cores == 1 else 'cores'}{limited}")


def gpu_check() -> Check:
    """Check the GPUs that NVML finds, and that TensorFlow has the libraries to use them."""
    found = hardware.gpus()
    if not found:
        if not NVIDIA_DRIVER.exists():
            return ok("gpu", "none found; training runs on the CPU")
        message = "an NVIDIA driver is loaded, and NVML finds no GPU; training runs on the CPU"
        return Check("gpu", "warning", message, "see what nvidia-smi says")
    names = Counter(str(gpu["name"]) for gpu in found)
    message = (
        ", ".join(f"{count} x {name}" for name, count in names.items()) + f" (driver {found[0]['driver']})"
    )
    visible = len(devices("auto"))
    if visible < len(found):
        message += f", {visible} of them visible (CUDA_VISIBLE_DEVICES)"
    try:
        missing = missing_cuda()
    except PackageNotFoundError:
        return ok("gpu", message)  # TensorFlow itself is missing, which another check tells
    if not missing:
        return ok("gpu", message)
    message += (
        f"; TensorFlow's CUDA libraries are not installed ({len(missing)} packages, such as {missing[0]})"
    )
    return Check("gpu", "warning", message, "make setup EXTRAS='dev gpu', or training runs on the CPU")
