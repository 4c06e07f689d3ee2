"""Refuses an override whose text a config of texts would change: 1e3 is read as a number, 1000.0."""

from collections.abc import Iterable

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from runback.errors import InputError
from runback.system.config.override_error import quoted_override


def refuse_changed_text(overrides: Iterable[str], config: DictConfig) -> None:
    """Raise InputError where a config, composed with these overrides, has another text than was written."""
    parser = OverridesParser.create()
    for one in overrides:
        override = parser.parse_override(one)
        if not isinstance(override.value(), bool | int | float):
            continue
        key, _, written = one.partition("=")
        found = OmegaConf.select(config, key.lstrip("+"), throw_on_resolution_failure=False)
        if isinstance(found, str) and found != written.strip():
            raise InputError(
                f"{key.lstrip('+')} is a text, and {written.strip()} is read as a number or a truth value: "
                f"quote it: {quoted_override(key, written.strip())}"
            )
