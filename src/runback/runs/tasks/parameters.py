"""A task's parameters: names, types, defaults and bounds, as its function declares them."""

import dataclasses
import enum
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

from omegaconf import MISSING
from pydantic import ConfigDict, TypeAdapter, ValidationError

from runback.errors import InputError

SCALARS = (int, float, bool, str, Path)

RESERVED = ("run", "hydra")
"""The keys of a task's config that are no parameters."""

KINDS = (
    "int, float, bool, str, Path, an Enum, a Literal, a list, tuple or dict of them, a dataclass, or any of "
    "these with | None"
)


@dataclass(frozen=True)
class Parameters:
    """The keyword parameters of a task's function."""

    schema: type
    """A dataclass with a field for each, of types that Hydra checks overrides against."""
    types: Mapping[str, Any]
    """The types as they were declared, with their bounds."""

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Self:
        """Return the parameters of a function whose first parameter is the run.

        Errors: InputError for a function that is no task.
        """
        name = getattr(function, "__name__", str(function))
        _run, *others = _signature(function, name)
        try:
            hints = typing.get_type_hints(function, include_extras=True)
        except (NameError, TypeError) as error:
            raise InputError(f"task {name}: a parameter's type cannot be read: {error}") from error
        declared = {}
        fields = []
        for one in others:
            if one.name not in hints:
                raise InputError(f"task {name}: parameter {one.name} has no type: write {_typed(one)}")
            declared[one.name] = hints[one.name]
            kind = _schema_type(hints[one.name], f"task {name}: parameter {one.name}")
            fields.append((one.name, kind, _default(one.default)))
        schema = dataclasses.make_dataclass(f"{name}_parameters", fields)
        parameters = cls(schema, declared)
        parameters._check_defaults(name, others)
        return parameters

    def arguments(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the function's keyword arguments from a resolved config, each of its declared type.

        Errors: InputError for a value that is missing, of another type or out of its bounds.
        """
        return {name: self._argument(name, config.get(name, MISSING)) for name in self.types}

    def _argument(self, name: str, value: Any) -> Any:
        if isinstance(value, str) and value == MISSING:
            raise InputError(f"{name} must be set: it has no default")
        plain = _without_members(value)
        try:
            return _converted(self.types[name], value, name)
        except InputError:
            if plain == value:
                raise
            return _converted(self.types[name], plain, name)

    def _check_defaults(self, task: str, parameters: list[inspect.Parameter]) -> None:
        for one in parameters:
            if one.default is not inspect.Parameter.empty:
                _converted(self.types[one.name], one.default, f"task {task}: the default of {one.name}")


def _without_members(value: Any) -> Any:
    """Return a part of a config with the values of its enumerations' members.

    A member from another process may be of a script that was loaded by another name there.
    """
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: _without_members(one) for key, one in value.items()}
    return [_without_members(one) for one in value] if isinstance(value, list) else value


def _signature(function: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    """Return a task's parameters, the run first. Errors: InputError."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise InputError(f"task {name} is async, and is not awaited: write def {name}(…)")
    if inspect.isgeneratorfunction(function):
        raise InputError(f"task {name} yields: write a function that returns its objective's value")
    parameters = list(inspect.signature(function).parameters.values())
    example = f"def {name}(run: runback.Run, *, learning_rate: float = 1e-3)"
    if not parameters or parameters[0].kind in (parameters[0].KEYWORD_ONLY, parameters[0].VAR_KEYWORD):
        raise InputError(f"task {name} must take the run first, as in {example}")
    for one in parameters[1:]:
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD, one.POSITIONAL_ONLY):
            raise InputError(f"task {name}: parameter {one} has no name on the command line; see {example}")
        if one.name in RESERVED:
            raise InputError(f"task {name}: no parameter can be called {one.name}: choose another name")
    return parameters


