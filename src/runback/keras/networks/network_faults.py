"""Names the part of a network that cannot be stored or loaded again, and what it lacks."""

import inspect
import json
import warnings
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

import keras

from runback.keras.keras_internals import all_layers
from runback.keras.networks.network_file import CONFIG, is_allowed, registered
from runback.system.config import allowed

PLAIN = (bool, int, float, str, type(None))
"""Types of arguments that can be compared."""

UNCOMPARED = {"name", "seed", "dtype", "trainable", "autocast"}
"""Arguments of Keras' own layers that it draws, counts, or keeps elsewhere."""

LATE = (
    "is registered only while the network is made: define it at the top of its module, and import that at "
    "the top of the model's"
)


class Place(NamedTuple):
    """A dict that Keras builds an object from, the layer that it is in, and the argument that it is."""

    one: dict[str, Any]
    layer: str | None
    argument: str


def unsavable_part(network: keras.Model, declared: tuple[str, ...], late: Collection[str]) -> str | None:
    """Say which part of a network refuses to be stored, and what it lacks; None where none does."""
    layer = _innermost_unsavable(network)
    if layer is None:
        return None
    if (why := _unloadable_argument([layer], declared, late)) is not None:
        return why  # the source of a lambda may not be there
    for name, part in _arguments(layer):
        if _refuses(part):
            return f"{_argument(layer, name)}, a {_class(part)}, cannot be stored: {_remedy(part)}"
    return f"{_layer(layer)} cannot be stored: {_remedy(layer)}"


def unloadable_part(
    network: keras.Model, file: Path, declared: tuple[str, ...], late: Collection[str]
) -> str | None:
    """Say which part of a stored network cannot be loaded, and what it lacks; None where none is at fault."""
    if (why := _unloadable_argument(all_layers(network), declared, late)) is not None:
        return why
    with zipfile.ZipFile(file) as archive:
        config = {**json.loads(archive.read(CONFIG)), "compile_config": None}
    refused = (place for place in _places(config, None, "") if not is_allowed(place.one, declared))
    place = next(refused, None)
    if place is not None:
        return _not_allowed(place, declared, late)
    for layer in [network, *all_layers(network)]:
        for name, part in [("", layer), *_arguments(layer)]:
            missing = _missing(part, needed=True)
            if missing:
                what = f"{_argument(layer, name)}, a {_class(part)}," if name else _layer(layer)
                return (
                    f"{what} cannot be loaded again: its get_config() lacks {missing[0]!r}, an argument of "
                    "its __init__"
                )
    return None


def differing_layer(network: keras.Model, loaded: keras.Model) -> str | None:
    """Say which layer of a network is another one once it is loaded; None where none is."""
    before, after = all_layers(network), all_layers(loaded)
    for one, other in zip(before, after, strict=False):
        if type(one) is not type(other):
            return f"{_layer(one)} is loaded as a {_class(other)}: register one of them under another name"
        changed = next(_changes(one, other), None)
        if changed is not None:
            name, then, now = changed
            owner = one if _is_own(one) else _owner(one, before)
            lacks = (
                f"lacks {name!r}, an argument of __init__"
                if owner is one
                else "lacks an argument of __init__"
            )
            return (
                f"{_layer(owner)} is another once it is loaded: its get_config() {lacks}; the {name} of "
                f"{one.name!r} is {then!r:.80} here, and {now!r:.80} then"
            )
    if len(before) != len(after):
        return f"the network has {len(before)} layers, and {len(after)} once it is loaded"
    return None


def layers_of_its_own(network: keras.Model) -> list[str]:
    """Return the names, for a person, of the layers whose classes are not Keras' own."""
    return [_layer(layer) for layer in all_layers(network) if _is_own(layer)]


def _places(value: Any, layer: str | None, argument: str) -> Iterator[Place]:
    if isinstance(value, dict):
        if "class_name" in value:
            config = value.get("config")
            name = config.get("name") if isinstance(config, dict) else None
            if name is not None and value["class_name"] != "DTypePolicy":
                layer, argument = str(name), ""
            yield Place(value, layer, argument)
        for key, part in value.items():
            yield from _places(part, layer, key if key != "config" else argument)
    elif isinstance(value, list):
        for part in value:
            yield from _places(part, layer, argument)


def _not_allowed(place: Place, declared: tuple[str, ...], late: Collection[str]) -> str:
    one, module, name = place.one, str(place.one.get("module")), str(place.one["class_name"])
    where = f"the {place.argument} of layer {place.layer!r}" if place.argument else f"layer {place.layer!r}"
    if name == "Lambda" and module.split(".")[0] == "keras":
        return (
            f"{where} is a Lambda, which is not loaded again: write a class of layers, with "
            f"{_register(declared)} above it"
        )
    what = f"{where} is a {module}.{name}, which"
    custom = registered(one)
    if one.get("registered_name") in late:
        return f"{what} {LATE}"
    if custom is None:
        of_keras = module.split(".")[0] == "keras"
        remedy = "use another" if of_keras else f"write {_register(declared)} above that class"
        return f"{what} is not {'loaded again' if of_keras else 'registered'}: {remedy}"
    package = str(getattr(custom, "__module__", "")).split(".")[0]
    if package not in declared:
        return f"{what} is not loaded again: add {package!r} to [tool.runback] modules in pyproject.toml"
    unsafe = [base.__name__ for base in custom.__mro__ if base.__name__ in allowed.UNSAFE_LAYERS]
    return f"{what} descends from {''.join(unsafe[:1])} and is not loaded again: write another"


