"""Lists the differences between two runs, causes before effects."""

from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from runback.comparison.difference_table import print_differences
from runback.errors import InputError
from runback.provenance.code.changed_files import code_differences
from runback.provenance.code.patch import patched_files
from runback.provenance.comparing.difference import (
    Difference,
    code_reservations,
    compared_parts,
    differences,
)
from runback.runs.schema import PATCH
from runback.runs.stored_run import StoredRun, find_recorded
from runback.system.config.flattening import flatten
from runback.system.text.listing import conjoined
from runback.system.text.screen import Screen
from runback.system.text.terminal import say_json
from runback.tracking.layout import Layout

COMPARED = ("data", "config", "code", "packages", "hardware")
"""Parts of the records that are said to be the same, in this order."""

IGNORED = ("training.threads", "training.checkpoint.every")
"""Keys of the config that the experiment does not depend on; threads are told of as a part of their own."""


def print_difference(references: tuple[str, str], layout: Layout, *, as_json: bool) -> None:
    """Print what differs between two runs. Errors: InputError, StoreError."""
    first, second = (find_recorded(reference, layout) for reference in references)
    found = [*_causes(first, second, layout), *_effects(first, second)]
    if as_json:
        facts = {"runs": [first.id, second.id], "differences": [one.as_dict() for one in found]}
        say_json(facts)
    else:
        _show(first, second, found)


def _causes(first: StoredRun, second: StoredRun, layout: Layout) -> list[Difference]:
    """Return what the runs were made from, as far as it differs: the config by key, the code by file."""
    found: list[Difference] = []
    parts = set()
    for one in differences(first.record, second.record):
        if one.part not in ("config", "code"):
            found.append(one)
        elif one.part not in parts:
            found += _config(first, second) if one.part == "config" else _code(first, second, layout)
        parts.add(one.part)
    return found


def _config(first: StoredRun, second: StoredRun) -> list[Difference]:
    a, b = (dict(flatten(OmegaConf.to_container(run.config))) for run in (first, second))
    keys = [key for key in sorted({*a, *b}) if a.get(key) != b.get(key) and key not in IGNORED]
    return [Difference("config", key, _text(a, key), _text(b, key)) for key in keys]


def _text(flat: Mapping[str, Any], key: str) -> str:
    return str(flat[key]) if key in flat else "not set"


def _code(first: StoredRun, second: StoredRun, layout: Layout) -> list[Difference]:
    found = code_differences(first.record, second.record, layout.root)
    if any(one.what == "uncommitted changes" for one in found):
        found += _uncommitted(first, second)
    return found


def _uncommitted(first: StoredRun, second: StoredRun) -> list[Difference]:
    a, b = (_changes(run.optional(PATCH)) for run in (first, second))
    committed = ("as committed", b"")
    return [
        Difference("code", f"{path} (uncommitted)", a.get(path, committed)[0], b.get(path, committed)[0])
        for path in sorted({*a, *b})
        if a.get(path) != b.get(path)
    ]


def _changes(patch: bytes | None) -> dict[str, tuple[str, bytes]]:
    """Return the change of each file in a patch, for a person, and its lines without their places.

    Empty where git cannot tell them: that the patches differ is said anyway.
    """
    parts = b"\n".join([b"", patch or b""]).split(b"\ndiff --git ")[1:]
    try:
        files = patched_files(patch) if patch else []
    except InputError:
        return {}
    if len(files) != len(parts):
        return {}
    return {file.path: (file.change, _unplaced(part)) for file, part in zip(files, parts, strict=True)}


def _unplaced(part: bytes) -> bytes:
    """Return the lines that one file's part of a patch adds and removes; a binary file's whole content."""
    head, hunk, body = part.partition(b"\n@@")
    lines = body.split(b"\n") if hunk else head.split(b"\n")
    return b"\n".join(line for line in lines if line[:1] in (b"+", b"-") or not hunk)


def _effects(first: StoredRun, second: StoredRun) -> list[Difference]:
    """Return how the results differ: the first epoch that does, then what each had at its end."""
    a, b = (run.result["epochs"] for run in (first, second))
    found = []
    if len(a) != len(b):
        found.append(Difference("metrics", "epochs", str(len(a)), str(len(b))))
    differing = [row["epoch"] for row, other in zip(a, b, strict=False) if row["metrics"] != other["metrics"]]
    if differing:
        found.append(Difference("metrics", "first epoch that differs", str(differing[0]), str(differing[0])))
    if a and b:
        last, other = a[-1]["metrics"], b[-1]["metrics"]
        found += [
            Difference("metrics", f"{name} at the end", *_numbers(last[name], other[name]))
            for name in last
            if name in other and str(last[name]) != str(other[name])  # NaN is not itself
        ]
    found += _weights(first.result.get("weights"), second.result.get("weights"))
    if first.status != second.status:
        found.append(Difference("status", "", first.status, second.status))
    return found


def _weights(first: Mapping[str, str] | None, second: Mapping[str, str] | None) -> list[Difference]:
    if first is None or second is None or first == second:
        return []
    tensor = next(name for name in [*first, *second] if first.get(name) != second.get(name))
    then, now = (one.get(tensor, "not there")[:12] for one in (first, second))
    return [Difference("weights", f"first that differs: {tensor}", then, now)]


def _numbers(first: float, second: float) -> tuple[str, str]:
    """Return both with as many digits as tell them apart."""
    short = f"{first:.6g}", f"{second:.6g}"
    return short if short[0] != short[1] else (repr(first), repr(second))


def _same(first: StoredRun, second: StoredRun) -> list[str]:
    """Say what was compared and is the same, and what could not be."""
    told, untold = compared_parts(first.record, second.record, COMPARED)
    same = ["machine" if one == "hardware" else one for one in told]
    lines = [f"nothing differs: the same {conjoined([*same, 'results'])}"]
    results = {"weights": [one.result.get("weights") for one in (first, second)]}
    untold += [name for name, both in results.items() if None in both]
    if untold:
        lines.append(f"not compared, because not recorded: {conjoined(untold)}")
    return [*lines, *(f"code: {one}" for one in code_reservations(first.record, second.record))]


def _show(first: StoredRun, second: StoredRun, found: list[Difference]) -> None:
    console = Screen()
    if not found:
        for line in _same(first, second):
            console.say(line)
        return
    names = [f"{run.id[:8]} {run.name}" for run in (first, second)]
    print_differences(found, console, ("differs", "", names[0], names[1]))
