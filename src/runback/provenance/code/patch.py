"""Reads the changes of a patch, as git itself does."""

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from runback.errors import InputError
from runback.provenance.code.git import GitError, git
from runback.system.files.bounded_zip import refuse_bomb

MAX_BYTES = 64 * 2**20
"""A patch of so much text is no change that anybody made."""

RATIO = 20
"""The largest ratio of unpacked to packed size of a patch's binary files."""

_BINARY = re.compile(rb"^(?:literal|delta) ([0-9]{1,20})$", re.MULTILINE)
"""The head of a binary file, with the size to which it unpacks; no line of a text file begins so."""


@dataclass(frozen=True)
class PatchedFile:
    """A file that a patch changes, and the number of lines; None for a binary file."""

    path: str
    added: int | None
    removed: int | None

    @property
    def change(self) -> str:
        """The change, for a person."""
        return "binary" if self.added is None else f"+{self.added} -{self.removed}"


def patched_files(patch: bytes) -> list[PatchedFile]:
    """Return the files that a patch changes. Applies nothing. Raises InputError where git cannot read it."""
    if len(patch) > MAX_BYTES:
        raise InputError(f"the changes have {len(patch):,} bytes; expected at most {MAX_BYTES:,}")
    if not patch.startswith(b"diff --git "):  # git would skip what comes before, and show none of it
        raise InputError("the recorded changes cannot be read: they begin with no change of a file")
    refuse_bomb([int(size) for size in _BINARY.findall(patch)], len(patch), RATIO, "a binary change")
    # Within a repository git would leave out what lies above the folder that it runs in.
    with tempfile.TemporaryDirectory(prefix="runback-") as folder:
        try:
            alone = {"GIT_CEILING_DIRECTORIES": str(Path(folder).parent)}
            output = git(Path(folder), "apply", "--numstat", "-z", "-p1", "-", stdin=patch, variables=alone)
        except GitError as error:
            raise InputError(f"the recorded changes cannot be read: {error}") from error
    rows = [line.split(b"\t", 2) for line in output.split(b"\0") if line]
    return [_file(*row) for row in rows]


def _file(added: bytes, removed: bytes, path: bytes) -> PatchedFile:
    if added == b"-":
        return PatchedFile(os.fsdecode(path), None, None)
    return PatchedFile(os.fsdecode(path), int(added), int(removed))
