"""Builds what a config names by `_target_`: what `allowed` lists, or a project's own modules define."""

import functools
import importlib
import inspect
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError, validate_call

from runback.errors import InputError
from runback.system.config import allowed
from runback.system.text.excerpt import telling_line
from runback.system.text.listing import nearest

TARGET = "_target_"

DEEPEST = 20
"""Levels that a config's groups may have."""

SERIALIZED = frozenset({"class_name", "registered_name"})
"""Keys by which Keras knows a dict that it builds an object from."""

REFUSED = (TypeError, ValueError, KeyError, NotImplementedError)
"""Exceptions of a function for an argument that it does not take."""

REFUSED_BY_LIBRARIES = (*REFUSED, ArithmeticError, AssertionError, AttributeError, LookupError)
"""Exceptions of Keras and Optuna for an argument that they do not take."""

EXPECTED: Mapping[str, str] = {
    "model": "a network, as runback.classifier.models.deep_cnn.deep_cnn",
    "data": "a data source, as runback.classifier.data.digits.load",
    "optimizer": "an optimizer, as keras.optimizers.Adam",
    "schedule": "a schedule, as runback.classifier.training.schedule.cosine",
    "augmentation": "a layer, as keras.layers.RandomFlip",
    "hydra.sweeper.sampler": "a sampler, as optuna.samplers.TPESampler",
    "hydra.sweeper.pruner": "a pruner, as optuna.pruners.MedianPruner",
}
"""The noun for the parts of each group, for messages."""


def declared_modules(root: Path) -> tuple[str, ...]:
    """Return the modules that a project lets configs name: [tool.runback] modules in its pyproject.toml.

    Errors: InputError when that is no list of module names, or names one that is not the project's own.
    """
    path = root / "pyproject.toml"
    if not path.is_file():
        return ()
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is no TOML: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    for name in ("tool", "runback"):
        table = table.get(name, {})
        if not isinstance(table, dict):
            raise InputError(f"{path}: [tool.runback] must be a table; got {_shown(table)}")
    modules = table.get("modules", [])
    if not isinstance(modules, list) or not all(isinstance(m, str) and m.isidentifier() for m in modules):
        raise InputError(
            f"{path}: [tool.runback] modules must be a list of top-level module names; got {modules!r}"
        )
    for name in modules:
        if name in sys.stdlib_module_names or name in allowed.NOT_THE_PROJECTS_OWN or name.startswith("_"):
            raise InputError(f"{path}: [tool.runback] modules are the project's own; {name} is not")
    return tuple(modules)