def _typed(parameter: inspect.Parameter) -> str:
    """Return how a parameter's type is written, guessed from its default."""
    if parameter.default is parameter.empty:
        return f"{parameter.name}: float"
    default = parameter.default
    kind = "str | None" if default is None else type(default).__name__
    return f"{parameter.name}: {kind} = {default!r:.60}"


def _default(value: Any) -> Any:
    if value is inspect.Parameter.empty:
        return MISSING
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        tree = _tree(value)
        return dataclasses.field(default_factory=lambda: tree)
    if isinstance(value, list | dict | tuple):
        copied = list(value) if isinstance(value, tuple) else value
        return dataclasses.field(default_factory=lambda: copied.copy())
    return value


def _tree(value: Any) -> Any:
    """Return a dataclass's instance as one of the schema that stands for its type."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _nested(type(value))(
            **{one.name: _tree(getattr(value, one.name)) for one in dataclasses.fields(value)}
        )
    return list(value) if isinstance(value, tuple) else value


def _schema_type(kind: Any, what: str) -> Any:
    """Return the type that OmegaConf checks values of a declared type against. Errors: InputError."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _schema_type(arguments[0], what)
    if kind is Any or kind in SCALARS or (isinstance(kind, type) and issubclass(kind, enum.Enum)):
        return kind
    if origin is Literal:
        kinds = {type(value) for value in arguments}
        return kinds.pop() if len(kinds) == 1 and kinds <= {int, str, bool} else Any
    if origin in (Union, types.UnionType):
        return _union(arguments, what)
    if kind in (list, tuple, dict):
        return list[Any] if kind is not dict else dict[str, Any]
    if origin in (list, tuple):
        inner = {argument for argument in arguments if argument is not Ellipsis}
        return list[_schema_type(inner.pop(), what)] if len(inner) == 1 else list[Any]  # type: ignore[misc]
    if origin is dict:
        return dict[arguments[0], _schema_type(arguments[1], what)]  # type: ignore[misc, valid-type]
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _nested(kind)
    raise InputError(f"{what} must have a type that a config can hold ({KINDS}); got {_name(kind)}")


def _union(arguments: tuple[Any, ...], what: str) -> Any:
    """Return the type of one or several alternatives, with None among them or not."""
    others = [one for one in arguments if one is not types.NoneType]
    alone = [_schema_type(one, what) for one in others]
    kind = alone[0] if len(alone) == 1 else Any
    return kind | None if len(others) < len(arguments) and kind is not Any else kind


@functools.cache
def _nested(kind: type) -> type:
    """Return the schema that stands for a dataclass."""
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = []
    for one in dataclasses.fields(kind):
        default: Any = MISSING
        if one.default is not dataclasses.MISSING:
            default = _default(one.default)
        elif one.default_factory is not dataclasses.MISSING:
            default = _default(one.default_factory())
        fields.append((one.name, _schema_type(hints[one.name], f"{kind.__name__}.{one.name}"), default))
    return dataclasses.make_dataclass(kind.__name__, fields)


def _converted(kind: Any, value: Any, what: str) -> Any:
    """Return a value as one of the declared type. Errors: InputError, which `what` opens."""
    try:
        adapter = TypeAdapter(kind, config=None if _has_config(kind) else ConfigDict(extra="forbid"))
        return adapter.validate_python(value)
    except TypeError as error:  # bounds of another type than the value's, or a dataclass's own
        raise InputError(f"{what}: {error}; got {value!r:.100}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join([what, *(str(part) for part in first["loc"] if isinstance(part, str | int))])
        message = first["msg"][:1].lower() + first["msg"][1:]
        raise InputError(f"{where}: {message}; got {first['input']!r:.100}") from error


def _has_config(kind: Any) -> bool:
    """Tell whether a type brings pydantic's settings itself, and takes none."""
    inner = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return dataclasses.is_dataclass(inner) or hasattr(inner, "model_config")


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", None) or str(kind)
