"""Builds what a config names by `_target_`, from allowed modules only, with type-checked arguments."""

import difflib
import importlib
import inspect
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError, validate_call

from runback.errors import InputError

ALLOWED = (
    "runback.augmentation.",
    "runback.data.",
    "runback.models.",
    "runback.training.",
    "keras.applications.",
    "keras.layers.",
    "keras.initializers.",
    "keras.optimizers.",
    "keras.regularizers.",
)
"""Where a `_target_` may point besides the modules that the project declares in pyproject.toml."""

FORBIDDEN = ("keras.layers.Lambda", "keras.layers.TFSMLayer", "keras.layers.TorchModuleWrapper")
"""These run code or load it from disk; a model that holds one cannot be loaded in safe mode."""


def declared_modules(root: Path) -> tuple[str, ...]:
    """Return the modules that a project lets configs name: [tool.runback] modules in its pyproject.toml.

    Errors: InputError when that is no list of module names.
    """
    path = root / "pyproject.toml"
    if not path.is_file():
        return ()
    try:
        modules = tomllib.loads(path.read_text("utf-8")).get("tool", {}).get("runback", {}).get("modules", [])
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is no TOML: {error}") from error
    if not isinstance(modules, list) or not all(isinstance(m, str) and m.isidentifier() for m in modules):
        raise InputError(
            f"{path}: [tool.runback] modules must be a list of top-level module names; got {modules!r}"
        )
    return tuple(modules)


def check(spec: Any, declared: tuple[str, ...] = ()) -> None:
    """Refuse a config tree in which any `_target_` lies outside the allowed modules. Imports nothing.

    `spec` is a tree of mappings and lists; `declared` are the module names that the project allows.
    """
    if isinstance(spec, Mapping):
        target = spec.get("_target_")
        if target is not None:
            _check_name(target, declared)
        for value in spec.values():
            check(value, declared)
    elif isinstance(spec, list | tuple):
        for value in spec:
            check(value, declared)


def build(
    spec: Mapping[str, Any],
    *,
    where: str,
    declared: tuple[str, ...] = (),
    known_as: Mapping[str, str] | None = None,
    blamed: type[InputError] = InputError,
    **given: Any,
) -> Any:
    """Call what `spec["_target_"]` names with the other keys of `spec` and with `given`.

    Nested mappings that have a `_target_` are built first. A function's annotations are enforced
    (pydantic), a constructor's own checks are trusted. `where` names the config group in messages, and
    `known_as` the config key of a given argument that has one. Errors: InputError; `blamed`, one of them, for
    what the call itself raises.
    """
    target = resolve(str(spec.get("_target_", "")), declared)
    arguments = {k: _built(v, f"{where}.{k}", declared) for k, v in spec.items() if k != "_target_"}
    unset = [key for key, value in arguments.items() if value == "???"]
    if unset:
        raise InputError(f"{where}.{unset[0]} must be set: it has no default")
    unknown = _unknown_arguments(target, arguments)
    if unknown:
        name, nearest = unknown
        hint = f"; did you mean '{where}.{nearest}'?" if nearest else ""
        raise InputError(f"{where}.{name}: {spec['_target_']} has no such parameter{hint}")
    call = target if inspect.isclass(target) else _checked(target)
    try:
        return call(**arguments, **given)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([where, *(str(part) for part in first["loc"])])
        key = (known_as or {}).get(str(first["loc"][0]), key)
        message = first["msg"][:1].lower() + first["msg"][1:]
        raise InputError(f"{key}: {message}; got {first['input']!r}") from error
    except (TypeError, ValueError, KeyError, NotImplementedError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise blamed(f"{where}: {spec['_target_']}: {lines[0]}") from error


def resolve(path: str, declared: tuple[str, ...] = ()) -> Callable[..., Any]:
    """Return the function or class at a dotted path, imported from an allowed module."""
    _check_name(path, declared)
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        module_name = ".".join(parts[:cut])
        try:
            found: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is not None and (module_name + ".").startswith(error.name + "."):
                continue
            raise InputError(f"_target_ {path}: {error}") from error
        try:
            for name in parts[cut:]:
                found = getattr(found, name)
        except AttributeError:
            nearest = difflib.get_close_matches(parts[cut], dir(found), 1)
            hint = f"; did you mean {module_name}.{nearest[0]}?" if nearest else ""
            raise InputError(f"_target_ {path} does not exist{hint}") from None
        # A dotted path may wander through an allowed module into what it imports (`keras.layers.os`).
        home = getattr(found, "__module__", "") or ""
        if not callable(found) or home.split(".")[0] not in {parts[0], *declared}:
            raise InputError(f"_target_ {path} is not a function or class of {parts[0]}")
        return found  # type: ignore[no-any-return]
    raise InputError(f"_target_ {path} does not exist: there is no module {parts[0]}")


def _check_name(path: Any, declared: tuple[str, ...]) -> None:
    allowed = isinstance(path, str) and (
        path.startswith(ALLOWED) or any(path.startswith(f"{name}.") for name in declared)
    )
    if not allowed or path in FORBIDDEN or "._" in path:
        raise InputError(
            f"_target_ {path!r} is not allowed: expected keras layers, optimizers or applications, "
            "runback's own parts, or a module listed under [tool.runback] modules in pyproject.toml"
        )


def _built(value: Any, where: str, declared: tuple[str, ...]) -> Any:
    if isinstance(value, Mapping):
        if "_target_" in value:
            return build(value, where=where, declared=declared)
        return {k: _built(v, f"{where}.{k}", declared) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_built(v, f"{where}.{i}", declared) for i, v in enumerate(value)]
    return value


def _checked(function: Callable[..., Any]) -> Callable[..., Any]:
    return validate_call(config=ConfigDict(arbitrary_types_allowed=True))(function)


def _unknown_arguments(
    target: Callable[..., Any], arguments: dict[str, Any]
) -> tuple[str, str | None] | None:
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return None
    for name in arguments:
        if name not in parameters:
            nearest = difflib.get_close_matches(name, parameters, 1)
            return name, nearest[0] if nearest else None
    return None
