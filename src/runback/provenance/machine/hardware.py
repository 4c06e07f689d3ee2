"""The processor and the GPUs of this machine."""

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pynvml

CPUINFO = Path("/proc/cpuinfo")


def hardware() -> dict[str, Any]:
    """Return what this machine computes with."""
    return {"cpu": cpu(), "gpus": gpus()}


def cpu() -> dict[str, Any]:
    """Return the processor's model and the sorted flags of its instruction sets."""
    facts = _linux() if CPUINFO.is_file() else _macos()
    model = facts.get("model name") or facts.get("Model") or _arm_model(facts)
    flags = facts.get("flags") or facts.get("Features") or ""
    return {"model": model or platform.processor() or platform.machine(), "flags": sorted(set(flags.split()))}


def gpus() -> list[dict[str, Any]]:
    """Return the name, driver version and memory (bytes) of every NVIDIA GPU; none without a driver.

    All of the machine's, whichever CUDA_VISIBLE_DEVICES shows to TensorFlow; that variable is recorded too.
    """
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        driver = _text(pynvml.nvmlSystemGetDriverVersion())
        return [_gpu(number, driver) for number in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def compute_capabilities() -> list[tuple[int, int]]:
    """Return the CUDA compute capability, (major, minor), of each NVIDIA GPU of the machine.

    None where CUDA_VISIBLE_DEVICES hides all of them. TensorFlow is taken to have its CUDA libraries.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
        found = [pynvml.nvmlDeviceGetCudaComputeCapability(handle) for handle in handles]
        return [(int(major), int(minor)) for major, minor in found]
    except pynvml.NVMLError:
        return []
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _gpu(number: int, driver: str) -> dict[str, Any]:
    handle = pynvml.nvmlDeviceGetHandleByIndex(number)
    memory = None
    with suppress(pynvml.NVMLError):  # a GPU that shares the CPU's memory has none of its own
        memory = int(pynvml.nvmlDeviceGetMemoryInfo(handle).total)
    return {"name": _text(pynvml.nvmlDeviceGetName(handle)), "driver": driver, "memory_bytes": memory}


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _linux() -> dict[str, str]:
    """Return what the kernel says about the first core."""
    try:
        with CPUINFO.open(errors="replace") as lines:
            return dict(_first_block(lines))
    except OSError:
        return {}


def _first_block(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    # The rest repeats it, and costs the kernel time for every core.
    for line in lines:
        if not line.strip():
            return
        key, _, value = line.partition(":")
        yield key.strip(), value.strip()


def _arm_model(facts: dict[str, str]) -> str:
    """Return the numbers that tell ARM's cores apart; Linux has no name for them."""
    return " ".join(f"{key} {facts[key]}" for key in ("CPU implementer", "CPU part") if key in facts)


def _macos() -> dict[str, str]:
    return {
        "model name": _sysctl("machdep.cpu.brand_string"),
        "flags": f"{_sysctl('machdep.cpu.features')} {_sysctl('machdep.cpu.leaf7_features')}".strip().lower(),
    }


def _sysctl(name: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - names from this module only
            ["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
