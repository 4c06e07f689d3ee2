"""Reads a YAML file into a form: whatever is wrong with it is one line."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from runback.errors import InputError
from runback.system.text.excerpt import telling_line

MOST_BYTES = 2**20
"""Bytes of a file."""

Form = TypeVar("Form", bound=BaseModel)


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that occurs twice, of which YAML would take the last one without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping. Raises ConstructorError for a key that occurs twice."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"{twice[0]!a:.80} occurs twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def read_form(file: Path, form: type[Form], expected: str) -> Form:
    """Return what a YAML file says, an empty one as a mapping without keys.

    Errors: InputError for a file that is none, too large, no YAML or no such form; `expected` ends the
    message.
    """
    if not file.is_file() or file.stat().st_size > MOST_BYTES:
        raise InputError(f"{file}: expected an ordinary file of at most {MOST_BYTES:,} bytes")
    try:
        loader = _UniqueKeys(file.read_text("utf-8"))
        try:
            content = loader.get_single_data()
        finally:
            loader.dispose()
    except Exception as error:  # PyYAML's own constructors raise whatever int() or date() do
        raise InputError(f"{file}: cannot be read: {telling_line(error):.200}") from error
    if content is not None and not isinstance(content, dict):
        raise InputError(f"{file}: expected names with values; {expected}")
    try:
        return form.model_validate(content or {})
    except ValidationError as error:
        raise InputError(f"{file}: {first_fault(error)}; {expected}") from error


def first_fault(error: ValidationError) -> str:
    """Return where the first fault of a form is, and what, in a line."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
