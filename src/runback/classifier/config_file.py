"""Reads a config file that somebody else may have written: it sets the app's own keys, and does nothing else.

Hydra takes such a file for a part of the config that it composes. What it would do besides, by keys like
`hydra.callbacks` or by resolvers in values, is refused before it sees the file.
"""

import dataclasses
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runback.classifier.train_config import TrainConfig
from runback.errors import InputError
from runback.system.config.config_bounds import bounded, refuse_growth
from runback.system.config.interpolation import foreign
from runback.system.text.listing import did_you_mean

LARGEST = 256 * 1024
"""Bytes."""

KEYS = tuple(field.name for field in dataclasses.fields(TrainConfig))
"""The app's own."""

DOWNLOADS = ("url", "sha256")
"""Keys of a data source that say what it downloads."""

_CHOICE = re.compile(r"(?:override )?/?(?P<group>\w+)(?:@(?P<package>\w+)(?:\.\w+)*)?")
"""A key of a defaults list: a config group, no part of one, and where its choice goes."""

_OWN_REFERENCE = re.compile(rf"\$\{{(?:\.\w|(?:{'|'.join(KEYS)})\b)")
"""The start of a reference to a key of the app's or to a neighbour."""

_NAME = re.compile(r"\w[\w-]*(?:\.[\w-]+)*")
"""A choice: a file's name without .yaml."""


def read_config(file: Path) -> DictConfig:
    """Return a file that sets keys of `TrainConfig` and names choices of their groups. Errors: InputError."""
    text = _text(file)
    try:
        _check_form(text)
        config = OmegaConf.create(text)
        content = OmegaConf.to_container(config)
    except InputError as error:
        raise InputError(f"the config {file}: {error}") from None
    except yaml.YAMLError as error:
        raise InputError(f"cannot read the config {file}: {_problem(error)}") from error
    except (OmegaConfBaseException, ValueError, RecursionError) as error:
        raise InputError(f"cannot read the config {file}: {str(error).splitlines()[0]:.200}") from error
    if not text.strip() or not isinstance(config, DictConfig) or not isinstance(content, dict):
        raise InputError(f"the config {file} must hold keys and values")
    try:
        _check_content(content)
    except InputError as error:
        raise InputError(f"the config {file}: {error}") from None
    return config


def _text(file: Path) -> str:
    """Return the text of an ordinary file of a moderate size; anything else could keep us waiting."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:  # noqa: PTH123 - of a descriptor
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InputError(f"cannot read the config {file}: it is no ordinary file")
            content = stream.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot read the config {file}: {reason}") from error
    if len(content) > LARGEST:
        raise InputError(f"cannot read the config {file}: it is larger than {LARGEST // 1024} KiB")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise InputError(f"cannot read the config {file}: it is no text in UTF-8") from None


def _check_form(text: str) -> None:
    """Refuse what YAML can do besides keys and values, and what is too much of these."""
    for event in bounded(text, "it"):
        if getattr(event, "anchor", None) is not None:
            raise InputError(f"{_line(event)}: an anchor is not allowed; refer to a key by ${{KEY}}")
        if getattr(event, "tag", None) is not None:
            raise InputError(f"{_line(event)}: a tag is not allowed; got {event.tag!a:.80}")


def _line(event: yaml.Event) -> str:
    return f"line {event.start_mark.line + 1}"


def _problem(error: yaml.YAMLError) -> str:
    """Say what is wrong without the text around it."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        context = f"{error.context}: " if error.context else ""
        return f"{context}{error.problem} in line {mark.line + 1}, column {mark.column + 1}"
    return " ".join(str(error).split())


def _check_content(content: Mapping[Any, Any]) -> None:
    unknown = [key for key in content if key not in (*KEYS, "defaults")]
    if unknown:
        hint = did_you_mean(str(unknown[0]), KEYS, f"it may set {', '.join(KEYS)} and defaults")
        raise InputError(f"unknown key {unknown[0]!a:.80}: {hint}")
    for key, value in content.items():
        if key != "defaults":
            _check_keys(value, str(key))
    data = content.get("data")
    addressed = [key for key in DOWNLOADS if isinstance(data, dict) and key in data]
    if addressed:
        raise InputError(
            f"it may not set data.{addressed[0]}, which says what is downloaded; give it on the command line"
        )
    _check_values(content)
    for choice in _choices(content.get("defaults")):
        _check_choice(*choice)


def _check_values(content: Mapping[Any, Any]) -> None:
    used = foreign(content) or _references(content)
    if used:
        key, text = used[0]
        raise InputError(
            f"{key:.80} may refer to other keys only, as ${{seed}}; got {text!a:.80}: "
            "what comes from elsewhere belongs on the command line"
        )
    refuse_growth(content, "it")


def _references(content: Mapping[Any, Any]) -> list[tuple[str, str]]:
    """Return the texts, with the key that they are under, that refer to what is none of the app's keys."""
    texts = [(str(key), text) for key, value in content.items() for text in _texts(value)]
    return [(key, text) for key, text in texts if "${" in _OWN_REFERENCE.sub("", text)]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)
    elif isinstance(value, str):
        yield value


def _check_keys(value: Any, where: str) -> None:
    if isinstance(value, dict):
        for key, part in value.items():
            if not isinstance(key, str | int) or not re.fullmatch(r"-?\w[\w -]*", str(key)):
                raise InputError(f"{where:.80}: no key can be {key!a:.80}")
            _check_keys(part, f"{where}.{key}")
    elif isinstance(value, list):
        for part in value:
            _check_keys(part, where)


def _choices(defaults: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each (group, choice) of a defaults list, which may say `_self_` besides."""
    if defaults is None:
        return
    if not isinstance(defaults, list):
        raise InputError("defaults must be a list")
    for one in defaults:
        if isinstance(one, dict) and len(one) == 1:
            yield from one.items()
        elif one != "_self_":
            raise InputError(
                f"defaults may name choices of groups, as override /model: NAME; got {one!a:.80}"
            )


def _check_choice(group: Any, choice: Any) -> None:
    found = _CHOICE.fullmatch(group) if isinstance(group, str) else None
    fine = found and found["group"] in (*KEYS, "experiment") and found["package"] in (None, *KEYS)
    if not fine:
        raise InputError(f"defaults may name choices of {', '.join(KEYS)} and experiment; got {group!a:.80}")
    if choice is not None and not (isinstance(choice, str) and _NAME.fullmatch(choice)):
        raise InputError(f"defaults: {group:.80} must name a file of conf/; got {choice!a:.80}")
