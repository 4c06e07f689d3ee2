"""One seed for the random generators of Python, NumPy and the frameworks that a process has imported."""

import contextlib
import hashlib
import random
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from runback.errors import InputError


def seed_imported(seed: int, threads: int, seeded: set[str]) -> list[str]:
    """Seed Python, NumPy and each imported framework that is not among the `seeded`, which it then is.

    TensorFlow's and PyTorch's operations become deterministic, and all compute with `threads` threads:
    another number adds floats in another order. JAX has no generator to seed: its keys are made from
    `run.seed`. Returns notes about what could not be set. Errors: InputError for a seed out of range.
    """
    if not 0 <= seed < 2**32:
        raise InputError(f"run.seed must lie in [0, 4294967295]; got {seed}")
    notes = []
    for name, function in _SEEDING.items():
        if name not in seeded and name in sys.modules:
            seeded.add(name)
            notes += function(seed, threads)
    return notes


def _seed_python(seed: int, _threads: int) -> list[str]:
    random.seed(seed)
    return []


def _seed_numpy(seed: int, threads: int) -> list[str]:
    np.random.seed(seed)
    threadpool_limits(threads)
    return []


def _seed_torch(seed: int, threads: int) -> list[str]:
    torch: Any = sys.modules["torch"]
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    return []


def _seed_tensorflow(seed: int, threads: int) -> list[str]:
    tf: Any = sys.modules["tensorflow"]
    notes = []
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
    except (RuntimeError, ValueError):
        before = tf.config.threading.get_intra_op_parallelism_threads() or "its default number of"
        if before != threads:
            notes = [
                f"  note: TensorFlow ran before the run began, with {before} threads, and keeps them: move "
                "what uses it into the task"
            ]
    tf.random.set_seed(seed)
    tf.config.experimental.enable_op_determinism()
    return notes


def _seed_keras(seed: int, _threads: int) -> list[str]:
    sys.modules["keras"].utils.set_random_seed(seed)
    return []


_SEEDING: Mapping[str, Callable[[int, int], list[str]]] = {
    "tensorflow": _seed_tensorflow,
    "torch": _seed_torch,
    "keras": _seed_keras,
    "numpy": _seed_numpy,
    "random": _seed_python,
}
"""By module; Keras seeds its backend, Python and NumPy too, so these come later."""


def generator_states() -> dict[str, Any]:
    """Return the states of the global generators of Python, NumPy and PyTorch."""
    states: dict[str, Any] = {"random": random.getstate(), "numpy": np.random.get_state()}
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        states["torch"] = torch.get_rng_state()
        if torch.cuda.is_available():
            states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def generator_hashes() -> dict[str, str]:
    """Return a hash of the state of each global generator, by its library's name."""
    states = generator_states()
    kind, keys, *rest = states["numpy"]
    contents = {
        "Python": repr(states["random"]).encode(),
        "NumPy": repr((kind, keys.tolist(), rest)).encode(),
    }
    if "torch" in states:
        contents["PyTorch"] = states["torch"].numpy().tobytes()
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def restore_generators(states: Mapping[str, Any]) -> None:
    """Give the global generators the states that `generator_states` has returned."""
    random.setstate(states["random"])
    np.random.set_state(states["numpy"])
    torch: Any = sys.modules.get("torch")
    if torch is not None and "torch" in states:
        torch.set_rng_state(states["torch"])
        with contextlib.suppress(RuntimeError):  # another number of GPUs
            if "cuda" in states:
                torch.cuda.set_rng_state_all(states["cuda"])
