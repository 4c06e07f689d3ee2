"""What the study of a shared sweep has for those who join it: task, overrides, code and data.

A worker reads it as anybody's data: it may have been written by whoever can write to the database.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from omegaconf import DictConfig, OmegaConf

from runback.errors import InputError
from runback.provenance.code.snapshot import take_snapshot
from runback.provenance.code.working_tree import toplevel
from runback.provenance.config_hash import text_hash
from runback.sweeping.hydra_task import HydraTask
from runback.system import signing_key
from runback.system.config import interpolation
from runback.system.secrecy.config_secrets import masked_override
from runback.tracking.layout import Layout, project_root
from runback.tracking.tracking_server import KEY as TRACKING_URI

FORMAT = 1

SETTINGS = frozenset(
    {
        *("n_trials", "timeout", "params", "objective", "direction", "seed", "sampler", "first", "startup"),
        *("pruner", "max_resource", "retries", "trial_timeout", "stall_timeout", "confirm", "experiment"),
        "lease",
    }
)
"""The sweeper's settings that are the sweep's; the others are each machine's own."""

_SETTING = re.compile(r"[+~]{0,2}hydra[./]sweeper[./](\w+)")

_KEY = re.compile(r"[+~]{0,2}[A-Za-z_][\w./-]*")
"""A key of a config, or a config group: no flag, and no package that a group would go to."""

_ABOVE = re.compile(r"(?<![\w.])\.\.(?![\w.])")

_OUTSIDE = re.compile(rf"{_ABOVE.pattern}|\bhydra\b|\b{re.escape(TRACKING_URI)}\b|@")
"""What a search space must not name: a folder above, Hydra's own settings, a server, another package."""
_SHA = re.compile("[0-9a-f]{64}")
_COMMIT = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")

MOST_OVERRIDES, LONGEST_OVERRIDE, MOST_TRIALS = 500, 5_000, 10**9


def record_sweep(
    config: DictConfig, task: HydraTask, layout: Layout | None, data: str | None
) -> dict[str, Any]:
    """Return what a study is to have; signed, so that this user need not agree to it elsewhere."""
    root = project_root() if layout is None else layout.root
    given: Any = OmegaConf.to_container(config.hydra.overrides)
    typed = [*map(str, given["task"]), *(str(one) for one in given["hydra"] if _is_of_sweep(str(one)))]
    has_secret = any(masked_override(one) != one for one in typed)
    content = {
        "format": FORMAT,
        "task": None if task.place is None else dict(task.place),
        "overrides": None if has_secret else typed,
        "code": code_facts(root),
        "data": data,
    }
    signed = signing_key.signature({"sweep": _bytes(content)})
    return {**content, "signature": signed}


def code_facts(root: Path) -> dict[str, Any]:
    """Return the commit of a project, the hash of what differs from it, and the project's folder in it."""
    snapshot, top = take_snapshot(root), toplevel(root)
    record = snapshot.as_dict()
    changes = None
    if snapshot.dirty:
        parts = [record["patch_sha256"], record["untracked"], record["left_out"]]
        changes = text_hash(json.dumps(parts, sort_keys=True))
    within = "." if top is None or not root.is_relative_to(top) else root.relative_to(top).as_posix()
    return {"commit": record["commit"], "changes": changes, "project": within}


@dataclass(frozen=True)
class RecordedSweep:
    """A sweep as its study has it, checked."""

    task: Mapping[str, str]
    overrides: Sequence[str]
    commit: str | None
    changes: str | None
    """The hash of what differed from the commit; None: nothing did."""
    project: str
    data: str | None
    fingerprint: str
    """Of all of it."""
    is_own: bool
    """Whether this user has recorded it."""
    n_trials: int | None = None
    """As many as whoever went on with it last wants."""

    @classmethod
    def from_json(cls, content: Any, name: str) -> Self:
        """Return a sweep of a study. Errors: InputError for what cannot be joined, or is damaged."""
        if content is None:
            raise InputError(f"sweep {name} is not one that workers can join: its study has no record of it")
        try:
            task, overrides, code = content["task"], content["overrides"], content["code"]
            commit, changes, project, data = code["commit"], code["changes"], code["project"], content["data"]
            is_whole = content["format"] == FORMAT
        except (LookupError, TypeError):
            raise InputError(f"the record of sweep {name} in its study is damaged") from None
        if task is None or (isinstance(task, dict) and "cell" in task):
            raise InputError(
                f"sweep {name} is of a program or notebook of its own: start that with hydra.sweeper.storage"
            )
        if overrides is None:
            raise InputError(
                f"sweep {name} was begun with a secret on its command line, which no study has: join by the "
                "same command, with hydra.sweeper.storage"
            )
        is_whole = is_whole and _are_texts([*task, *task.values()]) if isinstance(task, dict) else False
        is_whole = is_whole and isinstance(overrides, list) and len(overrides) <= MOST_OVERRIDES
        is_whole = is_whole and _are_texts(overrides) and (commit is None or _is(_COMMIT, commit))
        is_whole = is_whole and all(one is None or _is(_SHA, one) for one in (changes, data))
        if not is_whole or not isinstance(project, str):
            raise InputError(f"the record of sweep {name} in its study is damaged")
        signed = {key: content[key] for key in ("format", "task", "overrides", "code", "data")}
        parts = {"sweep": _bytes(signed)}
        is_own = signing_key.is_own(content.get("signature"), parts)
        for one in overrides:
            _refuse_override(one, name, is_own=is_own)
        n_trials = content.get("n_trials")
        n_trials = n_trials if isinstance(n_trials, int) and 0 < n_trials < MOST_TRIALS else None
        fingerprint = signing_key.fingerprint(parts)
        return cls(task, tuple(overrides), commit, changes, project, data, fingerprint, is_own, n_trials)


def _is_of_sweep(override: str) -> bool:
    match = _SETTING.match(override)
    return match is not None and match[1] in SETTINGS


def _refuse_override(override: str, name: str, *, is_own: bool) -> None:
    """Raise InputError for an override that does more than set values and choose parts.

    It is a word of a command line: none may be a flag, or name the server that runs are sent to.
    """
    key, equals, value = override.partition("=")
    bare = key.lstrip("+~")
    is_refused = not equals or _KEY.fullmatch(key) is None or bare == TRACKING_URI
    if re.match(r"hydra\b", bare):
        setting = _SETTING.match(override)
        within = override[setting.end() :] if setting else ""
        is_refused = is_refused or not _is_of_sweep(override) or _OUTSIDE.search(within) is not None
    elif "." not in key and not is_own and _ABOVE.search(value):  # it may choose from a config group
        raise InputError(
            f"sweep {name} has the override {override!a:.200}, which names a folder above: no worker takes "
            "that from somebody else"
        )
    if is_refused:
        raise InputError(f"sweep {name} has the override {override!a:.200}, which no worker takes")
    for _, found in interpolation.foreign(override, environment=True):
        raise InputError(f"sweep {name} has the interpolation {found!a:.100} in an override")


def _are_texts(values: Sequence[Any]) -> bool:
    return all(isinstance(one, str) and len(one) <= LONGEST_OVERRIDE and one.isprintable() for one in values)


def _is(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _bytes(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True).encode()
