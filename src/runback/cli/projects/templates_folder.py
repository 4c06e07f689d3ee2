"""The files that a project begins with, as templates."""

from pathlib import Path

FOLDER = Path(__file__).parent / "templates"


def template(name: str, **values: str) -> str:
    """Return the text of a template, with `@KEY@` replaced by the value of that key."""
    text = (FOLDER / f"{name}.in").read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text
