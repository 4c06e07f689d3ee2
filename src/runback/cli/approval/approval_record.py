"""The approval of a run: what gates said of its evaluation, who has looked at it, who has waived what."""

import datetime
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from runback.classifier.evaluation.gates.gate_file import GateResult, Gates, gates_file
from runback.cli.approval.evaluation_report import parsed_json
from runback.errors import InputError
from runback.runs.schema import EVALUATION, GATES, REVIEWS, WAIVERS
from runback.system.config.yaml_form import first_fault
from runback.tracking.read.find_runs import artifact_files, read_bytes
from runback.tracking.store import Store
from runback.tracking.tags import GATES_TAG, REVIEW_BY_TAG, REVIEWED_TAG, WAIVER_TAG
from runback.tracking.write.run_writer import RunWriter

GATES_FOLDER = Path("conf/gates")
"""Where a project's gates are."""


EXAMPLE = "example"
"""The gates that come with runback: nobody stands for their numbers."""

FILE_NAME = r"^[^/\\\x00-\x1f]{1,200}$"
"""The names of gates: they never lead out of their folder."""


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ConditionCheck(_Form):
    """A condition, and the value that it was checked with."""

    condition: str
    value: float | None
    passed: bool


class GateCheck(_Form):
    """Gates that were checked: those of the file with this hash, with the evaluation of that one."""

    gates: str = Field(pattern=FILE_NAME)
    owner: str
    review_by: datetime.date
    gates_sha256: str
    evaluation_sha256: str
    checked: str
    results: tuple[ConditionCheck, ...]

    @property
    def n_failed(self) -> int:
        """The number of conditions that are not fulfilled."""
        return sum(not one.passed for one in self.results)

    @property
    def verdict(self) -> str:
        """The gates and whether they are passed: `strict: failed 1 of 2`."""
        failed = f"failed {self.n_failed} of {len(self.results)}"
        return f"{self.gates}: {failed if self.n_failed else 'passed'}"


class Review(_Form):
    """A person has looked at the evaluation with this hash, and says when it is to be looked at again."""

    by: str
    when: str
    evaluation_sha256: str
    note: str
    next: datetime.date | None


class Waiver(_Form):
    """A person has promoted a run all the same, `although` this was against it."""

    by: str
    when: str
    reason: str
    although: tuple[str, ...]


@dataclass(frozen=True)
class ApprovalRecord:
    """What was recorded of a run, the newest last; of gates of one name the last check alone."""

    evaluation_sha256: str | None
    """Of the evaluation that the run has now."""
    checks: tuple[GateCheck, ...] = ()
    reviews: tuple[Review, ...] = ()
    waivers: tuple[Waiver, ...] = field(default=())

    @property
    def due(self) -> datetime.date | None:
        """The date by which a person is to look: the last review's of this evaluation, else the gates'."""
        dates = [one.next for one in self.reviews if one.next and self.is_current(one)]
        return dates[-1] if dates else min((one.review_by for one in self.checks), default=None)

    def is_current(self, one: "GateCheck | Review") -> bool:
        """Tell whether something is about the evaluation that the run has now."""
        return one.evaluation_sha256 == self.evaluation_sha256

    def objections(self, folder: Path, today: datetime.date) -> list[str]:
        """Return what is against a promotion; `folder` has the project's gates."""
        found = []
        for check in self.checks:
            again = f"runback evaluate RUN --gates {check.gates}"
            if not self.is_current(check):
                is_gone = not gates_file(folder, check.gates).is_file()
                what = "their file is gone" if is_gone else again
                found.append(f"gates {check.gates} were checked with an earlier evaluation: {what}")
            elif check.n_failed:
                found.append(f"gates {check.verdict}")
            elif _hash_of(gates_file(folder, check.gates)) not in (None, check.gates_sha256):
                found.append(f"gates {check.gates} have changed since they were checked: {again}")
        if self.due is not None and self.due < today:
            found.append(f"its review was due by {self.due}: runback review RUN --by=NAME --next=DATE")
        return found

    def unchecked(self, folder: Path) -> list[str]:
        """Return the names of the project's gates that were never checked, but the example's."""
        names = {file.stem for file in folder.glob("*.yaml")} - {EXAMPLE}
        return sorted(names - {check.gates for check in self.checks})

    def tags(self) -> dict[str, str]:
        """Return the tags by which a run's page shows it."""
        tags = {}
        if self.checks:
            tags[GATES_TAG] = "; ".join(
                check.verdict if self.is_current(check) else f"{check.gates}: of an earlier evaluation"
                for check in self.checks
            )
        if self.due is not None:
            tags[REVIEW_BY_TAG] = self.due.isoformat()
        if self.reviews:
            last = self.reviews[-1]
            tags[REVIEWED_TAG] = f"{last.by}, {last.when}"
        if self.waivers:
            waiver = self.waivers[-1]
            tags[WAIVER_TAG] = f"{waiver.by}, {waiver.when}: {waiver.reason}"
        return tags


