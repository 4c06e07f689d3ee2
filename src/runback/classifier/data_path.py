"""Makes paths in a config absolute: run, sweep and evaluation mean the same files from any folder."""

import copy
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from runback.classifier.data.image_cache import absolute

KEYS: dict[str, str | tuple[str, ...]] = {
    "data.path": "",
    "model.weights": (".weights.h5", ".h5", ".hdf5", ".keras"),
}
"""The keys that may hold a path, and how a value ends that is one; anything does where that is empty."""


def with_absolute_path(cfg: DictConfig) -> DictConfig:
    """Return a config whose paths are absolute; one that stands for a variable stays as it is.

    Raises DataError where one begins with the home of nobody.
    """
    changed = cfg
    for key in KEYS:
        group, _, name = key.partition(".")
        part = cfg.get(group)
        path = part.get(name) if isinstance(part, DictConfig) else None
        if _is_relative(key, path) and not OmegaConf.is_interpolation(part, name):
            changed = copy.deepcopy(cfg) if changed is cfg else changed
            OmegaConf.update(changed, key, str(absolute(Path(path), key)))  # type: ignore[arg-type]
    return changed


def with_absolute_override(override: str) -> str:
    """Return an override of a path with an absolute path; all other overrides as they are."""
    key = override.lstrip("+").partition("=")[0]
    if key not in KEYS:
        return override
    try:
        value = OverridesParser.create().parse_override(override).value()
    except HydraException:
        return override
    path = value.text if isinstance(value, QuotedString) else value
    if not _is_relative(key, path) or "${" in path:  # type: ignore[operator]
        return override
    quoted = QuotedString(str(absolute(Path(path), key)), Quote.single).with_quotes()  # type: ignore[arg-type]
    return f"{override.partition('=')[0]}={quoted}"


def _is_relative(key: str, value: object) -> bool:
    return isinstance(value, str) and value.endswith(KEYS[key]) and not Path(value).is_absolute()
