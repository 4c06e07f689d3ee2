"""Checks a config that somebody else wrote, and lists what it reaches for on this machine."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runback.errors import InputError
from runback.system.config import interpolation
from runback.system.config.config_bounds import bounded, refuse_growth
from runback.tracking.layout import folder_name

MAX_BYTES = 128 * 2**10
"""A config has some 2,000 bytes; YAML is read at about 100 KB a second."""

OURS = ("runback.", "keras.")
"""The beginnings of the names of what every project may build."""

_VARIABLE = re.compile(r"\$\{oc\.env:(\w+)(?:,([^${}]*))?\}")

_OUTSIDE = re.compile(r"[/~\\]|.*(^|/)\.\.(/|$)|.*://", re.DOTALL)
"""A path that leads out of the folder that one works in, or an address."""


@dataclass(frozen=True)
class Reach:
    """Things outside a config that it refers to: pairs of a name and the dotted key that has it."""

    variables: tuple[tuple[str, str], ...]
    """Variables of the environment."""
    paths: tuple[tuple[str, str], ...]
    """Paths out of the working folder, and addresses."""
    calls: tuple[tuple[str, str], ...]
    """Targets that are neither runback's nor Keras', but some project's own."""


def refuse_harmful(content: bytes, what: str) -> None:
    """Raise InputError for a config's text, not yet parsed, that would take long or call a resolver.

    That is one with aliases or types of YAML's, too large, too deep, or with an interpolation of another
    kind than references to its own keys and to the environment. `what` opens the message.
    """
    if len(content) > MAX_BYTES:
        raise InputError(f"{what} has {len(content):,} bytes; expected at most {MAX_BYTES:,}")
    try:
        for event in bounded(content.decode(), what):
            _refuse_event(event, what)
        tree = OmegaConf.to_container(OmegaConf.create(content.decode()))
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{what} is damaged: {' '.join(str(error).split())[:300]}") from error
    refuse_growth(tree, what)


def check(config: DictConfig, what: str) -> None:
    """Raise InputError where a config names a target, or the place of its run, in a way that hides it.

    Neither may be an interpolation: the experiment's name becomes a folder's. `what` opens the message.
    """
    tree = OmegaConf.to_container(config)
    for key, target in _leaves(tree):
        if key.split(".")[-1] == "_target_" and (not isinstance(target, str) or "${" in target):
            raise InputError(f"{what}: {key} must be a plain name; got {target!r}")
    tracking = tree.get("tracking") if isinstance(tree, dict) else None
    for key, text in _leaves(tracking, "tracking."):
        if isinstance(text, str) and "${" in text:
            raise InputError(f"{what}: {key} must be a plain value; got {text!r}")
    _check_experiment(tracking.get("experiment") if isinstance(tracking, dict) else None, what)


def reach(config: DictConfig, what: str) -> Reach:
    """Return what a checked config reaches for; the environment is not read for that.

    Errors: InputError where a reference leads nowhere.
    """
    raw = OmegaConf.to_container(config)
    named = [(name, key) for key, names in interpolation.variables(raw).items() for name in names]
    try:
        tree = OmegaConf.to_container(OmegaConf.create(_without_environment(raw)), resolve=True)
    except (OmegaConfBaseException, RecursionError) as error:
        raise InputError(f"{what} cannot be used: {(str(error).splitlines() or [''])[0]}") from error
    texts = [(text, key) for key, text in _leaves(tree) if isinstance(text, str)]
    return Reach(
        tuple(named),
        tuple((text, key) for text, key in texts if not _is_target(key) and _OUTSIDE.match(text)),
        tuple((text, key) for text, key in texts if _is_target(key) and not text.startswith(OURS)),
    )


def _without_environment(tree: Any) -> Any:
    """Return a config's tree with a variable's default, or its name, for each that is read."""
    if isinstance(tree, dict):
        return {key: _without_environment(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_without_environment(value) for value in tree]
    return _VARIABLE.sub(lambda match: match[2] or match[1], tree) if isinstance(tree, str) else tree


def _refuse_event(event: Any, what: str) -> None:
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise InputError(f"{what} has an alias of YAML's, which runback writes into none")
    if getattr(event, "tag", None):
        raise InputError(f"{what} has a tag of YAML's, {event.tag}, which runback writes into none")
    for _, found in interpolation.foreign(getattr(event, "value", ""), environment=True):
        raise InputError(
            f"{what} uses the interpolation {found!r}: expected none but references to its own keys and to "
            "the environment"
        )


def _check_experiment(name: Any, what: str) -> None:
    if name is None:
        return
    if not isinstance(name, str):
        raise InputError(f"{what}: tracking.experiment must be a printable name; got {str(name)[:100]!r}")
    folder_name(name, f"{what}: tracking.experiment")


def _is_target(key: str) -> bool:
    return key.rpartition(".")[2] == "_target_"


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _leaves(value, f"{prefix}{key}.")
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from _leaves(value, f"{prefix}{index}.")
    else:
        yield prefix.removesuffix("."), tree
