"""The artifacts of a training's run: their names, and the form of its record and its result.

The record is what a run is made from, the result what the same training has to give again. Both are JSON, and
both are read from files that may be damaged or, in a bundle, anybody's: reading checks them.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NotRequired, TypedDict, cast

from pydantic import BaseModel

from runback.errors import InputError
from runback.provenance.code.snapshot import SnapshotRecord
from runback.provenance.comparing.record_form import (
    BundleForm,
    HistoryForm,
    RecordForm,
    ResultForm,
    check_form,
)
from runback.tracking import artifact_names

CONFIG: Final = "config.yaml"
OVERRIDES: Final = "overrides.yaml"
RECORD: Final = "record/record.json"
RESULT: Final = "record/result.json"
PATCH: Final = "record/changes.patch"
UNTRACKED: Final = "record/untracked.zip"
LOCK: Final = "record/uv.lock"

RECORD_FOLDER: Final = "record/"

MADE_FROM: Final = (CONFIG, OVERRIDES, PATCH, UNTRACKED, LOCK, RECORD)
"""The artifacts that a run is trained again from; not every run has all of them."""

CLASSIFIER: Final = "runback.classifier.training_task"
"""The module of the image classifier's task."""

CLASSIFIERS_TASK: Final = {"module": CLASSIFIER, "name": "train"}
"""The place of the image classifier's task in a record; a run whose record names no task is of it."""

NETWORK: Final = artifact_names.NETWORK
ARCHITECTURE: Final = artifact_names.ARCHITECTURE
CURVES: Final = "curves.png"
AUGMENTATION: Final = "augmentation.png"

EVALUATION: Final = "evaluation.json"
EVALUATION_PAGE: Final = "evaluation.html"
GATES: Final = "gates.json"
REVIEWS: Final = "reviews.json"
WAIVERS: Final = "waivers.json"
FEEDBACK: Final = "feedback.json"
CARD: Final = "model_card.md"
CARD_PAGE: Final = "model_card.html"
ANSWERS: Final = "answers.parquet"
"""The network's answer to each test image."""
CONFUSION: Final = "confusion.png"

REPRODUCTION: Final = "reproduction.json"
REPRODUCTION_PAGE: Final = "reproduction.html"

CODE: Final = "code.zip"
"""The code at the run's commit, in a bundle, as `git archive` packs it."""

HISTORY: Final = "history.json"
"""The metrics of each epoch, in a bundle."""

RECORD_FORMAT: Final = "runback-record-1"
RESULT_FORMAT: Final = "runback-result-1"
REPRODUCTION_FORMAT: Final = "runback-reproduction-1"


class CodeRecord(SnapshotRecord):
    """The code: its snapshot, and how the process that trained stood to it."""

    project: str | None
    """The project's folder within its repository."""
    edited: NotRequired[list[str]]
    """Files that were changed after the process had imported them: it did not run the snapshot's."""


class SplitRecord(TypedDict):
    """A split of the data, or another part of what a task trains on."""

    sha256: str
    kind: NotRequired[str]
    """array, frame, file, folder or sparse matrix; by default images with their labels."""
    shape: list[int]
    """(images, height, width, channels), or the shape of whatever it is."""
    dtype: NotRequired[str]
    class_counts: dict[str, int]


class Software(TypedDict):
    """What is installed."""

    packages: dict[str, str]
    python: dict[str, str]
    system: dict[str, str]


class MachineRecord(Software):
    """Everything that a process trains with, besides its code and TensorFlow."""

    hardware: dict[str, Any]
    environment: dict[str, str]


class RunRecord(MachineRecord):
    """A run's record."""

    format: Literal["runback-record-1"]
    task: NotRequired[dict[str, str]]
    """The name by which its task is started again; none: it is the classifier's."""
    code: CodeRecord
    tensorflow: NotRequired[dict[str, Any]]
    threads: dict[str, int]
    devices: NotRequired[int]
    """The devices that each batch was divided among; 1: there was no division."""
    seeds: dict[str, int | None]
    data: dict[str, SplitRecord]
    """By name; `train` and `validation` for the classifier."""
    data_summary: NotRequired[dict[str, Any]]
    """What of the data's source is used, left out and converted, as it was said before training."""
    weights: NotRequired[dict[str, str] | None]
    """The file of weights that the network began with: its name and its SHA-256; None: all were new."""
    class_weights: NotRequired[dict[str, float] | None]
    """The weight of each class in the training loss; None: all are 1."""
    choices: dict[str, str]
    """The file chosen in each config group."""
    config_sha256: str
    variables: dict[str, list[str]]
    """The environment variables that the config reads, by its keys."""
    secrets: list[str]
    """The config's keys whose values were left out."""


class EpochResult(TypedDict):
    """The results of one epoch, counted from 1."""

    epoch: int
    metrics: dict[str, float]


class RunResult(TypedDict):
    """A run's result; `weights` and `predictions` are hashes, None where the run was killed."""

    format: NotRequired[Literal["runback-result-1"]]
    epochs: list[EpochResult]
    weights: dict[str, str] | None
    """The hash of each tensor, by its number and path."""
    predictions: str | None
    finished: bool
    """Whether training ended by itself."""
    trace: NotRequired[dict[str, dict[str, str]]]
    """What stood how at its begin and its end, by which the cause of another result is looked for."""


class BundleRun(TypedDict):
    """The run of a bundle, in its manifest."""

    id: str
    name: str
    status: str
    tags: dict[str, str]
    made_by: NotRequired[str]


def is_classifiers(record: RunRecord) -> bool:
    """Tell whether a run is the image classifier's, by its record."""
    return record.get("task", CLASSIFIERS_TASK) == CLASSIFIERS_TASK


def write_record(record: RunRecord) -> bytes:
    """Return the content of record/record.json."""
    return json.dumps(record, indent=1).encode()


def read_record(content: bytes, what: str) -> RunRecord:
    """Return the record in a file, which `what` names. Errors: InputError for one of another form."""
    return cast("RunRecord", _read(content, RecordForm, what))


def write_result(result: RunResult) -> bytes:
    """Return the content of record/result.json."""
    return json.dumps(result, indent=1).encode()


def read_result(content: bytes, what: str) -> RunResult:
    """Return the result in a file, which `what` names. Errors: InputError for one of another form."""
    return cast("RunResult", _read(content, ResultForm, what))


def write_history(history: Sequence[Mapping[str, float]]) -> bytes:
    """Return the content of history.json."""
    return json.dumps(history).encode()


def read_history(content: bytes, what: str) -> list[dict[str, float]]:
    """Return each epoch's metrics in a file, which `what` names. Errors: InputError for another form."""
    return cast("list[dict[str, float]]", _read(content, HistoryForm, what))


def checked_run(run: Mapping[str, Any], what: str) -> BundleRun:
    """Return a run out of the manifest that `what` names. Errors: InputError for one of another form."""
    check_form(BundleForm, run, what)
    return cast("BundleRun", run)


def _read(content: bytes, form: type[BaseModel], what: str) -> Any:
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} is damaged: {error}") from error
    check_form(form, facts, what)
    return facts
