"""The backend of Keras: recorded where Keras is imported, and chosen again where a run is trained again."""

import os
import sys
from collections.abc import Mapping
from typing import Any

from runback.errors import InputError

BACKEND = "KERAS_BACKEND"
"""The environment variable that chooses it; a file of Keras' in the home folder is the other way."""

BACKENDS = ("tensorflow", "jax", "torch")


def keras_backend() -> dict[str, str]:
    """Return the backend of this process's Keras, by the variable that chooses it; nothing without Keras."""
    keras: Any = sys.modules.get("keras")
    return {} if keras is None else {BACKEND: str(keras.config.backend())}


def recorded_backend(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the backend of a recorded run, by the variable that chooses it; nothing without Keras."""
    recorded = environment.get(BACKEND)
    return {BACKEND: recorded} if recorded in BACKENDS else {}


def use_recorded_backend(environment: Mapping[str, str]) -> str | None:
    """Choose the backend that a recorded run had; return a line that says so where it is not the one set.

    Errors: InputError where Keras has another one in this process.
    """
    recorded = recorded_backend(environment).get(BACKEND)
    if recorded is None:
        return None
    here = keras_backend().get(BACKEND)
    if here not in (None, recorded):
        raise InputError(
            f"the run used Keras on {recorded}, and this process has imported it on {here}: set "
            f"{BACKEND}={recorded}"
        )
    if here == recorded or os.environ.get(BACKEND, "tensorflow") == recorded:
        return None
    os.environ[BACKEND] = recorded
    return f"{BACKEND}={recorded}, as for the recorded run"
