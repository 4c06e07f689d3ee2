"""Fingerprints of what a task trains on: arrays, frames, files and folders, alone or in tuples and dicts."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runback.errors import DataError
from runback.provenance.fingerprint import array_hash

CHUNK = 2**20
"""Bytes that are read at once."""


@dataclass(frozen=True)
class Fingerprint:
    """The content of one array, frame, file or folder."""

    name: str
    """Its place in what the task has given: `data`, `data.0`, `data.images`."""
    kind: str
    """array, frame, file, folder or sparse matrix."""
    sha256: str
    shape: list[int]
    """The array's or frame's; of a file its bytes, of a folder its files and bytes."""
    dtype: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as a record has it."""
        facts = {"kind": self.kind, "sha256": self.sha256, "shape": self.shape, "class_counts": {}}
        return {**facts, "dtype": self.dtype} if self.dtype else facts

    def line(self) -> str:
        """Return a line that tells what was fingerprinted, and by what."""
        match self.kind:
            case "file":
                what = f"file, {self.shape[0]:,} bytes, by its content"
            case "folder":
                what = (
                    f"folder, {self.shape[0]:,} files, {self.shape[1]:,} bytes, by their names and contents"
                )
            case _:
                sides = " x ".join(f"{side:,}" for side in self.shape) or "one number"
                what = f"{self.kind} of {sides} {self.dtype}".rstrip() + ", by its values"
        return f"  {self.name}: {what}, {self.sha256[:12]}"


def fingerprints(value: Any, name: str) -> list[Fingerprint]:
    """Return the fingerprints of all that a task has given, at every depth of tuples, lists and dicts.

    Arrays are those of NumPy and whatever converts to them without a copy of Python's objects: tensors of
    PyTorch, JAX and TensorFlow, pandas' Series. Lists of numbers are arrays. Errors: DataError for anything
    else, as a generator or a tf.data.Dataset, whose content cannot be looked at without using it up.
    """
    found = list(_fingerprints(value, name))
    for part, count in Counter(one.name for one in found).items():
        if count > 1:
            raise DataError(f"run.data has {count} parts called {part!a:.200}: rename a key")
    return found


def _fingerprints(value: Any, name: str) -> Iterator[Fingerprint]:
    if isinstance(value, str | os.PathLike):
        yield _of_path(Path(value), name)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _fingerprints(part, f"{name}.{key}")
    elif isinstance(value, list | tuple) and any(map(_is_container, value)):
        for index, part in enumerate(value):
            yield from _fingerprints(part, f"{name}.{index}")
    elif hasattr(value, "columns") and hasattr(value, "iloc"):
        yield _of_frame(value, name)
    elif hasattr(value, "tocoo") and hasattr(value, "nnz"):
        yield _of_sparse(value, name)
    elif isinstance(value, np.ma.MaskedArray):
        yield _of_array(value.filled(0), name)
        yield _of_array(np.ma.getmaskarray(value), f"{name}.mask")
    else:
        yield _of_array(value, name)


def _is_container(value: Any) -> bool:
    """Tell whether a part of a list is more than a number of an array."""
    if isinstance(value, list):
        return any(map(_is_container, value))
    return isinstance(value, str | os.PathLike | Mapping | tuple) or (
        hasattr(value, "shape") and not isinstance(value, np.generic)
    )


def _of_array(value: Any, name: str) -> Fingerprint:
    array = as_array(value)
    if array is None:
        raise DataError(
            f"run.data cannot look into a {type(value).__module__}.{type(value).__qualname__} ({name}): give "
            "it the arrays, frames, files or folders that this is made from"
        )
    if array.dtype.hasobject or array.dtype.kind in "US":
        return Fingerprint(name, "array", _of_texts(array, name), list(array.shape), str(array.dtype))
    return Fingerprint(name, "array", array_hash(array), list(array.shape), array.dtype.name)


def as_array(value: Any) -> np.ndarray | None:
    """Return an array, a tensor of any framework or a list of numbers as a NumPy array; None: it is none."""
    if isinstance(value, np.ndarray | np.generic | int | float | bool | complex):
        return np.asarray(value)
    if hasattr(value, "detach"):  # PyTorch's
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":  # NumPy has none: its bits
            return np.asarray(value.view(dtype=_torch_int16(value)).numpy())
        return np.asarray(value.numpy())
    if hasattr(value, "__array__") or (isinstance(value, list | tuple) and value):
        try:
            return np.asarray(value)
        except (TypeError, ValueError):
            return None
    return None


def _torch_int16(value: Any) -> Any:
    import sys

    return sys.modules[type(value).__module__.partition(".")[0]].int16


def _of_texts(array: np.ndarray, name: str) -> str:
    """Return the hash of an array of texts, and of numbers and nothing among them."""
    digest = hashlib.sha256(repr(array.shape).encode())
    for one in array.reshape(-1).tolist():
        if not isinstance(one, str | int | float | bool | None):
            raise DataError(f"run.data cannot look into a {type(one).__name__} in the array {name}")
        digest.update(f"{type(one).__name__} {one!r}\n".encode(errors="surrogatepass"))
    return digest.hexdigest()


def _of_frame(frame: Any, name: str) -> Fingerprint:
    """Return a pandas frame's: its columns' names, types and values, and its index."""
    digest = hashlib.sha256(repr([str(column) for column in frame.columns]).encode())
    for position in range(-1, len(frame.columns)):
        column = frame.index.to_series() if position < 0 else frame.iloc[:, position]
        digest.update(str(column.dtype).encode())
        values = column.to_numpy()
        digest.update((_of_texts(values, name) if values.dtype.hasobject else array_hash(values)).encode())
    return Fingerprint(name, "frame", digest.hexdigest(), [int(side) for side in frame.shape])


def _of_sparse(matrix: Any, name: str) -> Fingerprint:
    entries = matrix.tocoo()
    parts = [array_hash(np.asarray(part)) for part in (entries.row, entries.col, entries.data)]
    digest = hashlib.sha256(repr([tuple(map(int, matrix.shape)), *parts]).encode()).hexdigest()
    return Fingerprint(name, "sparse matrix", digest, [int(side) for side in matrix.shape], str(matrix.dtype))


def _of_path(path: Path, name: str) -> Fingerprint:
    try:
        if path.is_file():
            return Fingerprint(name, "file", _of_file(path), [path.stat().st_size])
        if path.is_dir():
            return _of_folder(path, name)
    except OSError as error:
        raise DataError(f"run.data cannot read {error.filename or path}: {error.strerror}") from error
    raise DataError(f"run.data: there is no file or folder {str(path)!a:.300}")


def _of_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _of_folder(folder: Path, name: str) -> Fingerprint:
    """Return a folder's: each file's path from it, and its content; links are followed to files only."""
    digest, size = hashlib.sha256(), 0
    files = sorted(os.path.join(top, one) for top, _, names in os.walk(folder) for one in names)  # noqa: PTH118
    for file in map(Path, files):
        within = os.fsencode(file.relative_to(folder))
        digest.update(b"%d %b " % (len(within), within) + _of_file(file).encode())
        size += file.stat().st_size
    return Fingerprint(name, "folder", digest.hexdigest(), [len(files), size])
