"""Files of weights that were trained before: found, never fetched, and checked before they are read."""

import hashlib
import zipfile
import zlib
from pathlib import Path

from runback.errors import InputError
from runback.keras.keras_internals import keras_cache
from runback.keras.networks.network_file import UNREADABLE, WEIGHTS, checked_weights
from runback.system.home_folder import followed

IMAGENET = "imagenet"

ENDINGS = (".weights.h5", ".h5", ".hdf5", ".keras")


def weights_path(text: str) -> Path:
    """Return the file that `model.weights` names, absolute. Errors: InputError where it is none."""
    if not text.endswith(ENDINGS):
        raise InputError(
            f"model.weights must be {IMAGENET}, null, or a file that ends in {', '.join(ENDINGS)}; "
            f"got {text!r:.200}"
        )
    try:
        path = followed(Path(text)).absolute()
    except RuntimeError as error:
        raise InputError(f"model.weights: {text!r:.200} begins with the home of nobody") from error
    if not path.is_file():
        raise InputError(f"model.weights: there is no file {path}")
    return path


def published(name: str, file: str, md5: str | None) -> Path:
    """Return a file that Keras publishes for a network, in Keras' cache. Errors: InputError.

    `md5` is what Keras knows it by, if it does.
    """
    path = keras_cache() / "models" / file
    if not path.is_file():
        raise InputError(
            f"model.weights={IMAGENET}: the weights of {name} are not in Keras' cache, and nothing is "
            f"downloaded here: put {file} at {path}, or set model.weights=FILE"
        )
    if md5 is not None and hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != md5:
        raise InputError(
            f"model.weights={IMAGENET}: {path} is not the file that Keras publishes (MD5 {md5}): it may be "
            "incomplete; replace it, or name another with model.weights=FILE"
        )
    return path


def check_weights_file(path: Path) -> int:
    """Return how many arrays of weights are in a file. Errors: InputError for what is no such file."""
    try:
        if path.suffix != ".keras":
            return checked_weights(path)
        with zipfile.ZipFile(path) as archive:
            return checked_weights(archive.read(WEIGHTS))
    except InputError as error:
        raise InputError(f"model.weights: {path} cannot be loaded: {error}") from None
    except (*UNREADABLE, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"model.weights: {path} cannot be loaded: {type(error).__name__}: {error!s:.100}"
        ) from error


def sha256(path: Path) -> str:
    """Return a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