def _unloadable_argument(
    layers: list[keras.layers.Layer], declared: tuple[str, ...], late: Collection[str]
) -> str | None:
    for layer in layers:
        for name, part in [] if isinstance(layer, keras.layers.Lambda) else _arguments(layer):
            if isinstance(part, FunctionType) and (why := _unloadable_function(part, declared, late)):
                return f"{_argument(layer, name)} is {why}"
    return None


def _unloadable_function(
    function: FunctionType, declared: tuple[str, ...], late: Collection[str]
) -> str | None:
    """Say why a function that a layer was given is not loaded again, and what it lacks; None where it is."""
    name, package = f"{function.__module__}.{function.__qualname__}", function.__module__.split(".")[0]
    if function.__name__ == "<lambda>":
        return f"a lambda, which is not loaded again: write a function, with {_register(declared)} above it"
    registered_as = keras.saving.get_registered_name(function)
    if registered_as in late:
        return f"{name}, which {LATE}"
    one = {"module": "builtins", "class_name": "function", "config": registered_as}
    if is_allowed(one, declared):
        return None
    if package not in declared:
        return (
            f"{name}, which is not loaded again: write a function of your own that calls it, with "
            f"{_register(declared)} above it"
        )
    return f"{name}, which is not registered: write {_register(declared)} above it"


def _innermost_unsavable(network: Any) -> Any:
    """Return the layer whose own config is at fault; None where all of them can be stored."""
    inner = [*getattr(network, "layers", []), getattr(network, "layer", None)]
    for layer in inner:
        if isinstance(layer, keras.layers.Layer) and _refuses(layer):
            return _innermost_unsavable(layer) or layer
    return None


def _refuses(part: Any) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            keras.saving.serialize_keras_object(part)
    except Exception:  # whatever its own code raises
        return True
    return False


def _arguments(layer: Any) -> Iterator[tuple[str, Any]]:
    """Yield the objects and functions that a layer was given as arguments, by name."""
    for name in _parameters(layer):
        part = getattr(layer, name, None)
        if part is not None and not isinstance(part, (*PLAIN, list, tuple, dict, keras.layers.Layer)):
            yield name, part


def _parameters(part: Any) -> dict[str, inspect.Parameter]:
    try:
        parameters = inspect.signature(type(part).__init__).parameters
    except (TypeError, ValueError):
        return {}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: one for name, one in parameters.items() if one.kind in named and name != "self"}


def _missing(part: Any, *, needed: bool = False) -> list[str]:
    """Return the arguments of a class of the user's own that its get_config() leaves out."""
    if not _is_own(part) or not hasattr(part, "get_config"):
        return []
    try:
        config = part.get_config()
    except Exception:  # its own code
        return []
    return [
        name
        for name, one in _parameters(part).items()
        if name not in config and not (needed and one.default is not inspect.Parameter.empty)
    ]


def _changes(one: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the arguments that a layer has lost: name, value and the value once it is loaded."""
    if not _is_own(one):
        then, now = _plain_config(one), _plain_config(other)
        both = {name: (then[name], now.get(name, then[name])) for name in then}
        yield from ((name, *values) for name, values in both.items() if repr(values[0]) != repr(values[1]))
        return
    for name in _missing(one):
        for attribute in (name, f"_{name}"):
            values = getattr(one, attribute, None), getattr(other, attribute, None)
            if all(isinstance(value, PLAIN) for value in values) and values[0] != values[1]:
                yield name, *values


def _plain_config(layer: Any) -> dict[str, Any]:
    try:
        config = layer.get_config()
    except Exception:  # one that only its owner makes need not be stored
        return {}
    return {
        name: value for name, value in config.items() if isinstance(value, PLAIN) and name not in UNCOMPARED
    }


def _owner(layer: Any, layers: list[Any]) -> Any:
    """Return the innermost layer of the user's own that holds this one; itself where none does."""
    owners = [one for one in layers if _is_own(one) and any(inner is layer for inner in all_layers(one))]
    return owners[-1] if owners else layer


def _is_own(part: Any) -> bool:
    return type(part).__module__.split(".")[0] not in ("keras", "builtins", "runback")


def _class(part: Any) -> str:
    return f"{type(part).__module__}.{type(part).__qualname__}"


def _layer(layer: Any) -> str:
    kind = "the model" if isinstance(layer, keras.Model) else "layer"
    return f"{kind} {layer.name!r} ({_class(layer)})" if _is_own(layer) else f"{kind} {layer.name!r}"


def _argument(layer: Any, name: str) -> str:
    return f"the {name} of layer {layer.name!r}"


def _register(declared: tuple[str, ...]) -> str:
    return f'@keras.saving.register_keras_serializable(package="{declared[0] if declared else "own"}")'


def _remedy(part: Any) -> str:
    return (
        "give its class a get_config() that returns the arguments of its __init__ as plain values, and write "
        f"{_register((type(part).__module__.split('.')[0],))} above it"
    )
