"""Makes paths in a config absolute: run, sweep and evaluation mean the same files from any folder.

On the command line they are relative to the working directory, in a config file to the project's folder.
"""

import copy
import re
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Quote, QuotedString, Transformer
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from runback.classifier.data.image_cache import absolute
from runback.errors import InputError

ADDRESS = re.compile(r"\w+://")
"""The beginning of what is no path of this machine's, for sources of a project's own."""

KEYS: dict[str, str | tuple[str, ...]] = {
    "data.path": "",
    "model.weights": (".weights.h5", ".h5", ".hdf5", ".keras"),
}
"""The keys that may hold a path, and how a value ends that is one; anything does where that is empty."""


def with_absolute_path(cfg: DictConfig, root: Path) -> DictConfig:
    """Return a config whose paths are absolute; one that stands for a variable stays as it is.

    Errors: InputError for a path of no characters, and one that begins with the home of nobody.
    """
    changed = cfg
    for key in KEYS:
        group, _, name = key.partition(".")
        is_set = group in list(cfg) and not OmegaConf.is_missing(cfg, group)
        part = cfg[group] if is_set and not OmegaConf.is_interpolation(cfg, group) else None
        if not isinstance(part, DictConfig) or name not in list(part):
            continue
        if OmegaConf.is_interpolation(part, name) or OmegaConf.is_missing(part, name):
            continue
        path = part.get(name)
        if path == "":
            raise InputError(f"{key}: expected a path; got nothing; null is none")
        if _is_path(key, path) and not Path(path).is_absolute():
            changed = copy.deepcopy(cfg) if changed is cfg else changed
            OmegaConf.update(changed, key, str(absolute(Path(path), root, key)))
    return changed


def with_absolute_override(override: str) -> str:
    """Return an override of a path with absolute paths; all other overrides as they are."""
    key, equals, text = override.partition("=")
    if not equals or key.lstrip("+") not in KEYS:
        return override
    try:
        value = OverridesParser.create().parse_override(override).value()
    except HydraException:
        return override
    if isinstance(value, ChoiceSweep) and not (value.tags or value.shuffle):
        values: list[Any] = value.list
    else:
        values = [text if isinstance(value, int | float) else value]  # a folder called 2024, or true
    paths = [_path(key.lstrip("+"), one) for one in values]
    if all(path is None or Path(path).is_absolute() for path in paths):
        return override
    written = [_written(one, path, key.lstrip("+")) for one, path in zip(values, paths, strict=True)]
    return f"{key}={','.join(written)}"


def _path(key: str, value: Any) -> str | None:
    """Return the path in an element of an override; None where it is none, or stands for a variable."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # a folder called 2024
    path = value.text if isinstance(value, QuotedString) else value
    return path if _is_path(key, path) and "${" not in path else None


def _written(value: Any, path: str | None, key: str) -> str:
    """Write an element of an override, a path as an absolute one."""
    if path is not None:
        return QuotedString(str(absolute(Path(path), key=key)), Quote.single).with_quotes()
    text = value.text if isinstance(value, QuotedString) else value
    return QuotedString(text, Quote.single).with_quotes() if isinstance(text, str) else Transformer.str(value)


def _is_path(key: str, value: Any) -> bool:
    return isinstance(value, str) and value.endswith(KEYS[key]) and not ADDRESS.match(value) and value != ""
