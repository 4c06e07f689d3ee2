"""What a person may ask of a sweep that runs."""

import json
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from runback.errors import InputError
from runback.system.text.listing import did_you_mean

LONGEST = 10_000
"""Characters of a point's overrides."""

MOST_WORKERS = 10_000

MOST_TRIALS = 10**9


@dataclass(frozen=True)
class StopSweep:
    """Stop, as Ctrl-C does: the same command goes on with it."""


@dataclass(frozen=True)
class EndTrial:
    """End one trial for good."""

    number: Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Change:
    """Go on with other values of these settings; None: as it is."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    n_workers: Annotated[int, Field(ge=1, le=MOST_WORKERS)] | None = None
    n_trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)] | None = None
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @property
    def values(self) -> dict[str, Any]:
        """What is set, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class AddPoint:
    """Train these overrides next, a point of the search space."""

    overrides: Annotated[str, Field(min_length=1, max_length=LONGEST)]


Request = StopSweep | EndTrial | Change | AddPoint

KINDS: dict[str, type[Request]] = {
    "stop": StopSweep, "end_trial": EndTrial, "change": Change, "add_point": AddPoint
}  # fmt: skip


def as_json(request: Request) -> bytes:
    """Return a request as the text that `from_json` reads."""
    kind = next(name for name, one in KINDS.items() if isinstance(request, one))
    return json.dumps({kind: asdict(request)}).encode()


def from_json(text: bytes) -> Request:
    """Return the request that a text is. Errors: ValueError for anything else."""
    try:
        [(kind, facts)] = json.loads(text).items()
        request: Request = TypeAdapter(KINDS[kind]).validate_python(facts)
    except (AttributeError, LookupError, TypeError, RecursionError) as error:
        raise ValueError("expected a request") from error
    return request


def change_of(words: list[str]) -> Change:
    """Return the change that `KEY=VALUE` words ask for. Errors: InputError."""
    values = {}
    for word in words:
        key, is_given, value = word.removeprefix("hydra.sweeper.").partition("=")
        known = list(Change.__dataclass_fields__)
        if not is_given or key not in known:
            hint = did_you_mean(key, known, f"expected {', '.join(known)}")
            raise InputError(f"--set takes KEY=VALUE; got {word!r:.100}: {hint}")
        values[key] = value
    try:
        return TypeAdapter(Change).validate_python(values)
    except ValidationError as error:
        [first, *_] = error.errors()
        raise InputError(f"--set {first['loc'][0]}: {first['msg']}; got {first['input']!r:.80}") from None
