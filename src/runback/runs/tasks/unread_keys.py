"""Keys of a config that a task does not read."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from runback.errors import InputError
from runback.system.config.flattening import flatten
from runback.system.text.listing import did_you_mean


def refuse_unread(cfg: DictConfig, schema: type) -> None:
    """Refuse a key that nothing reads, neither a task with this schema nor another key: it was mistyped.

    To be called with the config as it was composed: where references are followed, nothing says who reads.
    """
    raw: dict[str, Any] = OmegaConf.to_container(cfg)  # type: ignore[assignment]
    tree: dict[str, Any] = OmegaConf.to_container(OmegaConf.structured(schema))  # type: ignore[assignment]
    known = [key for key, _ in flatten(tree, branches=True)]
    leaves = tuple(f"{key}." for key, _ in flatten(tree))  # a parameter may be a mapping
    texts = " ".join(str(value) for _, value in flatten(raw))
    for key, _ in flatten(raw, branches=True):
        if key in known or key.startswith(leaves) or f"${{{key}" in texts:
            continue
        raise InputError(f"unknown key '{key}': {did_you_mean(key, known, 'no training reads it')}")
