"""Makes data.path absolute: a run, a sweep and an evaluation from another folder mean the same images.

On the command line it is relative to the working directory, in a config file to the project's folder.
"""

import copy
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from runback.classifier.data.image_cache import absolute
from runback.errors import DataError

KEY = "data.path"


def with_absolute_path(cfg: DictConfig, root: Path) -> DictConfig:
    """Return a config whose data.path is absolute; one that stands for a variable stays as it is.

    Raises DataError where it begins with the home of nobody.
    """
    data = cfg.get("data")
    if not isinstance(data, DictConfig) or OmegaConf.is_interpolation(data, "path"):
        return cfg
    path = data.get("path")
    if path == "":
        raise DataError(f"{KEY}: expected a path; got nothing; null is none")
    if not isinstance(path, str) or Path(path).is_absolute():
        return cfg
    changed = copy.deepcopy(cfg)
    changed.data.path = str(absolute(Path(path), root))
    return changed


def with_absolute_override(override: str) -> str:
    """Return an override of data.path with absolute paths; all other overrides as they are."""
    key, equals, _ = override.partition("=")
    if not equals or key.lstrip("+") != KEY:
        return override
    try:
        value = OverridesParser.create().parse_override(override).value()
    except HydraException:
        return override
    if isinstance(value, int | float):  # a folder called 2024, or true
        value = override.partition("=")[2]
    values = value.list if isinstance(value, ChoiceSweep) and not (value.tags or value.shuffle) else [value]
    paths = [_path(one) for one in values]
    if None in paths or all(Path(path or "").is_absolute() for path in paths):
        return override
    return f"{key}={','.join(_quoted(path) for path in paths if path is not None)}"


def _path(value: Any) -> str | None:
    """Return what a value names; None where it is no path, or stands for a variable."""
    path = value.text if isinstance(value, QuotedString) else value
    return path if isinstance(path, str) and path and "${" not in path else None


def _quoted(path: str) -> str:
    return QuotedString(str(absolute(Path(path))), Quote.single).with_quotes()
