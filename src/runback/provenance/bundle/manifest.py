"""`manifest.json` of a bundle: which run it holds, and the name, size and SHA-256 of each of its files."""

import itertools
import json
import re
import reprlib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runback.errors import InputError
from runback.system.files.bounded_zip import MAX_ENTRIES

FORMAT = "runback-bundle-1"

MANIFEST = "manifest.json"
"""The manifest's own name in the bundle."""

MAX_MANIFEST_BYTES = 6 * 2**20
"""Room for as many files as a bundle may hold, with long names."""

MAX_TOTAL_BYTES = 4 * 2**30
"""All files of a bundle together, unpacked."""

MAX_NAME = 512
"""Characters, as many as any file system takes with a folder in front."""

SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class FileSum:
    """A file's SHA-256, as 64 hexadecimal digits, and its size."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """Facts about the run, as JSON values, and the sum of each file by its name."""

    run: Mapping[str, Any]
    files: Mapping[str, FileSum]


def encode(manifest: Manifest) -> bytes:
    """Return the manifest as JSON: sorted keys, UTF-8, the same bytes for the same facts.

    Raises InputError for facts that JSON cannot hold (NaN, infinity, a type of another kind).
    """
    files = {name: {"sha256": file.sha256, "bytes": file.bytes} for name, file in manifest.files.items()}
    return _canonical({"format": FORMAT, "run": dict(manifest.run), "files": files})


def decode(data: bytes) -> Manifest:
    """Return the manifest that these bytes hold.

    Raises InputError, in one line that begins with `manifest.json`, unless they are exactly what `encode`
    writes for a manifest with safe names and a total size within MAX_TOTAL_BYTES.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise InputError(f"{MANIFEST} must have at most {MAX_MANIFEST_BYTES} bytes; it has more")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{MANIFEST} must be JSON; it is not") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        given = content.get("format") if isinstance(content, dict) else content
        raise InputError(f"{MANIFEST}: format must be {FORMAT!r}; got {reprlib.repr(given)}")
    _expect_keys(content, {"format", "run", "files"}, MANIFEST)
    run, files = _object(content["run"], "run"), _object(content["files"], "files")
    if len(files) > MAX_ENTRIES:
        raise InputError(f"{MANIFEST}: a bundle holds at most {MAX_ENTRIES:,} files; got {len(files):,}")
    manifest = Manifest(run, {name: _file_sum(name, value) for name, value in files.items()})
    _check_names(manifest.files)
    _check_total(manifest.files)
    # Keys given twice, NaN, lone surrogates, another encoding: whatever two readers may read in two ways.
    if not _is_canonical(content, data):
        raise InputError(f"{MANIFEST} is not in the form in which runback writes it")
    return manifest


def name_problem(name: str) -> str | None:
    """Return why a file of this name cannot be in a bundle, None if it can.

    A name is a relative path with `/` that means the same, and lies in the same folder, on every system.
    """
    if len(name) > MAX_NAME:
        return f"has a name of {len(name)} characters; at most {MAX_NAME}"
    parts = name.split("/")
    if not name.isprintable():
        return "has a control character or another one that cannot be seen in its name"
    if "\\" in name or ":" in name:
        return "has a backslash or a colon in its name"
    if ".." in parts:
        return "has '..' in its name"
    if name.startswith("/"):
        return "has an absolute path as its name"
    if any(not part or part != part.rstrip(" .") for part in parts):
        return "has a part in its name that is empty or ends with a dot or a space"
    return None


def shorten(text: str) -> str:
    """Return a text of a length that a line can hold, cut in the middle where it is longer than a name."""
    return text if len(text) <= MAX_NAME + 100 else f"{text[:50]}...{text[-50:]}"


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _canonical(content: Mapping[str, Any]) -> bytes:
    return b"".join(_pieces(content))


def _is_canonical(content: Mapping[str, Any], data: bytes) -> bool:
    """Say whether these bytes are the canonical ones, which may be far more: they are never held at once."""
    at = 0
    for piece in _pieces(content):
        if not data.startswith(piece, at):
            return False
        at += len(piece)
    return at == len(data)


def _pieces(content: Mapping[str, Any]) -> Iterator[bytes]:
    encoder = json.JSONEncoder(sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    try:
        for piece in encoder.iterencode(content):
            yield piece.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{MANIFEST} cannot hold the given facts: {error}") from error
    yield b"\n"


def _file_sum(name: str, value: Any) -> FileSum:
    where = f"files[{reprlib.repr(name)}]"
    fields = _object(value, where)
    _expect_keys(fields, {"sha256", "bytes"}, f"{MANIFEST}: {where}")
    sha256, size = fields["sha256"], fields["bytes"]
    if not isinstance(sha256, str) or not SHA256.fullmatch(sha256):
        raise InputError(
            f"{MANIFEST}: {where}.sha256 must be 64 hexadecimal digits; got {reprlib.repr(sha256)}"
        )
    if type(size) is not int or size < 0:  # True is an int too
        raise InputError(f"{MANIFEST}: {where}.bytes must be a whole number from 0; got {reprlib.repr(size)}")
    return FileSum(sha256, size)


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{MANIFEST}: {where} must be an object; got {reprlib.repr(value)}")
    return value


def _expect_keys(fields: Mapping[str, Any], expected: set[str], where: str) -> None:
    if fields.keys() != expected:
        names = ", ".join(sorted(expected))
        given = reprlib.repr(", ".join(sorted(fields)))
        raise InputError(f"{where} must have the keys {names}; got {given}")


def _check_names(files: Mapping[str, FileSum]) -> None:
    for name in files:
        if problem := name_problem(name):
            raise InputError(f"{MANIFEST}: {shorten(repr(name))} {problem}")
    seen: dict[str, str] = {}
    for name in [MANIFEST, *files]:
        same = seen.setdefault(_folded(name), name)
        if same is not name:
            raise InputError(
                f"{MANIFEST}: {name!r} and {same!r} are the same name where letter case does not count"
            )
    # With the slash before every other letter, what lies in a folder follows the folder's own name at once.
    in_order = sorted(seen, key=lambda folded: folded.replace("/", "\0"))
    for folded, following in itertools.pairwise(in_order):
        if following.startswith(f"{folded}/"):
            raise InputError(
                f"{MANIFEST}: {seen[folded]!r} is both a file and the folder of {seen[following]!r}"
            )


def _check_total(files: Mapping[str, FileSum]) -> None:
    total = sum(file.bytes for file in files.values())
    if total > MAX_TOTAL_BYTES:
        raise InputError(f"{MANIFEST}: a bundle holds at most {MAX_TOTAL_BYTES} bytes; got {total}")
