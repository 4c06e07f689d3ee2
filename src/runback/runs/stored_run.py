"""A recorded run, as it is read back: from the store, by its ID or another name, or from a bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runback.errors import DataError, InputError
from runback.provenance.bundle.bundle_file import Bundle, open_bundle
from runback.provenance.bundle.manifest import MANIFEST
from runback.provenance.code import patch, snapshot, tree_zip
from runback.provenance.comparing.difference import Difference
from runback.provenance.machine import lock_file
from runback.runs import foreign_config
from runback.runs.epoch_results import epoch_results, is_result
from runback.runs.run_reference import is_bundle, run_id
from runback.runs.schema import (
    CODE,
    CONFIG,
    HISTORY,
    LOCK,
    MADE_FROM,
    OVERRIDES,
    PATCH,
    RECORD,
    RESULT,
    UNTRACKED,
    RunRecord,
    RunResult,
    checked_run,
    read_history,
    read_record,
    read_result,
)
from runback.system import signing_key
from runback.system.config.written_config import written_overrides
from runback.system.files.folder_lock import alone_in
from runback.tracking.layout import Layout
from runback.tracking.read.find_runs import artifact_files, curves, find_run, read_bytes
from runback.tracking.store import Store, open_store
from runback.tracking.tags import KIND_TAG, SIGNATURE_TAG, TRAININGS

LARGEST = {
    **dict.fromkeys((CONFIG, OVERRIDES), foreign_config.MAX_BYTES),
    **dict.fromkeys((RECORD, RESULT, HISTORY), 8 * 2**20),
    **{PATCH: patch.MAX_BYTES, UNTRACKED: 2 * snapshot.LIMIT, LOCK: lock_file.MAX_BYTES},
    CODE: tree_zip.MAX_BYTES,
}
"""Bytes of the files of a bundle that are read into memory."""


class Files(Protocol):
    """The files of a recorded run, to be read."""

    @property
    def names(self) -> Sequence[str]:
        """The names of all files."""

    def read(self, name: str) -> bytes:
        """Return one file's content. Errors: InputError."""


@dataclass(frozen=True)
class StoredFiles:
    """A run's artifacts in its store."""

    store: Store
    run_id: str

    @cached_property
    def names(self) -> Sequence[str]:
        """The names of all files."""
        return artifact_files(self.store, self.run_id)

    def read(self, name: str) -> bytes:
        """Return one file's content. Errors: InputError, naming an artifact that is gone."""
        return read_bytes(self.store, self.run_id, name)


@dataclass(frozen=True)
class StoredRun:
    """A run as it was recorded. What is read from its files raises InputError where that is damaged."""

    id: str
    name: str
    status: str
    tags: Mapping[str, str]
    files: Files
    history: list[dict[str, float]]
    """The metrics of each epoch, in order, as the store has them."""
    reference: str
    """A name of this run that holds from any folder."""

    @property
    def is_bundle(self) -> bool:
        """Whether it was exported, perhaps by somebody else."""
        return isinstance(self.files, Bundle)

    @cached_property
    def is_own(self) -> bool:
        """Whether this user recorded it here, and nothing of what it is made from was changed since.

        Others may have written to the store, or have handed it over.
        """
        return not self.is_bundle and signing_key.is_own(self.tags.get(SIGNATURE_TAG), self._made_from)

    @property
    def fingerprint(self) -> str:
        """A hash of everything that the run was made from: of a bundle its own."""
        if isinstance(self.files, Bundle):
            return self.files.fingerprint
        return signing_key.fingerprint(self._made_from)

    @property
    def _made_from(self) -> dict[str, bytes]:
        return {name: self.files.read(name) for name in MADE_FROM if name in self.files.names}

    @cached_property
    def record(self) -> RunRecord:
        """The record of what the run was made from."""
        return read_record(self.files.read(RECORD), f"{RECORD} of run {self.id}")

    @cached_property
    def result(self) -> RunResult:
        """The result; of a run that was killed only its epochs' metrics are there."""
        if RESULT in self.files.names:
            return read_result(self.files.read(RESULT), f"{RESULT} of run {self.id}")
        return {
            "epochs": epoch_results(self.history),
            "weights": None,
            "predictions": None,
            "finished": False,
        }

    @cached_property
    def config(self) -> DictConfig:
        """The resolved config, of whatever version of runback."""
        return self._yaml(CONFIG, DictConfig)  # type: ignore[no-any-return]

    @property
    def last_epoch(self) -> int:
        """The number of epochs that the run completed."""
        return len(self.result["epochs"])

    @property
    def overrides(self) -> Sequence[str]:
        """The overrides of the command line that the run was started by."""
        return written_overrides(self._yaml(OVERRIDES, ListConfig))

    def optional(self, name: str) -> bytes | None:
        """Return a file's content, None where the run has no such file."""
        return self.files.read(name) if name in self.files.names else None

    def _yaml(self, name: str, kind: type) -> Any:
        try:
            content = OmegaConf.create(self.files.read(name).decode())
        except (yaml.YAMLError, OmegaConfBaseException, ValueError) as error:
            raise InputError(f"{name} of run {self.id} is damaged: {error}") from error
        if not isinstance(content, kind):
            raise InputError(f"{name} of run {self.id} is damaged: it has another form")
        return content


