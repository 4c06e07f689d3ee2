"""Makes data.path absolute: a run, a sweep and an evaluation from another folder mean the same images."""

import copy
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from runback.classifier.data.image_cache import absolute

KEY = "data.path"


def with_absolute_path(cfg: DictConfig) -> DictConfig:
    """Return a config whose data.path is absolute; one that stands for a variable stays as it is.

    Raises DataError where it begins with the home of nobody.
    """
    data = cfg.get("data")
    path = data.get("path") if isinstance(data, DictConfig) else None
    if not isinstance(path, str) or OmegaConf.is_interpolation(data, "path") or Path(path).is_absolute():
        return cfg
    changed = copy.deepcopy(cfg)
    changed.data.path = str(absolute(Path(path)))
    return changed


def with_absolute_override(override: str) -> str:
    """Return an override of data.path with an absolute path; all other overrides as they are."""
    if not override.lstrip("+").startswith(f"{KEY}="):
        return override
    try:
        value = OverridesParser.create().parse_override(override).value()
    except HydraException:
        return override
    path = value.text if isinstance(value, QuotedString) else value
    if not isinstance(path, str) or "${" in path or Path(path).is_absolute():
        return override
    quoted = QuotedString(str(absolute(Path(path))), Quote.single).with_quotes()
    return f"{override.partition('=')[0]}={quoted}"
