"""Compares two records of runs: the differences, likeliest causes of another result first."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from runback.provenance.comparing import compare_parts
from runback.system.text.escape import for_terminal
from runback.system.text.listing import listed

ORDER = (
    ("data", "data", compare_parts.data),
    ("weights", "weights", compare_parts.weights),
    ("config", "config_sha256", compare_parts.config),
    ("seeds", "seeds", compare_parts.seeds),
    ("code", "code", compare_parts.code),
    ("threads", "threads", compare_parts.threads),
    ("devices", "devices", compare_parts.devices),
    ("hardware", "hardware", compare_parts.hardware),
    ("tensorflow", "tensorflow", compare_parts.tensorflow),
    ("packages", "packages", compare_parts.numeric_packages),
    ("environment", "environment", compare_parts.environment),
    ("python", "python", compare_parts.python),
    ("system", "system", compare_parts.system),
    ("packages", "packages", compare_parts.other_packages),
)
"""The parts of a record, their keys, and what compares them; the likeliest to change a result first."""


NAMES = {"python": "Python", "tensorflow": "TensorFlow", "system": "operating system"}
"""Names of parts for a person, where they are others."""

SHOWN = 5
"""Files that are named."""


@dataclass(frozen=True)
class Difference:
    """One thing that differs.

    `part` is one of those in ORDER, `what` names the thing within it, `then` and `now` are short texts.
    `numeric`: it can explain other floating-point bits while the experiment is the same (a device, a number
    of threads, a version of TensorFlow), which other data, code or settings cannot.
    """

    part: str
    what: str
    then: str
    now: str
    numeric: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the difference as JSON has it."""
        return asdict(self)


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """Return what differs between two records, the likeliest causes of another result first.

    What one of them does not tell, as an older record may not, is no difference.
    """
    found = [
        Difference(part, *one)
        for part, key, compare in ORDER
        if then.get(key) is not None and now.get(key) is not None and then[key] != now[key]
        for one in compare(then[key], now[key])
    ]
    has_build = any(one.part == "tensorflow" and one.what == "TensorFlow" for one in found)
    return [one for one in found if not (has_build and one.part == "packages" and one.what == "tensorflow")]


def compared_parts(
    then: Mapping[str, Any], now: Mapping[str, Any], parts: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return which of these parts both records tell of, so that they were compared, and which not.

    They are named for a person. Code is told where it was in a repository.
    """
    told = {part: _tells(then, key, part) and _tells(now, key, part) for part, key, _ in ORDER}
    names = {part: NAMES.get(part, part) for part in parts}
    return [names[one] for one in parts if told[one]], [names[one] for one in parts if not told[one]]


def code_reservations(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what keeps two records of code from being all of it."""
    reservations = []
    for which, record in (("the recorded run's", then), ("this one's", now)):
        code = record.get("code") or {}
        if code.get("tree") and code.get("left_out"):
            names = [for_terminal(str(one["path"])) for one in code["left_out"]]
            reservations.append(f"not compared, because {which} record leaves it out: {listed(names, SHOWN)}")
        if code.get("edited"):
            names = [for_terminal(str(one)) for one in code["edited"]]
            reservations.append(f"edited after {which} process had read it: {listed(names, SHOWN)}")
    return reservations


def _tells(record: Mapping[str, Any], key: str, part: str) -> bool:
    told = record.get(key)
    return told is not None and (part != "code" or bool(told.get("tree")))
