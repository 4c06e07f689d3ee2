"""Checkpoints: files that hold a whole training, written so that a crash at any moment leaves a good one.

A checkpoint is one `.npz` file of named arrays, which `numpy.load` opens, with a member `state.json`
beside them. The zip's CRC-32 of each member tells a damaged file.
"""

import json
import logging
import math
import re
import struct
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import ml_dtypes  # noqa: F401 - makes NumPy know bfloat16 and its like by name
import numpy as np

from runback.errors import InputError
from runback.system.files.npy_header import array_of
from runback.system.files.regular_file import reading
from runback.system.files.whole_file import whole_file

FORMAT = "runback-checkpoint-1"

STATE = "state.json"

LARGEST_STATE = 16 * 2**20
"""Bytes of the state: room for many thousands of epochs."""

FILE_NAME = re.compile(r"checkpoint-(\d{5,})-(\d{7,})\.npz")

UNREADABLE = (
    AttributeError,
    OSError,
    EOFError,
    KeyError,
    MemoryError,
    RuntimeError,  # what zipfile raises for a flipped bit that says "encrypted" or "another compression"
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""Raised by reading a damaged file."""

_logger = logging.getLogger(__name__)


class Variable(NamedTuple):
    """One variable's value and the path that Keras knows it by."""

    path: str
    value: np.ndarray


@dataclass(frozen=True)
class Checkpoint:
    """The whole state of a training at one step."""

    epoch: int
    """Completed epochs."""

    step: int
    """Completed steps of the running epoch; all of them when it stopped in validation, 0 between epochs."""

    history: list[dict[str, float]]
    """The metrics of each completed epoch."""

    variables: dict[str, list[Variable]]
    """The values of `model`, of `optimizer`, within an epoch of `metrics`, and the `best` weights so far."""

    learning_rate: float = math.nan
    """The rate of the running epoch's first step."""

    seconds: float = 0.0
    """The duration of the running epoch so far."""

    stopping: dict[str, Any] | None = None
    """The state of early stopping, without its weights."""

    state: Any = None
    """A task's own state, as JSON values that refer to variables; None: it has kept none."""

    time: float = field(default_factory=time.time)
    """Seconds since 1970 at which it was made."""

    path: Path | None = None
    """The file it was read from."""


STATE_FIELDS = ("epoch", "step", "history", "learning_rate", "seconds", "stopping", "state", "time")
"""The fields that go into the file as JSON, whose floats come back with the same bits."""


def file_name(epoch: int, step: int) -> str:
    """Return the name of the checkpoint with so many completed epochs, and steps of the running epoch."""
    return f"checkpoint-{epoch:05d}-{step:07d}.npz"


def save(folder: Path, checkpoint: Checkpoint, *, keep: Path | None = None) -> Path:
    """Write a checkpoint and return its path; what else `folder` holds of checkpoints goes, except `keep`.

    The file is on the disk, whole and under its name, before any other is removed. Raises OSError when it
    cannot be written; then nothing has changed.
    """
    target = folder / file_name(checkpoint.epoch, checkpoint.step)
    folder.mkdir(parents=True, exist_ok=True)
    _remove(folder.glob(".*checkpoint-*.npz.partial"))  # of killed processes: their room may be needed now
    with whole_file(target) as file:
        _write(file, checkpoint)
    _remove(other for other in checkpoints(folder) if other not in (target, keep))
    return target


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        with suppress(OSError):
            file.unlink()


def load_newest(folder: Path) -> Checkpoint | None:
    """Return the newest checkpoint in `folder` that can be read, or None where there is none.

    Each damaged one is logged and passed over. Raises InputError when all are damaged.
    """
    paths = checkpoints(folder)
    for path, before in zip_longest(paths, paths[1:]):
        try:
            return _read(path)
        except UNREADABLE as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            then = f"falling back to the one before, {before.name}" if before else "there is none before it"
            _logger.warning("checkpoint %s cannot be used (%s): %s", path, reason, then)
    if paths:
        damaged = ", ".join(path.name for path in paths)
        raise InputError(f"all checkpoints in {folder} are damaged ({damaged}): train from the start again")
    return None


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in `folder`, usable or not, the newest first."""
    found = [(match, path) for path in folder.glob("*.npz") if (match := FILE_NAME.fullmatch(path.name))]
    found.sort(key=lambda pair: (int(pair[0][1]), int(pair[0][2])), reverse=True)
    return [path for _, path in found]


def has_checkpoints(folder: Path) -> bool:
    """Return whether `folder` holds checkpoints, usable or not."""
    return bool(checkpoints(folder))


def discard(folder: Path) -> None:
    """Remove the checkpoints in `folder`, of a training that is finished and recorded."""
    for path in checkpoints(folder):
        with suppress(OSError):
            path.unlink()


def _members(groups: dict[str, list[Variable]]) -> Iterator[tuple[str, np.ndarray]]:
    for group, variables in groups.items():
        for index, variable in enumerate(variables):
            yield f"{group}.{index:04d}.npy", variable.value


def _write(file: BinaryIO, checkpoint: Checkpoint) -> None:
    state = {"format": FORMAT, **{name: getattr(checkpoint, name) for name in STATE_FIELDS}}
    state["variables"] = {
        group: [[path, list(value.shape), value.dtype.name] for path, value in variables]
        for group, variables in checkpoint.variables.items()
    }
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        with archive.open(STATE, "w") as member:
            member.write(json.dumps(state).encode())
        for name, value in _members(checkpoint.variables):
            with archive.open(name, "w", force_zip64=True) as member:
                # NumPy's format has no name for types that are not its own, such as bfloat16: their bits.
                plain = value if value.dtype.isbuiltin == 1 else value.view(f"u{value.itemsize}")
                np.lib.format.write_array(member, plain, allow_pickle=False)


def _read(path: Path) -> Checkpoint:
    """Return what the file holds; what it says of itself is checked before it is believed."""
    with reading(path) as file, zipfile.ZipFile(file) as archive:
        _check_members(archive.infolist(), path.stat().st_size)
        state = json.loads(archive.read(STATE))  # each member against its CRC-32
        if state["format"] != FORMAT:
            raise ValueError(f"its format is {state['format']!r}, not {FORMAT!r}")
        variables: dict[str, list[Variable]] = {}
        for group, listed in state["variables"].items():
            variables[group] = [
                _variable(archive.read(f"{group}.{index:04d}.npy"), *row) for index, row in enumerate(listed)
            ]
    return Checkpoint(**{name: state[name] for name in STATE_FIELDS}, variables=variables, path=path)


def _check_members(members: list[zipfile.ZipInfo], size: int) -> None:
    """Refuse what was packed otherwise than here, and could take far more memory than the file has bytes."""
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("its members are compressed")
    stated = sum(member.file_size for member in members)
    if stated > size:
        raise ValueError(f"its {size:,} bytes unpack to {stated:,}")
    if any(member.filename == STATE and member.file_size > LARGEST_STATE for member in members):
        raise ValueError(f"its {STATE} has more than {LARGEST_STATE:,} bytes")


def _variable(content: bytes, path: str, shape: list[int], dtype: str) -> Variable:
    value = array_of(content).view(dtype)
    if list(value.shape) != shape:
        raise ValueError(f"{path} has the shape {list(value.shape)}, not {shape}")
    return Variable(path, value)
