"""Makes text fit for MLflow: names of allowed characters, values of allowed length, no passwords."""

import posixpath
import re
from collections.abc import Iterable

from runback.errors import InputError
from runback.system.secrecy import redacted, without_values
from runback.system.text.excerpt import SAID

NAME_LIMIT = 250
"""Characters of a param's, metric's or tag's name (mlflow.utils.validation.MAX_ENTITY_KEY_LENGTH)."""

PARAM_LIMIT = 6000
"""Characters of a param's value; MLflow cuts a longer one without a word (MAX_PARAM_VAL_LENGTH)."""

TAG_LIMIT = 8000
"""Characters of a tag's value (MAX_TAG_VAL_LENGTH); a description is a tag."""

REASON_LIMIT = 500
"""Characters of the reason why a run ended: more is no line for a person."""


def metric_name(text: str) -> str:
    """Return `text` with every character that MLflow's names may not hold, and `/`, turned into `_`."""
    name = re.sub(r"[^\w.\- ]", "_", text).strip()[:NAME_LIMIT] or "_"
    return f"_{name[1:]}" if name == "." or name.startswith("..") else name  # MLflow takes them for folders


def refuse_param_names(names: Iterable[str], what: str = "") -> None:
    """Raise InputError for a dotted key that MLflow takes no param, or tag, by; `what` opens the message."""
    opening = f"{what}: " if what else ""
    for name in names:
        if len(name) > NAME_LIMIT:
            raise InputError(
                f"{opening}the key {name!a:.60} has {len(name)} characters, and MLflow takes params of at "
                f"most {NAME_LIMIT}: choose a shorter one"
            )
        path = posixpath.normpath(name)
        if not re.fullmatch(r"[\w.\- :/]*", name) or path != name or path.startswith((".", "/")):
            raise InputError(
                f"{opening}the key {name!a:.200} cannot be stored: MLflow takes params of letters, digits, "
                "'_', '-', '.', ':', '/' and spaces: choose another"
            )


def cut(text: str, limit: int) -> str:
    """Return at most `limit` characters of `text`; what was cut shows as `…` at the end."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def first_line(text: str) -> str:
    """Return the first line that says something, fit for a tag, without passwords."""
    lines = [line.strip() for line in without_values(text)[:SAID].splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("(raised as a result of"):
        lines = lines[1:]  # SQLAlchemy's preface
    return cut(redacted(lines[0]), REASON_LIMIT) if lines else ""
