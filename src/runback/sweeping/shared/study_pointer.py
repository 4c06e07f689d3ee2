"""The file in a sweep's folder that says in which database the sweep's study is."""

import json
from pathlib import Path

from runback.errors import InputError
from runback.sweeping.shared.storage_url import StorageUrl
from runback.system.files.regular_file import reading
from runback.system.files.whole_file import write_whole

POINTER = "study.json"

LONGEST_POINTER = 2_000
"""Bytes of such a file."""


def write_pointer(folder: Path, url: StorageUrl) -> None:
    """Say that the study of the sweep in `folder` is in this database."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / POINTER, json.dumps({"storage": str(url)}).encode())


def read_pointer(folder: Path) -> StorageUrl | None:
    """Return the database of the sweep in `folder`; None where its study is a file.

    Errors: InputError for a file that somebody else has written, or changed.
    """
    file = folder / POINTER
    if not file.exists():
        return None
    try:
        with reading(file) as stream:
            storage = json.loads(stream.read(LONGEST_POINTER))["storage"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise InputError(f"{file} is damaged: expected the address of a study's database") from error
    return StorageUrl.parse(storage, str(file))
