"""Says in one line what OmegaConf, Hydra or YAML find wrong with a config, in words for a person."""

import re

import yaml
from omegaconf.errors import OmegaConfBaseException

LEXER = re.compile(r"no viable alternative|(?:mismatched|extraneous) input|token recognition|missing \w+ at ")
"""The words of ANTLR's lexer and parser."""

_PREFACE = re.compile(r"^\w+ (?:raised )?while resolving interpolation: ")

_VARIABLE = re.compile(r"[Ee]nvironment variable '([^']*)' not found")

NO_INTERPOLATION = r"'${' begins an interpolation, as ${key} or ${oc.env:NAME}; write \${ for the characters"


def config_error(error: BaseException) -> str:
    """Return what is wrong with a config, in one line, and the key or the file that it stands in."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{mark.name}, line {mark.line + 1}, column {mark.column + 1}: no YAML: {error.problem}"
    if isinstance(error, yaml.reader.ReaderError):
        return f"{error.name}: no YAML: character {error.position + 1} is {error.character!a}"
    if isinstance(error, RecursionError):
        return "the config refers to itself, or is nested too deep: look for a file among its own defaults"
    if isinstance(error, OmegaConfBaseException):
        return _of_key(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException) and (not lines or lines[0] not in str(cause)):
        lines = [*lines[:1], _of_key(cause)]
    return "; ".join(dict.fromkeys(lines[:2])) or type(error).__name__


def without_parser(text: str) -> str:
    """Return what OmegaConf says of a value, in words for a person where they are those of its parser."""
    return NO_INTERPOLATION if LEXER.search(text) else text


def _of_key(error: OmegaConfBaseException) -> str:
    key = getattr(error, "full_key", None)
    text = _PREFACE.sub("", str(error).splitlines()[0])
    if match := _VARIABLE.search(text):
        text = f"environment variable '{match[1]}' not found: set it, or give a default, ${{oc.env:NAME,1}}"
    text = without_parser(text)
    return f"{text} (for {key})" if key else text
