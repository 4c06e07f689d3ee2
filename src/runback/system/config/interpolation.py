"""Interpolations of a config: values from the environment, or by other resolvers of OmegaConf."""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.resolvers import oc

ENVIRONMENT = "oc.env"
"""OmegaConf's resolver for environment variables."""

_REFERENCE = re.compile(r"\$\{[\w.\[\]]+\}")
"""A reference to another key, the harmless kind of interpolation."""

_VARIABLE = re.compile(r"\$\{oc\.env:(\w+)(?:,[^${}]*)?\}")
"""An environment variable, with or without a default."""


def resolved(cfg: DictConfig) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Resolve a config, except for each value that depends on the environment: that one stays as written.

    Returns the config, and which environment variables each of the unresolved keys reads, by dotted key.
    Errors: OmegaConfBaseException where something cannot be resolved.
    """
    reads: dict[str, list[str]] = {}
    return _resolved(cfg, OmegaConf.to_container(cfg), "", reads), reads


def variables(tree: Any) -> dict[str, list[str]]:
    """Return the environment variables that the texts of an unresolved config name, by dotted key."""
    named = {key: named_in(text) for key, text in _texts(tree, "")}
    return {key: names for key, names in named.items() if names}


def named_in(text: str) -> list[str]:
    """Return the environment variables that a text names."""
    return [str(name) for name in _VARIABLE.findall(text)]


def foreign(tree: Any, *, environment: bool = False) -> list[tuple[str, str]]:
    """Return the texts, with their dotted keys, that use more than references to other keys.

    That is how a config that somebody else wrote could call a resolver. With `environment`, environment
    variables may be used as well.
    """
    found = []
    for key, text in _texts(tree, ""):
        rest = _REFERENCE.sub("", _VARIABLE.sub("", text) if environment else text)
        if "${" in rest:
            found.append((key, text))
    return found


def _resolved(node: Any, raw: Any, prefix: str, reads: dict[str, list[str]]) -> Any:
    if isinstance(raw, dict):
        return {key: _value(node, key, value, f"{prefix}{key}", reads) for key, value in raw.items()}
    return [_value(node, index, value, f"{prefix}{index}", reads) for index, value in enumerate(raw)]


def _value(parent: Any, key: Any, raw: Any, path: str, reads: dict[str, list[str]]) -> Any:
    if isinstance(raw, str) and OmegaConf.is_interpolation(parent, key):
        with _watched() as names:
            found = parent[key]
            if isinstance(found, DictConfig | ListConfig):
                found = OmegaConf.to_container(found, resolve=True)
        if not names:
            return found
        reads[path] = list(dict.fromkeys(names))
        return raw
    return _resolved(parent[key], raw, f"{path}.", reads) if isinstance(raw, dict | list) else raw


@contextlib.contextmanager
def _watched() -> Iterator[list[str]]:
    """Give the list of the environment variables that are read in this block."""
    names: list[str] = []

    def env(key: str, *default: Any) -> Any:
        names.append(key)
        return oc.env(key, *default)

    OmegaConf.register_new_resolver(ENVIRONMENT, env, replace=True)
    try:
        yield names
    finally:
        OmegaConf.register_new_resolver(ENVIRONMENT, oc.env, replace=True)


def _texts(tree: Any, prefix: str) -> Iterator[tuple[str, str]]:
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _texts(str(key), f"{prefix}{key}.")  # a key can hold one too
            yield from _texts(value, f"{prefix}{key}.")
    elif isinstance(tree, str):
        yield prefix.removesuffix("."), tree
    elif isinstance(tree, Sequence):
        for index, value in enumerate(tree):
            yield from _texts(value, f"{prefix}{index}.")
