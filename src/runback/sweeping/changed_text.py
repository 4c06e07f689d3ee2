"""Refuses an override whose text a config of texts would change: 1e3 is read as a number, 1000.0."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, ListConfig, OmegaConf

from runback.errors import InputError
from runback.system.config.override_text import elements, in_shell, with_quotes


def refuse_changed_text(
    overrides: Iterable[str], config: DictConfig, searched: Mapping[str, str] | None = None
) -> None:
    """Raise InputError where a config, composed with these overrides, has another text than was written.

    `searched` has the whole value of each key that is one of several in these overrides.
    """
    parser = OverridesParser.create()
    for one in overrides:
        value = parser.parse_override(one).value()
        key, _, written = one.partition("=")
        changed = [*_changed(written.strip(), value, _found(config, key.lstrip("+")))]
        if changed:
            whole = (searched or {}).get(key, written.strip())
            raise InputError(
                f"{key.lstrip('+')} is a text, and {changed[0]} is read as a number or a truth value: "
                f"quote it: {in_shell(f'{key}={with_quotes(whole, changed.__contains__)}')}"
            )


def _found(config: DictConfig, key: str) -> Any:
    found = OmegaConf.select(config, key, throw_on_resolution_failure=False)
    return OmegaConf.to_container(found) if isinstance(found, DictConfig | ListConfig) else found


def _changed(written: str, value: Any, found: Any) -> Iterator[str]:
    """List the numbers and truth values of what is written that are other texts in the config."""
    if isinstance(value, bool | int | float):
        if isinstance(found, str) and found != written:
            yield written
    elif isinstance(value, list) and isinstance(found, list):
        for piece, one, other in zip(elements(written[1:-1]), value, found, strict=False):
            yield from _changed(piece.strip(), one, other)
    elif isinstance(value, dict) and isinstance(found, dict):
        pieces = [piece.partition(":")[2].strip() for piece in elements(written[1:-1])]
        for piece, (key, one) in zip(pieces, value.items(), strict=False):
            yield from _changed(piece, one, found.get(key))