def find_recorded(reference: str, layout: Layout) -> StoredRun:
    """Return the run that `reference` names.

    That is a run ID, 6 or more characters of its beginning, `best:SWEEP`, `SWEEP@champion`, the address of a
    run's page in the MLflow UI, or the path of an exported bundle. Errors: InputError, StoreError.
    """
    if is_bundle(reference):
        return from_bundle(open_bundle(Path(reference)))
    return from_store(open_store(layout), run_id(reference, layout))


def from_store(store: Store, reference: str) -> StoredRun:
    """Return a run of this store. Errors: InputError, also for a run that runback did not train."""
    found = find_run(store, reference)
    run, tags = found.info.run_id, dict(found.data.tags)
    if tags.get(KIND_TAG) == "sweep":
        raise InputError(f"run {run} is a whole sweep: name one of its trials, or best:SWEEP")
    if tags.get(KIND_TAG) not in TRAININGS:
        raise InputError(f"run {run} is no training by runback: there is nothing to run back")
    return StoredRun(
        id=run,
        name=found.info.run_name,
        status=found.info.status,
        tags=tags,
        files=StoredFiles(store, run),
        history=curves(store, run, [name for name in found.data.metrics if is_result(name)]),
        reference=run,
    )


def from_bundle(bundle: Bundle) -> StoredRun:
    """Return the run in an exported bundle, of which record and config were looked at. Errors: InputError."""
    run = checked_run(bundle.run, f"{MANIFEST} of {bundle.path}")
    _refuse_large(bundle)
    recorded = StoredRun(
        id=run["id"],
        name=run["name"],
        status=run["status"],
        tags=run["tags"],
        files=bundle,
        history=read_history(bundle.read(HISTORY), f"{HISTORY} of {bundle.path}"),
        reference=str(bundle.path.absolute()),
    )
    refuse_harmful(recorded)
    return recorded


def refuse_harmful(recorded: StoredRun) -> None:
    """Raise InputError for the config of somebody else's run that would do more than set values."""
    for name in {CONFIG, OVERRIDES} & set(recorded.files.names):
        foreign_config.refuse_harmful(recorded.files.read(name), f"{name} of run {recorded.id}")
    foreign_config.check(recorded.config, f"{CONFIG} of run {recorded.id}")


def _refuse_large(bundle: Bundle) -> None:
    """Raise InputError where a file that is read into memory is larger than any run makes it."""
    for name, most in LARGEST.items():
        if name in bundle.files and bundle.files[name].bytes > most:
            raise InputError(
                f"{name} of {bundle.path} has {bundle.files[name].bytes:,} bytes; expected at most {most:,}"
            )


def refuse_incomplete(recorded: StoredRun) -> None:
    """Raise InputError, naming it, where a file is gone that training the run again needs."""
    code, there = recorded.record["code"], recorded.files.names
    wanted = [CONFIG, OVERRIDES, *([PATCH] if code["patch_sha256"] else [])]
    for name in [*wanted, *([UNTRACKED] if code["untracked"] else [])]:
        if name not in there:
            raise InputError(f"run {recorded.id} has no artifact {name!r}")


def refuse_running(recorded: StoredRun, layout: Layout) -> None:
    """Raise InputError where the run's process still trains on this machine; a killed one's does not."""
    if recorded.is_bundle or recorded.status != "RUNNING":
        return
    folder = layout.run_folder(recorded.tags, recorded.id)
    if folder is not None and folder.is_dir():
        with alone_in(folder, f"run {recorded.id}"):
            pass


def refuse_other_data(others: Sequence[Difference]) -> None:
    """Raise DataError where the images or labels are not those of the recorded run.

    Raises InputError where the file of weights that it began with is another one.
    """
    other = [one for one in others if one.part == "data"]
    if other:
        listed = "; ".join(f"{one.what}: recorded {one.then}, now {one.now}" for one in other)
        raise DataError(f"the images or labels are not those that the run was trained on: {listed}")
    for one in others:
        if one.part == "weights":
            raise InputError(f"{one.what} are not those of the run: recorded {one.then}, now {one.now}")
