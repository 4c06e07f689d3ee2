"""Reads a YAML file into a form: whatever is wrong with it is one line."""

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from runback.errors import InputError
from runback.system.text.excerpt import telling_line

MOST_BYTES = 2**20
"""Bytes of a file."""

Form = TypeVar("Form", bound=BaseModel)


def read_form(file: Path, form: type[Form], expected: str) -> Form:
    """Return what a YAML file says, an empty one as a mapping without keys.

    Errors: InputError for a file that is none, too large, no YAML or no such form; `expected` ends the
    message.
    """
    if not file.is_file() or file.stat().st_size > MOST_BYTES:
        raise InputError(f"{file}: expected an ordinary file of at most {MOST_BYTES:,} bytes")
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except Exception as error:  # PyYAML's own constructors raise whatever int() or date() do
        raise InputError(f"{file}: cannot be read: {telling_line(error):.200}") from error
    try:
        return form.model_validate({} if content is None else content)
    except ValidationError as error:
        raise InputError(f"{file}: {first_fault(error)}; {expected}") from error


def first_fault(error: ValidationError) -> str:
    """Return where the first fault of a form is, and what, in a line."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
