"""The GPUs that trials may use, counted with NVML: the coordinator never imports TensorFlow."""

import os
from collections.abc import Sequence
from typing import Any

from runback.errors import InputError
from runback.provenance.machine import hardware

VARIABLE = "CUDA_VISIBLE_DEVICES"
"""The environment variable that says which GPUs a process sees, by number or UUID."""


def devices(gpus: Any) -> list[str]:
    """Return the GPUs for `hydra.sweeper.gpus`, as CUDA_VISIBLE_DEVICES names them; none: trials use CPUs.

    auto: all that this process may see; a list: those of them. Raises InputError for others.
    """
    visible = _visible()
    if gpus == "auto":
        return visible
    wanted = [str(gpu) for gpu in (gpus if isinstance(gpus, list) else [gpus])]
    for gpu in wanted:
        if gpu not in visible:
            there = f"there are {', '.join(visible)}" if visible else "there is none"
            raise InputError(f"hydra.sweeper.gpus: no GPU {gpu}, {there}")
    if not wanted:
        raise InputError(f"hydra.sweeper.gpus must name a GPU: to use none, set {VARIABLE}=-1")
    if len(set(wanted)) < len(wanted):
        raise InputError(f"hydra.sweeper.gpus names a GPU twice: {', '.join(wanted)}")
    return wanted


def _visible() -> list[str]:
    present = [str(number) for number in range(len(hardware.gpus()))]
    named = os.environ.get(VARIABLE)
    if named is None or not present:
        return present
    names: list[str] = []
    for name in (part.strip() for part in named.split(",")):
        if not name or (name.lstrip("-").isdigit() and name not in present):
            break  # CUDA sees those before the first impossible one
        names.append(name)
    return names


def least_used(
    devices: Sequence[str], used: Sequence[str | None], closed: Sequence[str | None]
) -> str | None:
    """Return the device with the fewest trials in `used` and none in `closed`; None where there is none."""
    free = [device for device in devices if device not in closed]
    return min(free, key=list(used).count, default=None)