def check(spec: Any, where: str, declared: tuple[str, ...] = ()) -> None:
    """Refuse a config group in which a `_target_` is not allowed where it stands. Imports nothing.

    `spec` is a tree of mappings and lists; `where` is the group, or a part of one, as
    `augmentation.layers.0`; `declared` are the module names that the project allows. Errors: InputError.
    """
    _check(spec, where, declared, inner=False)


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

    `where` names the config group, which decides what may be named. The whole of `spec` is checked before
    anything is called. Nested mappings that have a `_target_` are built first. For `known_as`, `blamed` and
    errors see `call`.
    """
    if not isinstance(spec, Mapping) or TARGET not in spec:
        raise InputError(f"{where} must name {EXPECTED[_group(where)]}, by {TARGET}; got {_shown(spec)}")
    check(spec, where, declared)
    return _build(spec, where, declared, inner=False, known_as=known_as, blamed=blamed, given=given)


def call(
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    *,
    where: str,
    name: str | None = None,
    known_as: Mapping[str, str] | None = None,
    blamed: type[InputError] = InputError,
    **given: Any,
) -> Any:
    """Call a function or a class with what a config says and with `given`.

    A function's annotations are enforced (pydantic), a constructor's own checks are trusted. `where` names
    the config group in messages, `name` the function, and `known_as` the config key of a given argument that
    has one. Errors: InputError; `blamed`, one of them, for what the call itself raises.
    """
    name = name or f"{function.__module__}.{function.__qualname__}"
    unset = [key for key, value in arguments.items() if isinstance(value, str) and value == "???"]
    if unset:
        raise InputError(f"{where}.{unset[0]} must be set: it has no default")
    unknown = _unknown_arguments(function, arguments)
    if unknown:
        key, match = unknown
        hint = f"; did you mean '{where}.{match}'?" if match else ""
        raise InputError(f"{where}.{key}: {name} has no such parameter{hint}")
    refused = REFUSED_BY_LIBRARIES if name.startswith(("keras.", "optuna.")) else REFUSED
    written = {f"{where}.{key}": key for key in arguments} | {
        key: one for one, key in (known_as or {}).items()
    }
    checked = function if inspect.isclass(function) else _checked(function, written, {**arguments, **given})
    try:
        return checked(**arguments, **given)
    except ValidationError as error:
        raise InputError(_invalid(error, where, known_as or {})) from error
    except refused as error:
        raise blamed(f"{where}: {name}: {telling_line(error)}") from error


def resolve(path: Any, where: str, declared: tuple[str, ...] = ()) -> Callable[..., Any]:
    """Return the function or class that a `_target_` names, imported. Errors: InputError."""
    _check_name(path, where, declared, inner=False)
    return _resolved(path, where, declared)


def _check(value: Any, where: str, declared: tuple[str, ...], *, inner: bool, depth: int = 0) -> None:
    if depth > DEEPEST:
        raise InputError(f"{where.split('.')[0]} is nested more than {DEEPEST} levels deep")
    if isinstance(value, Mapping):
        if TARGET in value:
            _check_name(value[TARGET], where, declared, inner=inner)
            _check_parameters(value, where)
            inner = True
        elif SERIALIZED & value.keys():
            raise InputError(
                f"{where}: an object is named by {TARGET}, not by {min(SERIALIZED & value.keys())}; "
                f"got {_shown(dict(value))}"
            )
    for key, part in _parts(value):
        _check(part, _at(where, key), declared, inner=inner, depth=depth + 1)


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, list | tuple):
        yield from enumerate(value)


def _check_parameters(spec: Mapping[Any, Any], where: str) -> None:
    for key in spec:
        if not isinstance(key, str) or not key.isidentifier():
            raise InputError(f"{where}: expected the name of a parameter; got {_shown(key)}")


def _check_name(path: Any, where: str, declared: tuple[str, ...], *, inner: bool) -> None:
    group = _group(where)
    listed = (allowed.INNER if inner else allowed.GROUPS)[group]
    if isinstance(path, str) and (path in listed or (not inner and _in_own_module(path, declared))):
        return
    library = "Optuna" if group.startswith("hydra.") else "Keras"
    expected = f"one of the parts of {library} that may stand in arguments" if inner else EXPECTED[group]
    own = "" if inner or library == "Optuna" else ", or what a module under [tool.runback] modules defines"
    raise InputError(
        f"{where}: {TARGET} {_shown(path)} is not allowed: expected {expected}{own}{_hint(path, listed)}"
    )


def _in_own_module(path: str, declared: tuple[str, ...]) -> bool:
    parts = path.split(".")
    named = len(parts) > 1 and all(part.isidentifier() and not part.startswith("_") for part in parts)
    return named and parts[0] in declared


def _hint(path: Any, listed: frozenset[str]) -> str:
    module, _, name = str(path).rpartition(".")
    names = [one.rpartition(".")[2] for one in listed if one.rpartition(".")[0] == module]
    match = nearest(name[:100], sorted(names))
    return f"; did you mean {module}.{match}?" if match else ""


def _build(
    spec: Mapping[str, Any],
    where: str,
    declared: tuple[str, ...],
    *,
    inner: bool,
    known_as: Mapping[str, str] | None = None,
    blamed: type[InputError] = InputError,
    given: Mapping[str, Any],
) -> Any:
    path = spec[TARGET]
    _check_name(path, where, declared, inner=inner)
    function = _resolved(path, where, declared)
    arguments = {k: _built(v, _at(where, k), declared) for k, v in spec.items() if k != TARGET}
    if path.startswith("keras."):
        _refuse_registered(arguments, where)
    return call(function, arguments, where=where, name=path, known_as=known_as, blamed=blamed, **given)


def _built(value: Any, where: str, declared: tuple[str, ...]) -> Any:
    if isinstance(value, Mapping):
        if TARGET in value:
            return _build(value, where, declared, inner=True, given={})
        return {k: _built(v, _at(where, k), declared) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_built(v, _at(where, i), declared) for i, v in enumerate(value)]
    return value


def _resolved(path: str, where: str, declared: tuple[str, ...]) -> Callable[..., Any]:
    """Import what an allowed name means: an attribute of a module, and of nothing else."""
    module_name, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise InputError(f"{where}: {TARGET} {path}: {error}") from error
        raise InputError(
            f"{where}: {TARGET} {path} does not exist: there is no module {error.name}"
        ) from None
    found: Any = getattr(module, name, None)
    if found is None:
        match = nearest(name, dir(module))
        hint = f"; did you mean {module_name}.{match}?" if match else ""
        raise InputError(f"{where}: {TARGET} {path} does not exist{hint}")
    if path.split(".")[0] in declared:
        _refuse_what_is_not_own(found, path, where, declared)
    return found  # type: ignore[no-any-return]


def _refuse_what_is_not_own(found: Any, path: str, where: str, declared: tuple[str, ...]) -> None:
    """Refuse what a project's module only imports, and what is no function or class."""
    is_callable = inspect.isfunction(found) or inspect.isclass(found)
    if not is_callable or str(found.__module__).split(".")[0] not in declared:
        raise InputError(
            f"{where}: {TARGET} {path} is not a function or class that {' or '.join(declared)} defines"
        )
    if inspect.isclass(found) and (unsafe := unsafe_layer(found)):
        raise InputError(f"{where}: {TARGET} {path} is not allowed: it descends from keras.layers.{unsafe}")


