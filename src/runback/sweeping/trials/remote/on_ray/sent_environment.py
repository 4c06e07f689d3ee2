"""The environment that a coordinator gives workers whose cluster was started by somebody else."""

import os

OF_A_MACHINE = ("RAY_", "CUDA_", "NVIDIA_", "LD_", "SLURM_", "SSH_", "XDG_", "TMP", "OMP_", "PYTHON", "_")
"""How the variables begin that mean something else on another machine, or to another process."""


def sent_environment() -> dict[str, str]:
    """Return the variables that trials get where their node does not set them: where the store is, say.

    There may be secrets in it: it travels to workers as trials do, and Ray never sees it.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith(OF_A_MACHINE)}