def now() -> str:
    """Return the time, in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def today() -> datetime.date:
    """Return the date, in UTC."""
    return datetime.datetime.now(datetime.UTC).date()


def read_approval(store: Store, run_id: str) -> ApprovalRecord:
    """Return what was recorded of a run. Errors: InputError for a damaged file, StoreError."""
    files = artifact_files(store, run_id)
    evaluation = _sha256(read_bytes(store, run_id, EVALUATION)) if EVALUATION in files else None

    def stored(name: str, form: type[_AnyForm]) -> tuple[_AnyForm, ...]:
        what = f"{name} of run {run_id}"
        return _parsed(read_bytes(store, run_id, name), form, what) if name in files else ()

    return ApprovalRecord(
        evaluation, stored(GATES, GateCheck), stored(REVIEWS, Review), stored(WAIVERS, Waiver)
    )


def gate_check(gates: Gates, results: Sequence[GateResult], evaluation: bytes) -> GateCheck:
    """Return the record of gates that were checked now, with the evaluation in this file."""
    forms = tuple(
        ConditionCheck(condition=one.condition, value=one.value, passed=one.passed) for one in results
    )
    return GateCheck(
        gates=gates.name,
        owner=gates.owner,
        review_by=gates.review_by,
        gates_sha256=gates.sha256,
        evaluation_sha256=_sha256(evaluation),
        checked=now(),
        results=forms,
    )


def add_checks(store: Store, run_id: str, checks: Sequence[GateCheck]) -> ApprovalRecord:
    """Store checks of gates in the place of earlier ones of the same names. Errors: as `read_approval`."""
    before = read_approval(store, run_id)
    names = {one.gates for one in checks}
    others = tuple(one for one in before.checks if one.gates not in names)
    after = ApprovalRecord(before.evaluation_sha256, (*others, *checks), before.reviews, before.waivers)
    _write(store, run_id, after, GATES, after.checks)
    return after


def add_review(store: Store, run_id: str, *, by: str, note: str, due: datetime.date | None) -> ApprovalRecord:
    """Store that a person has looked. Errors: InputError for a run without an evaluation, StoreError."""
    before = read_approval(store, run_id)
    if before.evaluation_sha256 is None:
        raise InputError(f"run {run_id} has no evaluation to review: runback evaluate {run_id}")
    review = Review(by=by, when=now(), evaluation_sha256=before.evaluation_sha256, note=note, next=due)
    after = ApprovalRecord(before.evaluation_sha256, before.checks, (*before.reviews, review), before.waivers)
    _write(store, run_id, after, REVIEWS, after.reviews)
    return after


def add_waiver(store: Store, run_id: str, waiver: Waiver) -> ApprovalRecord:
    """Store a waiver beside those that there are. Errors: as `read_approval`."""
    before = read_approval(store, run_id)
    after = ApprovalRecord(before.evaluation_sha256, before.checks, before.reviews, (*before.waivers, waiver))
    _write(store, run_id, after, WAIVERS, after.waivers)
    return after


_AnyForm = TypeVar("_AnyForm", bound=_Form)


def _write(store: Store, run_id: str, record: ApprovalRecord, file: str, items: Sequence[_Form]) -> None:
    content: list[Any] = [one.model_dump(mode="json") for one in items]
    writer = RunWriter(store, run_id)
    writer.log_text(json.dumps(content, indent=1) + "\n", file)
    writer.set_tags(record.tags())
    writer.deliver()


def _parsed(content: bytes, form: type[_AnyForm], what: str) -> tuple[_AnyForm, ...]:
    try:
        return TypeAdapter(tuple[form, ...]).validate_python(parsed_json(content, what))  # type: ignore[valid-type]
    except ValidationError as error:
        raise InputError(f"{what} is damaged: {first_fault(error)}") from error


def _hash_of(file: Path) -> str | None:
    return _sha256(file.read_bytes()) if file.is_file() else None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