def unsafe_layer(found: type) -> str | None:
    """Return which layer that runs or reads what it is given a class descends from; None: from none."""
    keras = sys.modules.get("keras")  # a class that descends from one has imported it
    if keras is None:
        return None
    return next(
        (name for name in allowed.UNSAFE_LAYERS if issubclass(found, getattr(keras.layers, name))), None
    )


def _refuse_registered(arguments: Any, where: str) -> None:
    """Refuse the name of a registered object: Keras would build that where it takes a name of its own."""
    registered = sys.modules["keras"].saving.get_custom_objects()
    for key, value in _parts(arguments):
        if isinstance(value, str) and value in registered:
            raise InputError(f"{_at(where, key)}: an object is named by {TARGET}; got {_shown(value)}")
        _refuse_registered(value, _at(where, key))


def _group(where: str) -> str:
    return next(group for group in allowed.GROUPS if f"{where}.".startswith(f"{group}."))


def _at(where: str, key: Any) -> str:
    plain = isinstance(key, int) or (isinstance(key, str) and key.isidentifier() and len(key) < 60)
    return f"{where}.{key if plain else _shown(key)}"


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def _invalid(error: ValidationError, where: str, known_as: Mapping[str, str]) -> str:
    first = error.errors()[0]
    key = ".".join([where, *(str(part) for part in first["loc"])])
    key = known_as.get(str(first["loc"][0]), key)
    return f"{key}: {first['msg'][:1].lower()}{first['msg'][1:]}; got {first['input']!r:.200}"


def _checked(
    function: Callable[..., Any], written: Mapping[str, str], arguments: Mapping[str, Any]
) -> Callable[..., Any]:
    """Return a function that gets what its annotations say, and no number for a true or a false.

    `written` are the config keys of those arguments that have one.
    """

    @functools.wraps(function)
    def exactly(*args: Any, **kwargs: Any) -> Any:
        received = signature.bind(*args, **kwargs).arguments
        for key, name in written.items():
            if _is_counted(arguments.get(name), received.get(name)):
                raise InputError(f"{key}: expected a number; got {_shown(arguments[name]).lower()}")
        return function(*args, **kwargs)

    signature = inspect.signature(function)
    return validate_call(config=ConfigDict(arbitrary_types_allowed=True))(exactly)


def _is_counted(value: Any, received: Any) -> bool:
    """Tell whether validation has made a number of true or false, at any depth."""
    if isinstance(value, bool):
        return isinstance(received, int | float) and not isinstance(received, bool)
    if isinstance(value, list | tuple) and isinstance(received, list | tuple):
        return any(map(_is_counted, value, received))
    if isinstance(value, Mapping) and isinstance(received, Mapping):
        return any(_is_counted(part, received.get(key)) for key, part in value.items())
    return False


def _unknown_arguments(
    target: Callable[..., Any], arguments: Mapping[str, Any]
) -> tuple[str, str | None] | None:
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return None
    for name in arguments:
        if name not in parameters:
            return name, nearest(name, parameters)
    return None
