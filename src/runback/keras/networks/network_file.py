"""Refuses a .keras file that holds more than a network, before Keras reads it.

Keras' safe mode keeps functions out that come as bytes. What it lets pass builds any class of Keras, reads
files that the network's config names, and unpacks whatever else is in the file.
"""

import io
import json
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runback.errors import InputError
from runback.keras.keras_message import keras_message
from runback.keras.networks.network_limit import limited_network
from runback.system.config import allowed
from runback.system.config.targets import unsafe_layer

if TYPE_CHECKING:
    import keras

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
MEMBERS = {"metadata.json", CONFIG, WEIGHTS}

ROOM = 64 * 2**20
"""Bytes that a file may unpack to besides four times its own size: Keras does not compress."""

OPTIMIZERS = ("/optimizer/", "/optimizer_weights/")

LARGEST_CONFIG = 16 * 2**20

VALUES = {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"}
"""Names by which Keras stores plain values."""

OPERATIONS = tuple(f"keras.src.ops.{name}" for name in allowed.NETWORK_MODULES)

UNLOADABLE = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, NotImplementedError),
    *(OSError, RecursionError, RuntimeError, TypeError, ValueError),
)
"""Exceptions that Keras raises for a damaged network, besides those of TensorFlow."""

UNREADABLE = (EOFError, KeyError, NotImplementedError, OSError, RecursionError, RuntimeError, ValueError)
"""Exceptions that reading a damaged file raises, besides `zipfile.BadZipFile` and `zlib.error`."""


def read_network_file(file: Path, declared: tuple[str, ...], what: str) -> "keras.Model":
    """Return the network in a .keras file, without optimizer, once it is certain what is in the file.

    Keras' safe mode is on. What `declared` modules have registered is registered already. Errors: InputError,
    which `what` opens.
    """
    import keras
    import tensorflow

    check_network_file(file, declared, what)
    try:
        with limited_network(room(file.stat().st_size), what):
            return keras.saving.load_model(file, compile=False, safe_mode=True)
    except (*UNLOADABLE, tensorflow.errors.OpError) as error:
        raise InputError(f"{what} cannot be loaded: {keras_message(error)}") from error


def check_network_file(file: Path, declared: tuple[str, ...], what: str) -> None:
    """Raise InputError, opening with `what`, unless the file is a network's and nothing else.

    Its members are Keras' own three, its config names only what `allowed.NETWORK` lists and what modules in
    `declared` have registered, and its weights are numbers that are all in the file.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            _check_members(archive, file.stat().st_size)
            _check_config(json.loads(archive.read(CONFIG)), declared)
            checked_weights(archive.read(WEIGHTS))
    except InputError as error:
        raise InputError(f"{what} cannot be loaded: {error}") from None
    except (*UNREADABLE, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{what} cannot be loaded: {type(error).__name__}: {error!s:.100}") from error


def room(size: int) -> int:
    """Return how many bytes of memory a file of this size may ask for."""
    return ROOM + 4 * size


def _check_members(archive: zipfile.ZipFile, size: int) -> None:
    names = sorted(archive.namelist())
    if names != sorted(MEMBERS):
        raise InputError(f"it must hold {', '.join(sorted(MEMBERS))}; it holds {names!a:.200}")
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > room(size) or archive.getinfo(CONFIG).file_size > LARGEST_CONFIG:
        raise InputError(f"its {size:,} bytes unpack to {unpacked:,}")


def _check_config(config: Any, declared: tuple[str, ...]) -> None:
    if not isinstance(config, dict):
        raise InputError(f"its {CONFIG} is no network's")
    for one in objects_of({**config, "compile_config": None}):  # it is loaded without
        if not is_allowed(one, declared):
            raise InputError(
                f"it holds {one['class_name']!a:.80} of module {one.get('module')!a:.80}, which is neither "
                "on runback's list nor registered by a module under [tool.runback] modules in pyproject.toml"
            )


def objects_of(value: Any) -> Iterator[dict[str, Any]]:
    """Yield each dict, at any depth, that Keras would build an object from."""
    if isinstance(value, dict):
        if "class_name" in value:
            yield value
        for part in value.values():
            yield from objects_of(part)
    elif isinstance(value, list):
        for part in value:
            yield from objects_of(part)


def is_allowed(one: dict[str, Any], declared: tuple[str, ...]) -> bool:
    """Tell whether a stored network may hold the object that Keras would build from this dict."""
    name, module = one["class_name"], one.get("module")
    if isinstance(name, str) and name in VALUES and "module" not in one:
        return True
    custom = registered(one)
    fine = _is_listed(module, name, one) if custom is None else _is_own(custom, declared)
    return fine and "module" in one  # without, Keras takes it for an older form, with rules of its own


def registered(one: dict[str, Any]) -> Any:
    """Return the class or function that is registered by the name that this dict uses; None where none is."""
    objects, name = sys.modules["keras"].saving.get_custom_objects(), one["class_name"]
    used = one.get("config") if name == "function" else one.get("registered_name", name)
    return next((objects[key] for key in (used, name) if isinstance(key, str) and key in objects), None)


def _is_listed(module: Any, name: Any, one: dict[str, Any]) -> bool:
    if not isinstance(module, str) or not isinstance(name, str):
        return False
    if name == "function":
        return module in ("builtins", "keras.activations") and one.get("config") in allowed.ACTIVATIONS
    if module in OPERATIONS:
        return _is_operation(module, name)
    return f"{module}.{name}" in allowed.NETWORK


def _is_operation(module: str, name: str) -> bool:
    named = vars(sys.modules[module]).get(name)
    operation = sys.modules["keras"].Operation
    return isinstance(named, type) and issubclass(named, operation) and named.__module__ == module


def _is_own(custom: Any, declared: tuple[str, ...]) -> bool:
    own = str(getattr(custom, "__module__", "")).split(".")[0] in ("runback", *declared)
    return own and not (isinstance(custom, type) and unsafe_layer(custom))


def checked_weights(source: bytes | Path) -> int:
    """Return how many arrays of weights an HDF5 file, or its content, holds, those of optimizers left out.

    Refuses weights that lie in other files, are no numbers, or take far more room than the file: InputError.
    """
    import h5py

    total, count, seen = 0, 0, set()
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    with h5py.File(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
        waiting = [file]
        while waiting:
            group = waiting.pop()
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise InputError(f"its weights link to elsewhere: {name!a:.80}")
                member = group[name]
                address = h5py.h5o.get_info(member.id).addr
                if address in seen:
                    continue
                seen.add(address)
                if isinstance(member, h5py.Group):
                    waiting.append(member)
                else:
                    total += _bytes_of(member, name)
                    count += not str(member.name).startswith(OPTIMIZERS)
    if total > room(size):
        raise InputError(f"its {size:,} bytes of weights unpack to {total:,}")
    return count


def _bytes_of(member: Any, name: str) -> int:
    import h5py

    if not isinstance(member, h5py.Dataset) or member.external or member.is_virtual:
        raise InputError(f"its weights lie in another file: {name!a:.80}")
    if member.dtype.kind not in "biufc":
        raise InputError(f"its weights are no numbers: {name!a:.80}")
    if member.chunks is not None:  # each is unpacked whole, however little of it is used
        raise InputError(f"its weights are packed: {name!a:.80}")
    return int(member.size or 0) * int(member.dtype.itemsize)
