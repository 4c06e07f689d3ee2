"""A run's config as it is written: what comes from the environment as its reference, secrets as `***`."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runback.errors import InputError
from runback.system.config import interpolation
from runback.system.config.config_error import config_error
from runback.system.secrecy import config_secrets as secrets
from runback.system.secrecy import remember, secret_key, secret_variable
from runback.system.secrecy.secret_values import spare
from runback.system.secrecy.url_secrets import password_in

HYDRA_FOLDER = ".hydra"
"""The folder in a run's with the config that Hydra composed for it."""


@dataclass(frozen=True)
class WrittenConfig:
    """A config that can be written and shown."""

    tree: dict[str, Any]
    environment: dict[str, list[str]]
    """The environment variables that it reads, by dotted key."""
    left_out: list[str]
    """The dotted keys of the secrets that it lacks."""


def written(cfg: DictConfig) -> WrittenConfig:
    """Return a config as it is written. Its secrets are known to this process from then on.

    Errors: InputError for what cannot be resolved.
    """
    try:
        tree, reads = interpolation.resolved(cfg)
    except OmegaConfBaseException as error:
        raise InputError(config_error(error)) from error
    spare(_keys(tree))
    _remember_read(reads)
    shown, left_out = secrets.masked(_texts(tree))
    return WrittenConfig(shown, reads, left_out)


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """Return a config with all its values, to be used and never to be written. Errors: InputError."""
    try:
        return OmegaConf.to_container(cfg, resolve=True)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise InputError(config_error(error)) from error


def unresolved(cfg: DictConfig) -> dict[str, Any]:
    """Return a config as it was composed, before any reference in it is followed, without its secrets."""
    return secrets.masked(OmegaConf.to_container(cfg))[0]  # type: ignore[no-any-return]


def written_overrides(overrides: Sequence[str]) -> list[str]:
    """Return Hydra's overrides, of which it keeps a ListConfig, as they were given, without secrets."""
    # Looking at one of a ListConfig would follow the references in it.
    given = OmegaConf.to_container(overrides) if isinstance(overrides, ListConfig) else overrides
    return [secrets.masked_override(str(one)) for one in given]  # type: ignore[union-attr]


def keep_composed(config: DictConfig, folder: Path) -> None:
    """Write what Hydra composed into a run's folder, as Hydra does, without the secrets in it."""
    hydra_folder = folder / HYDRA_FOLDER
    hydra_folder.mkdir(parents=True, exist_ok=True)
    tree = unresolved(config)
    hydra = tree.pop("hydra")
    overrides = written_overrides(config.hydra.overrides.task)
    hydra["overrides"]["task"] = overrides
    for name, content in (("config", tree), ("hydra", {"hydra": hydra}), ("overrides", overrides)):
        (hydra_folder / f"{name}.yaml").write_text(
            OmegaConf.to_yaml(OmegaConf.create(content)), encoding="utf-8"
        )


def refuse_environment(config: WrittenConfig) -> None:
    """Raise InputError where the name of an experiment, which is written, comes from the environment."""
    for key, names in config.environment.items():
        if key.split(".")[0] in ("tracking", "run"):
            raise InputError(
                f"{key} must not come from the environment (here {', '.join(names)}): it names a folder; "
                "give its value"
            )


def refuse_left_out(tree: Mapping[str, Any]) -> None:
    """Raise InputError where a config lacks secrets, because it was read from where it had been written."""
    keys = secrets.left_out(tree)
    if keys:
        # No colon behind a key: what follows one there is taken for its value.
        raise InputError(
            f"the config lacks {', '.join(keys)} because secrets are left out of what is written; a "
            "config that is to be trained again takes them from the environment, as ${oc.env:NAME}"
        )


def _texts(node: Any) -> Any:
    """Return a tree with the text of each path: YAML would write it as an object of Python's."""
    if isinstance(node, dict):
        return {key: _texts(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_texts(value) for value in node]
    return str(node) if isinstance(node, PurePath) else node


def _keys(node: Any) -> set[str]:
    """Return the keys of a config, at every depth."""
    if isinstance(node, dict):
        return {str(key) for key in node}.union(*map(_keys, node.values()))
    return set().union(*map(_keys, node)) if isinstance(node, list | tuple) else set()


def _remember_read(reads: Mapping[str, Sequence[str]]) -> None:
    for key, names in reads.items():
        for name in names:
            value = os.environ.get(name, "")
            if secret_key(key) or secret_variable(name) or password_in(value):
                remember(value)
