"""The state that a task keeps in its checkpoints: a tree of arrays and JSON values, without pickle."""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from runback.errors import TrainingError
from runback.runs.checkpoint import Variable
from runback.runs.live.run_data import as_array

GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
"""NumPy's bit generators."""


def packed(state: Mapping[str, Any]) -> tuple[Any, list[Variable]]:
    """Return a state as JSON values, and its arrays, which these refer to.

    A state is made of mappings, lists, tuples, texts, numbers, None, NumPy's arrays and generators, and
    tensors. Errors: TrainingError, which names the place of anything else.
    """
    arrays: list[Variable] = []
    return _packed(state, "state", arrays), arrays


def unpacked(tree: Any, arrays: list[Variable]) -> Any:
    """Return the state that `packed` was given; tensors of PyTorch are tensors again, on the CPU."""
    match tree:
        case {"map": pairs}:
            return {_key(key): unpacked(value, arrays) for key, value in pairs}
        case {"list": items}:
            return [unpacked(item, arrays) for item in items]
        case {"tuple": items}:
            return tuple(unpacked(item, arrays) for item in items)
        case {"array": index}:
            return arrays[index].value
        case {"tensor": index, "dtype": dtype}:
            return _tensor(arrays[index].value, dtype)
        case {"generator": name, "state": state}:
            return _generator(name, unpacked(state, arrays))
    return tree


def _packed(value: Any, path: str, arrays: list[Variable]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, Mapping):
        return {
            "map": [[_name(key, path), _packed(one, f"{path}.{key}", arrays)] for key, one in value.items()]
        }
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_packed(one, f"{path}.{index}", arrays) for index, one in enumerate(value)]}
    if isinstance(value, np.random.Generator):
        bits = value.bit_generator
        return {"generator": type(bits).__name__, "state": _packed(bits.state, path, arrays)}
    array = as_array(value)
    if array is None or array.dtype.hasobject:
        raise TrainingError(
            f"run.checkpoint cannot keep the {type(value).__qualname__} at {path}: a state is made of "
            "arrays, tensors, numbers, texts, None, NumPy's generators, and mappings, lists, tuples of them"
        )
    arrays.append(Variable(path, np.array(array)))
    index = len(arrays) - 1
    if hasattr(value, "detach"):
        return {"tensor": index, "dtype": str(value.dtype).removeprefix("torch.")}
    return {"array": index}


def _name(key: Any, path: str) -> Any:
    if isinstance(key, str | int) and not isinstance(key, bool):
        return key
    raise TrainingError(
        f"run.checkpoint: the keys of {path} must be texts or whole numbers; got {key!r:.100}"
    )


def _key(key: Any) -> Any:
    return key if isinstance(key, str | int) else str(key)


def _tensor(array: np.ndarray, dtype: str) -> Any:
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return array
    tensor = torch.from_numpy(np.array(array))
    return tensor.view(torch.bfloat16) if dtype == "bfloat16" else tensor


def _generator(name: str, state: Any) -> np.random.Generator:
    if name not in GENERATORS:
        raise TrainingError(f"the checkpoint has a generator {name!a:.100}, which NumPy has not")
    bits = getattr(np.random, name)()
    bits.state = state
    return np.random.Generator(bits)
