"""The config that a script gives to `runback.start`, with the keys that every run has."""

import argparse
import dataclasses
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runback.errors import InputError
from runback.system.config.config_error import config_error

GIVEN = "runback.start takes a config of Hydra, a dict, a dataclass or an argparse.Namespace"


def given_config(config: Any, experiment: str, threads: int | None = None) -> DictConfig:
    """Return a config with `run.seed`, `run.threads` and `run.experiment`, where it has none by default.

    The default seed is the config's own `seed`, else 0. `threads` replaces the config's. Errors: InputError
    for what no config can hold.
    """
    tree = _tree(config)
    own = tree.get("run")
    if own is not None and not isinstance(own, Mapping):
        raise InputError(
            "the config's key run holds run.seed, run.threads and run.experiment: give "
            f"yours another name; got run={own!r:.100}"
        )
    run = {"seed": _seed(tree), "threads": None, "experiment": experiment, **(own or {})}
    if threads is not None:
        run["threads"] = threads
    try:
        return OmegaConf.create({**tree, "run": run})
    except (OmegaConfBaseException, RecursionError) as error:
        raise InputError(f"{GIVEN}: {config_error(error)}") from error


def _tree(config: Any) -> dict[str, Any]:
    if config is None:
        return {}
    if isinstance(config, DictConfig):
        return _container(config)
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        config = {one.name: getattr(config, one.name) for one in dataclasses.fields(config)}
    elif isinstance(config, argparse.Namespace):
        config = vars(config)
    if not isinstance(config, Mapping):
        raise InputError(f"{GIVEN}; got a {type(config).__name__}")
    return {str(key): _plain(value, str(key)) for key, value in config.items()}


def _container(config: DictConfig) -> dict[str, Any]:
    tree = OmegaConf.to_container(config)
    return {str(key): value for key, value in tree.items()} if isinstance(tree, dict) else {}


def _plain(value: Any, key: str) -> Any:
    """Return a value as a config holds it. Errors: InputError, which names its key."""
    if value is None or isinstance(value, bool | int | float | str | Path | Enum):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if OmegaConf.is_config(value):
        return OmegaConf.to_container(value)
    if isinstance(value, Mapping):
        return {name: _plain(one, f"{key}.{name}") for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset | range):
        items = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        return [_plain(one, f"{key}.{index}") for index, one in enumerate(items)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        return _plain(parts, key)
    raise InputError(
        f"{GIVEN}, of numbers, texts, lists and dicts; {key} is a {type(value).__qualname__}: "
        "leave it out of the config, and give data to run.data"
    )


def _seed(tree: Mapping[str, Any]) -> Any:
    """Return a reference to the config's own seed, 0 where it has none."""
    seed = tree.get("seed")
    return "${seed}" if isinstance(seed, int) and not isinstance(seed, bool) else 0
