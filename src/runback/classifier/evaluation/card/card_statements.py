"""What only a person can say of a model: its use, its limits, its licence."""

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from runback.errors import InputError

NOT_STATED = "not stated"


class CardStatements(BaseModel):
    """The statements in a project's `conf/card.yaml`; each may be missing."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    license: str | None = None
    """An identifier of Hugging Face's, as apache-2.0."""
    contact: str | None = None
    intended_use: list[str] = []
    out_of_scope: list[str] = []
    data: str | None = None
    """Where the images come from, who labelled them, and what was agreed with whom they show."""
    oversight: str | None = None
    """Who watches the answers, and what these people may do."""
    limitations: list[str] = []


def read_statements(file: Path) -> CardStatements:
    """Return a file's statements, none where there is no file. Errors: InputError for one that is wrong."""
    if not file.exists():
        return CardStatements()
    try:
        return CardStatements.model_validate(yaml.safe_load(file.read_text("utf-8")) or {})
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise InputError(f"{file}: cannot be read: {' '.join(str(error).split()):.200}") from error
    except ValidationError as error:
        first = error.errors()[0]
        known = ", ".join(CardStatements.model_fields)
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"{file}: {where}: {first['msg']}; a card has {known}") from error
