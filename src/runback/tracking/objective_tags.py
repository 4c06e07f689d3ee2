"""The tags of a run by which the metrics are named that it is judged by, and the better direction of each."""

import json
from collections.abc import Mapping

from runback.tracking.tags import DIRECTION_TAG, OBJECTIVE_TAG


def objective_tags(objectives: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a run that is judged by these metrics, each with its better direction."""
    if not objectives:
        return {}
    return {OBJECTIVE_TAG: _written([*objectives]), DIRECTION_TAG: _written([*objectives.values()])}


def tagged_objectives(objective: str | None, direction: str | None) -> dict[str, str]:
    """Return the metrics that a run is judged by, and their directions, from its tags; empty: it has none.

    Others may have written the tags: what has another form than `objective_tags` gives is no objective.
    """
    names, directions = _read(objective), _read(direction)
    if len(names) != len(directions) or not set(directions) <= {"maximize", "minimize"}:
        return {}
    return dict(zip(names, directions, strict=True))


def _written(names: list[str]) -> str:
    return names[0] if len(names) == 1 and not names[0].startswith("[") else json.dumps(names)


def _read(text: str | None) -> list[str]:
    if text is None or not text.startswith("["):
        return [] if text is None else [text]
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return [one for one in found if isinstance(one, str)]
