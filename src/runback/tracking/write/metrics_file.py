"""A file of metrics, a JSON line for each point in time: it survives its process and its store."""

import runback.tracking.mlflow_settings  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import contextlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from mlflow.entities import Metric

from runback.system.files.full_disk import is_full
from runback.errors import DiskFull
from runback.system.files.regular_file import APPEND, open_regular, read_regular

_logger = logging.getLogger(__name__)


def write(path: Path, step: int, now: float, values: Mapping[str, float]) -> None:
    """Add a line. A file that cannot be written is a warning, a full disk raises DiskFull."""
    try:
        _append(path, json.dumps({"step": step, "time": now, "metrics": values}) + "\n")
    except OSError as error:
        if is_full(error):
            raise DiskFull(f"the disk is full: cannot write {path}") from error
        _logger.warning("cannot write %s: %s", path, error.strerror or error)


def read(path: Path) -> list[Metric]:
    """Return the file's points, none where there is no file. A last line that a crash cut off is removed."""
    if not path.exists():
        return []
    content = read_regular(path)
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        os.truncate(path, len(whole))
    return [point for line in whole.splitlines() for point in _points(path, line)]


def _points(path: Path, line: bytes) -> list[Metric]:
    try:
        row = json.loads(line)
        return [
            Metric(name, float(value), int(row["time"] * 1000), int(row["step"]))
            for name, value in row["metrics"].items()
        ]
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError):
        _logger.warning("a damaged line in %s is passed over: %.60r", path, line)
        return []


def _append(path: Path, line: str) -> None:
    """Add a line to a file, the whole of it or nothing. Raises OSError."""
    size = path.stat().st_size if path.exists() else 0
    try:
        with os.fdopen(open_regular(path, APPEND), "ab") as file:
            file.write(line.encode())
    except OSError:
        with contextlib.suppress(OSError):
            os.truncate(path, size)  # the next line must not continue half of this one
        raise
