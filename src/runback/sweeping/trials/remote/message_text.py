"""The messages of a trial as JSON: from a worker to its coordinator they are data, and no pickles."""

import math
from typing import Any

from runback.sweeping.trials import messages
from runback.sweeping.trials.failures import KINDS

LONGEST_TEXT = 100_000
"""Characters of a text in a message: a traceback."""

End = messages.Paused | messages.Preempted | messages.Outcome

Said = messages.Report | messages.Attribute | messages.Notice | End


def as_json(message: Said) -> dict[str, Any]:
    """Return a message's name and its facts."""
    match message:
        case messages.Report(step, value):
            return {"report": {"step": step, "value": value}}
        case messages.Attribute(name, text):
            return {"attribute": {"name": name, "value": text}}
        case messages.Notice(lines):
            return {"notice": {"lines": list(lines)}}
        case messages.Completed(values):
            return {"completed": {"values": list(values)}}
        case messages.Pruned():
            return {"pruned": {}}
        case messages.Paused():
            return {"paused": {}}
        case messages.Preempted(reason):
            return {"preempted": {"reason": reason}}
        case messages.Failed(kind, reason, traceback):
            return {"failed": {"kind": kind, "reason": reason, "traceback": traceback[-LONGEST_TEXT:]}}


def from_json(content: Any) -> Said:
    """Return the message that `as_json` has made. Errors: ValueError for anything else."""
    try:
        [(name, facts)] = content.items()
        match name:
            case "report":
                return messages.Report(_step(facts["step"]), _number(facts["value"]))
            case "attribute":
                return messages.Attribute(_text(facts["name"]), _text(facts["value"]))
            case "notice":
                return messages.Notice(tuple(map(_text, facts["lines"])))
            case "completed":
                return messages.Completed(tuple(map(_number, facts["values"])))
            case "pruned":
                return messages.Pruned()
            case "paused":
                return messages.Paused()
            case "preempted":
                return messages.Preempted(_text(facts["reason"]))
            case "failed" if facts["kind"] in KINDS:
                return messages.Failed(facts["kind"], _text(facts["reason"]), _text(facts["traceback"]))
    except (AttributeError, LookupError, TypeError) as error:
        raise ValueError("expected a message of a trial") from error
    raise ValueError("expected a message of a trial")


def _step(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise ValueError("expected a step")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or (isinstance(value, int) and abs(value) >= 1 << 53):
        raise ValueError("expected a number")
    return math.nan if value != value else float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise ValueError("expected a text")
    return value
