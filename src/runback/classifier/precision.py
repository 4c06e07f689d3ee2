"""The precision that a machine trains fastest in: what `training.precision=auto` becomes."""

import copy
import os

from omegaconf import DictConfig, OmegaConf

from runback.provenance.machine.hardware import compute_capabilities, cpu

AUTO = "auto"
KEY = "training.precision"

HALF, FULL = "mixed_bfloat16", "float32"

FAST_FLAGS = ("amx_bf16", "avx512_bf16", "avx10_2", "bf16")
"""Instruction sets that multiply bfloat16 matrices: Intel's and AMD's, and (bf16) ARM's."""

FAST_CAPABILITY = (8, 0)
"""The compute capability from which on NVIDIA's GPUs have bfloat16 in their tensor cores (Ampere, 2020)."""


def with_precision(cfg: DictConfig) -> DictConfig:
    """Return a config whose precision is one to train in: where it is `auto`, this machine's.

    What is recorded is that one, so that a run is reproduced in it on any machine.
    """
    if OmegaConf.select(cfg, KEY, throw_on_missing=False) != AUTO:
        return cfg
    changed = copy.deepcopy(cfg)
    OmegaConf.update(changed, KEY, fast_precision()[0])
    return changed


def precision_line(precision: str) -> str:
    """Return the line that says in what is trained, and what of this machine speaks for it or against it."""
    fast, reason = fast_precision()
    if precision == FULL and fast == HALF:
        reason = f"{KEY}={AUTO} takes {HALF} here: {reason}"
    return f"  precision: {precision}; {reason}" if precision in (HALF, FULL) else f"  precision: {precision}"


def fast_precision() -> tuple[str, str]:
    """Return the precision for this machine, and the reason.

    All GPUs count, whichever a trial sees: the trials of a sweep train alike.
    """
    capabilities = compute_capabilities()
    if capabilities:
        least = ".".join(map(str, min(capabilities)))
        if min(capabilities) >= FAST_CAPABILITY:
            return HALF, f"the GPU computes bfloat16 fast (compute capability {least})"
        return FULL, f"the GPU does not compute bfloat16 fast (compute capability {least}, 8.0 does)"
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        return FULL, "TF_ENABLE_ONEDNN_OPTS=0 takes the processor's fast bfloat16 away"
    flags = set(cpu()["flags"])
    found = next((flag for flag in FAST_FLAGS if flag in flags), None)
    if found is None:
        return FULL, "the processor does not compute bfloat16 fast"
    return HALF, f"the processor computes bfloat16 fast ({found})"
