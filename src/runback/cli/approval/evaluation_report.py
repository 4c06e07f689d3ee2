"""Reads the evaluation that a run has recorded."""

import json
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from runback.errors import InputError
from runback.runs.schema import EVALUATION
from runback.system.config.yaml_form import first_fault
from runback.tracking.read.find_runs import read_bytes
from runback.tracking.store import Store

FORMAT: Final = "runback-evaluation-1"
"""What a report says it is."""


class _MeasureForm(BaseModel):
    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    value: float
    low: float | None
    high: float | None
    n: int


class _ClassForm(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str
    n: int
    recall: _MeasureForm | None


class _QualityForm(BaseModel):
    model_config = ConfigDict(extra="allow")

    accuracy: _MeasureForm
    macro_f1: _MeasureForm
    classes: list[_ClassForm]


class _ReportForm(BaseModel):
    model_config = ConfigDict(extra="allow")

    run: str
    images: str
    n: int
    opened: int
    images_sha256: str
    notes: list[str]
    quality: _QualityForm


def read_evaluation(store: Store, run_id: str) -> dict[str, Any]:
    """Return the report that a run has. Errors: InputError where it has none, or one of another kind."""
    report = parsed_json(read_bytes(store, run_id, EVALUATION), f"{EVALUATION} of run {run_id}")
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        raise InputError(
            f"run {run_id} was evaluated by another version of runback, which {EVALUATION} shows: "
            "runback evaluate RUN --again evaluates it anew"
        )
    try:
        _ReportForm.model_validate(report)
        for section in report.values():
            for one in section.values() if isinstance(section, dict) else ():
                if isinstance(one, dict) and one.keys() >= {"value", "low", "high"}:
                    _MeasureForm.model_validate(one)
    except ValidationError as error:
        raise InputError(f"{EVALUATION} of run {run_id} is damaged: {first_fault(error)}") from error
    return report


def parsed_json(content: bytes, what: str) -> Any:
    """Return what a file in JSON says. Errors: InputError for a damaged one, which `what` names."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} is damaged: {error!s:.200}") from error
