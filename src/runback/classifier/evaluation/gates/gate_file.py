"""Gates: conditions on the numbers of an evaluation, in `conf/gates/*.yaml`."""

import datetime
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runback.errors import InputError
from runback.system.text.listing import did_you_mean

COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}

_CONDITION = re.compile(
    r"\s*(?P<number>[^<>=]+?)\s*(?P<comparison>>=|<=|>|<)\s*(?P<bound>[+-]?(\d+\.?\d*|\.\d+))\s*"
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


@dataclass(frozen=True)
class GateResult:
    """A condition and the value that it was checked with."""

    condition: str
    value: float
    passed: bool

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"condition": self.condition, "value": self.value, "passed": self.passed}


class _GateForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    owner: str = Field(min_length=1)
    review_by: datetime.date
    conditions: list[str] = Field(min_length=1)


def read_gates(folder: Path, name: str) -> Gates:
    """Return the gates of a name in a folder. Errors: InputError for an unknown name and a bad file."""
    names = sorted(file.stem for file in folder.glob("*.yaml")) if folder.is_dir() else []
    if name not in names:
        hint = did_you_mean(name, names, f"expected one of {', '.join(names) or 'none: there are no gates'}")
        raise InputError(f"unknown gates '{name}' in {folder}: {hint}")
    file = folder / f"{name}.yaml"
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
        form = _GateForm.model_validate(content)
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise InputError(f"{file}: cannot be read: {' '.join(str(error).split()):.200}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(
            f"{file}: {where}: {first['msg']}; gates have owner, review_by (a date) and conditions"
        ) from error
    return Gates(name, form.owner, form.review_by, tuple(_condition(text, file) for text in form.conditions))


def check_gates(gates: Gates, evaluation: Mapping[str, Any]) -> list[GateResult]:
    """Check each condition with an evaluation's numbers. Errors: InputError for one that it does not have."""
    found = []
    for condition in gates.conditions:
        value = number_in(evaluation, condition.number, gates.name)
        found.append(GateResult(condition.text, value, condition.holds(value)))
    return found


def number_in(evaluation: Mapping[str, Any], dotted: str, gates: str) -> float:
    """Return the number at a dotted name: `section.measure`, with `.low`, `.high` or `.n` behind it.

    Of a list the element with that `name` is taken. Errors: InputError where there is no such number.
    """
    place: Any = evaluation
    for part in dotted.split("."):
        options = _options(place)
        if part not in options:
            hint = did_you_mean(part, list(options), f"expected one of {', '.join(sorted(options)[:20])}")
            raise InputError(f"gates {gates}: unknown number '{dotted}' in the evaluation: {hint}")
        place = options[part]
    if isinstance(place, Mapping) and "value" in place:
        place = place["value"]
    if isinstance(place, bool) or not isinstance(place, int | float):
        raise InputError(f"gates {gates}: {dotted} is no number in the evaluation; got {place!a:.80}")
    return float(place)


def _options(place: Any) -> Mapping[str, Any]:
    if isinstance(place, Mapping):
        return place
    if isinstance(place, Sequence) and not isinstance(place, str):
        return {str(one["name"]): one for one in place if isinstance(one, Mapping) and "name" in one}
    return {}


def _condition(text: str, file: Path) -> Condition:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise InputError(f"{file}: expected a condition like {EXAMPLE!r}; got {text!a:.100}")
    return Condition(text, match["number"], match["comparison"], float(match["bound"]))
