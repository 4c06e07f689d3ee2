"""Statements that only a person can make of a model: its use, its limits, its licence."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from runback.system.config.yaml_form import read_form

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
    return read_form(file, CardStatements, f"a card has {', '.join(CardStatements.model_fields)}")
