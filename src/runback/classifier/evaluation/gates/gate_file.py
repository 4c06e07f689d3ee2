"""Gates: conditions on the numbers of an evaluation, in `conf/gates/*.yaml`."""

import datetime
import hashlib
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from runback.classifier.evaluation.measure_names import unknown_number
from runback.errors import InputError
from runback.system.config.yaml_form import read_form
from runback.system.text.listing import did_you_mean

COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}

_CONDITION = re.compile(
    r"\s*(?P<number>\S.*?)\s*(?P<comparison>>=|<=|>|<)\s*(?P<bound>[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)\s*"
)

EXAMPLE = "quality.accuracy.low >= 0.8"


@dataclass(frozen=True)
class Condition:
    """A condition: the dotted name of a number in an evaluation, a comparison, and a bound."""

    text: str
    number: str
    comparison: str
    bound: float

    def holds(self, value: float) -> bool:
        """Tell whether a value fulfils it."""
        return COMPARISONS[self.comparison](value, self.bound)


@dataclass(frozen=True)
class Gates:
    """The gates of a file."""

    name: str
    owner: str
    review_by: datetime.date
    conditions: tuple[Condition, ...]
    sha256: str
    """Of the file."""


@dataclass(frozen=True)
class GateResult:
    """A condition and the value that it was checked with; one without a value is not passed."""

    condition: str
    value: float | None
    passed: bool

    def line(self) -> str:
        """Return it for a person."""
        said = "not measured" if self.value is None else f"is {self.value:.4g}"
        return f"{'passed' if self.passed else 'FAILED'}  {self.condition}  ({said})"


def _dated(value: Any) -> Any:
    return value if isinstance(value, str | datetime.date) else "none"  # 20300101 would be seconds


class _GateForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    owner: str = Field(min_length=1, max_length=200)
    review_by: Annotated[datetime.date, BeforeValidator(_dated)]
    conditions: list[str] = Field(min_length=1, max_length=1_000)


def gates_file(folder: Path, name: str) -> Path:
    """Return the file of gates of a name, which need not exist."""
    return folder / f"{name}.yaml"


def read_gates(folder: Path, name: str) -> Gates:
    """Return the gates of a name in a folder.

    Errors: InputError for an unknown name, a bad file, and a condition on a number that no evaluation has.
    """
    names = sorted(file.stem for file in folder.glob("*.yaml")) if folder.is_dir() else []
    if name not in names:
        hint = did_you_mean(name, names, f"expected one of {', '.join(names) or 'none: there are no gates'}")
        raise InputError(f"unknown gates '{name}' in {folder}: {hint}")
    file = gates_file(folder, name)
    form = read_form(file, _GateForm, "gates have owner, review_by (a date) and conditions")
    conditions = tuple(_condition(text, file) for text in form.conditions)
    return Gates(name, form.owner, form.review_by, conditions, hashlib.sha256(file.read_bytes()).hexdigest())


def check_gates(gates: Gates, evaluation: Mapping[str, Any]) -> list[GateResult]:
    """Check each condition with an evaluation's numbers; one that it does not have is not passed."""
    values = [(one, number_at(evaluation, one.number)) for one in gates.conditions]
    return [
        GateResult(condition.text, value, value is not None and condition.holds(value))
        for condition, value in values
    ]


def number_at(evaluation: Mapping[str, Any], dotted: str) -> float | None:
    """Return the number at a dotted name, as `section.measure.low`; None where there is none.

    Of a list the element with that `name`, or of that number counted from 1, is taken. Names may have dots in
    them: of several that fit, the longest is taken.
    """
    place: Any = evaluation
    while dotted:
        options = _options(place)
        fitting = [name for name in options if dotted == name or dotted.startswith(f"{name}.")]
        if not fitting:
            return None
        name = max(fitting, key=len)
        place, dotted = options[name], dotted[len(name) + 1 :]
    if isinstance(place, Mapping):
        place = place.get("value")
    return float(place) if isinstance(place, int | float) and not isinstance(place, bool) else None


def _options(place: Any) -> Mapping[str, Any]:
    if isinstance(place, Mapping):
        return place
    if isinstance(place, Sequence) and not isinstance(place, str):
        return {
            str(one["name"] if isinstance(one, Mapping) and "name" in one else number): one
            for number, one in enumerate(place, 1)
        }
    return {}


def _condition(text: str, file: Path) -> Condition:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise InputError(f"{file}: expected a condition like {EXAMPLE!r}; got {text!a:.100}")
    problem = unknown_number(match["number"])
    if problem is not None:
        raise InputError(f"{file}: unknown number {match['number']!a:.100}: {problem}")
    return Condition(text, match["number"], match["comparison"], float(match["bound"]))
