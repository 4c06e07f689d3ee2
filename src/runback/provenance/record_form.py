"""What a run's record must look like to be read; a file can be damaged, and a bundle anybody's."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from runback.errors import InputError


class Strict(BaseModel):
    """Checks what is read, converts nothing, and lets newer records say more."""

    model_config = ConfigDict(strict=True, extra="allow")


class CodeForm(Strict):
    """The code, as Snapshot.as_dict gives it."""

    commit: str | None
    tree: str | None
    project: str | None
    patch_sha256: str | None
    untracked: dict[str, str]
    left_out: list[dict[str, Any]]


class SplitForm(Strict):
    """A split of the data."""

    sha256: str
    shape: list[int] = Field(min_length=1)
    class_counts: dict[str, int]


class DataForm(Strict):
    """Both splits that a training reads."""

    train: SplitForm
    validation: SplitForm


class HardwareForm(Strict):
    """The machine."""

    cpu: dict[str, Any]
    gpus: list[dict[str, Any]]


class RecordForm(Strict):
    """record.json: what a run was made from."""

    format: Literal["runback-record-1"]
    code: CodeForm
    packages: dict[str, str]
    python: dict[str, str]
    system: dict[str, str]
    tensorflow: dict[str, Any]
    hardware: HardwareForm
    threads: dict[str, int]
    environment: dict[str, str]
    seeds: dict[str, int | None]
    data: DataForm
    choices: dict[str, str]
    config_sha256: str
    variables: dict[str, list[str]]
    """The environment variables that the config reads, by its keys."""
    secrets: list[str]
    """The config's keys whose values were left out."""


class EpochForm(Strict):
    """One epoch's results."""

    epoch: int
    metrics: dict[str, float]


class ResultForm(Strict):
    """result.json: what came out."""

    format: Literal["runback-result-1"]
    epochs: list[EpochForm]
    weights: dict[str, str] | None
    predictions: str | None


class HistoryForm(RootModel[list[dict[str, float]]]):
    """history.json of a bundle: the metrics of each epoch."""


class BundleForm(Strict):
    """What a bundle's manifest says about its run."""

    id: str = Field(pattern="^[0-9a-f]{32}$")
    name: str
    status: str
    tags: dict[str, str]


def check_form(form: type[BaseModel], content: Any, what: str) -> None:
    """Raise InputError, saying what is wrong first, where `content` has another form; `what` opens it."""
    try:
        form.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        message = first["msg"][:1].lower() + first["msg"][1:]
        raise InputError(f"{what} cannot be used: {where}: {message}") from error
