"""Checks the form of a run's record before it is read: a file can be damaged, and a bundle anybody's."""

import math
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from runback.errors import InputError
from runback.provenance.bundle.manifest import shorten

MAX_PIXELS = 2**28
"""Numbers that one image may have: a bundle's record says how large an array `serve` is to make."""

MANY = 100_000
"""Files, packages, tensors, classes or epochs that a record may tell of."""

CHOICE = r"^[\w.+=@,/ -]{0,200}$"
"""The name of a config file; it ends in a run's description, which a browser shows as Markdown."""

VERSION = r"^[0-9]{1,2}\.[0-9]{1,3}\.[0-9]{1,3}((a|b|rc)[0-9]{1,2})?\+?$"
"""A version of Python; a `+` marks one built from a working tree."""

Hash = Annotated[str, Field(pattern="^([0-9a-f]{40}|[0-9a-f]{64})$")]
"""A commit's or a tree's, by SHA-1 or SHA-256: anything else could be an option to git."""

Sum = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Line = Annotated[str, Field(max_length=1000)]
Text = Annotated[str, Field(max_length=10_000)]
Texts = Annotated[dict[Line, Text], Field(max_length=MANY)]
Choice = Annotated[str, Field(pattern=CHOICE)]
Metrics = Annotated[dict[Line, float], Field(max_length=1000)]


class Strict(BaseModel):
    """Checks what is read, converts nothing, and lets newer records say more."""

    model_config = ConfigDict(strict=True, extra="allow")


class LeftOutForm(Strict):
    """A file that a record lacks, and why."""

    path: str = Field(max_length=5000)
    reason: Text


class CodeForm(Strict):
    """The code, as Snapshot.as_dict gives it."""

    commit: Hash | None
    tree: Hash | None
    branch: Line | None = None
    remote: Line | None = None
    project: Line | None
    patch_sha256: Sum | None
    untracked: dict[str, Sum] = Field(max_length=MANY)
    left_out: list[LeftOutForm] = Field(max_length=MANY)


class SplitForm(Strict):
    """A split of the data, or another part of what a task trains on."""

    sha256: Line
    kind: Line | None = None
    shape: list[int] = Field(max_length=64)
    class_counts: dict[Line, int] = Field(max_length=MANY)

    @field_validator("shape")
    @classmethod
    def _possible(cls, shape: list[int], others: ValidationInfo) -> list[int]:
        is_of_images = others.data.get("kind") is None
        is_large = is_of_images and not (0 < len(shape) <= 8 and math.prod(shape[1:]) <= MAX_PIXELS)
        if any(side < 0 for side in shape) or is_large:
            raise ValueError(f"no shape{' of images' if is_of_images else ''}: {shape}")
        return shape


class CpuForm(Strict):
    """The processor."""

    model: Text | None = None
    flags: list[Line] | None = Field(None, max_length=MANY)


class HardwareForm(Strict):
    """The machine."""

    cpu: CpuForm
    gpus: list[dict[Line, Any]] = Field(max_length=1000)


class TensorflowForm(Strict):
    """TensorFlow and how it was built."""

    build: dict[Line, Any] | None = Field(None, max_length=1000)


class PythonForm(Strict):
    """Python; uv is asked for this version."""

    version: str = Field(pattern=VERSION)
    implementation: Line | None = None


class RecordForm(Strict):
    """record.json: what a run was made from."""

    format: Literal["runback-record-1"]
    code: CodeForm
    packages: Texts
    python: PythonForm
    system: Texts
    task: Texts | None = None
    tensorflow: TensorflowForm | None = None
    hardware: HardwareForm
    threads: dict[Line, int] = Field(max_length=1000)
    devices: int | None = Field(None, ge=1)
    environment: Texts
    seeds: dict[Line, int | None] = Field(max_length=1000)
    data: dict[Line, SplitForm] = Field(max_length=MANY)
    choices: dict[Choice, Choice] = Field(max_length=1000)
    config_sha256: Sum
    variables: dict[Line, list[Line]] = Field(max_length=1000)
    """The environment variables that the config reads, by its keys."""
    secrets: list[Line] = Field(max_length=1000)
    """The config's keys whose values were left out."""


class EpochForm(Strict):
    """One epoch's results."""

    epoch: int
    metrics: Metrics


class ResultForm(Strict):
    """result.json: what came out."""

    format: Literal["runback-result-1"]
    epochs: list[EpochForm] = Field(max_length=MANY)
    weights: Annotated[dict[Line, Line], Field(max_length=MANY)] | None
    predictions: Line | None
    finished: bool
    trace: Annotated[dict[Line, dict[Line, Line]], Field(max_length=1000)] | None = None


class HistoryForm(RootModel[Annotated[list[Metrics], Field(max_length=MANY)]]):
    """history.json of a bundle: the metrics of each epoch."""


class BundleForm(Strict):
    """The facts about its run in a bundle's manifest."""

    id: str = Field(pattern="^[0-9a-f]{32}$")
    name: Line
    status: Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]
    tags: dict[Line, Text] = Field(max_length=1000)


def check_form(form: type[BaseModel], content: Any, what: str) -> None:
    """Raise InputError, saying what is wrong first, where `content` has another form; `what` opens it."""
    try:
        form.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = shorten(".".join(str(part) for part in first["loc"])) or "the whole"
        message = first["msg"][:1].lower() + first["msg"][1:]
        raise InputError(f"{what} cannot be used: {where}: {message}") from error
