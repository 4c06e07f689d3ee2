"""Secrets in configs, and in the overrides that change them."""

import re
from collections.abc import Iterator
from typing import Any

from runback.system.secrecy.redaction import WITH_DEFAULT, redacted
from runback.system.secrecy.secret_formats import HIDDEN
from runback.system.secrecy.secret_names import is_strong, secret_key, secret_variable
from runback.system.secrecy.secret_values import SHORTEST, remember

_INTERPOLATION = re.compile(r"\$\{(?:[^{}]|\{[^{}]*\})*\}")
_ADDRESS_KEYS = re.compile(r"dsn|url|uri|conn", re.IGNORECASE)


def masked(tree: Any) -> tuple[Any, list[str]]:
    """Return a config with `***` in place of what is secret in it, and the dotted keys of what was.

    Secret is what stands under the name of a secret, at any depth, and what `redacted` hides in texts.
    References to other keys, and to the environment, stay; a default beside a secret variable does not.
    """
    _remember_secrets(tree)
    left_out: list[str] = []
    return _masked(tree, "", left_out), left_out


def masked_override(override: str) -> str:
    """Return an override of Hydra's without its secrets: `+model.api_key=***`."""
    key, sign, value = override.partition("=")
    if not sign:
        return redacted(override)
    name = key.lstrip("+~").partition("@")[0].replace("/", ".")
    plain = value.strip().strip("'\"")
    if secret_key(name, _parsed(plain)) and not _is_reference(plain) and plain != HIDDEN:
        return f"{key}={HIDDEN}"
    return f"{key}={redacted(_without_defaults(value, name))}"


def left_out(tree: Any) -> list[str]:
    """Return the dotted keys of the values in a config, as it was written, that `masked` has hidden."""
    return [key for key, value in _leaves(tree, "") if isinstance(value, str) and HIDDEN in value]


def _remember_secrets(tree: Any) -> None:
    for key, value in _leaves(tree, ""):
        text = str(value)
        for variable, default in WITH_DEFAULT.findall(text):
            if secret_variable(variable) or secret_key(key):
                remember(default)
        if not secret_key(key, value) or _INTERPOLATION.search(text):
            continue
        if is_strong(key) or len(text) >= SHORTEST:
            remember(text)


def _masked(node: Any, path: str, left_out: list[str]) -> Any:
    if isinstance(node, dict):
        pairs = ((_shown_key(key), _masked(value, _join(path, key), left_out)) for key, value in node.items())
        return dict(pairs)
    if isinstance(node, list | tuple):
        return [_masked(value, _join(path, index), left_out) for index, value in enumerate(node)]
    masked_value = _leaf(node, path)
    if masked_value != node and HIDDEN in str(masked_value):
        left_out.append(path)
    return masked_value


def _shown_key(key: Any) -> Any:
    return redacted(key) if isinstance(key, str) else key


def _leaf(value: Any, path: str) -> Any:
    if path.endswith("_target_") or value in ("", "???"):
        return value
    if not isinstance(value, str):
        return HIDDEN if secret_key(path, value) else value
    text = _without_defaults(value, path)
    if not secret_key(path, value) or _is_reference(text):
        return redacted(text)
    if _INTERPOLATION.search(text) and _ADDRESS_KEYS.search(path):
        return redacted(text)  # an address whose password comes from elsewhere
    return HIDDEN


def _without_defaults(text: str, key: str) -> str:
    def bare(match: re.Match[str]) -> str:
        is_secret = secret_variable(match[1]) or secret_key(key)
        return f"${{oc.env:{match[1]}}}" if is_secret else match[0]

    return WITH_DEFAULT.sub(bare, text)


def _is_reference(text: str) -> bool:
    return _INTERPOLATION.fullmatch(text) is not None


def _parsed(text: str) -> object:
    """Return a value as far as it matters here: nothing, yes or no, a number, or a text."""
    if text.lower() in ("null", "none", "true", "false", ""):
        return None
    try:
        return float(text)
    except ValueError:
        return text


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict | list | tuple):
        pairs = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in pairs:
            yield from _leaves(value, _join(path, key))
    else:
        yield path, node


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)
