"""The tracking server that keeps a project's runs: its address, what it asks for, and what is wrong with it.

Credentials come from the environment alone, or from MLflow's own file `~/.mlflow/credentials`; MLflow reads
them. They never stand in an address, which is shown, recorded and handed to other processes.
"""

import os
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from runback.errors import InputError
from runback.system.secrecy import redacted
from runback.tracking.mlflow_limits import first_line

KEY = "tracking.uri"
"""The word of the command line that names the server, as `tracking.uri=https://mlflow.example`."""

VARIABLE = "MLFLOW_TRACKING_URI"
"""The environment variable that names it."""

CREDENTIALS = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
"""The environment variables of a client's user and password, or token."""

CERTIFICATES = "MLFLOW_TRACKING_SERVER_CERT_PATH"
"""The environment variable that names a file of certificates to trust."""

SCHEMES = ("http", "https")

OBJECT_STORES = ("s3", "gs", "wasbs", "abfss")
"""Kinds of artifact stores that a client asks itself, with credentials of its own."""

_WORD = re.compile(rf"\+{{0,2}}{re.escape(KEY)}=(.*)", re.DOTALL)

_SYSTEM_ERROR = re.compile(r"\[Errno -?\d+\] ([\w ,]+)")

_STATUS = re.compile(r"failed with error code (3\d\d) ")

_FAILURES = re.compile(r"too many (5\d\d) error responses")

_given: list[str] = []


def take_uri(arguments: Sequence[str]) -> list[str]:
    """Return a command line without `tracking.uri=ADDRESS`; this process and its children use that server.

    It is no key of a config: where a run is recorded is no part of what it is made from. Errors: InputError
    for what is no address of a server, or holds a password.
    """
    matches = [(one, _WORD.fullmatch(one)) for one in arguments]
    for _, match in matches:
        if match:
            uri = checked_uri(match[1].strip("'\""))
            os.environ[VARIABLE] = uri
            _given[:] = [f"{KEY}={uri}"]
    return [one for one, match in matches if match is None]


def given_words() -> list[str]:
    """Return the word that named the server on this process's command line, for commands that go on."""
    return [*_given]


def checked_uri(uri: str) -> str:
    """Return a server's address, without a slash at its end. Errors: InputError."""
    parts = _parts(uri)
    if parts is not None and ("@" in parts.netloc or "@" in uri):
        raise InputError(
            f"{KEY} must hold no user and password; got {redacted(uri)}: set {CREDENTIALS}, in the "
            "environment"
        )
    if (
        parts is None
        or parts.scheme not in SCHEMES
        or not re.fullmatch(r"[\w.\-]+|\[[0-9a-fA-F:]+\]", parts.netloc.removesuffix(f":{parts.port}"))
        or parts.query
        or parts.fragment
        or not (uri.isascii() and uri.isprintable())
        or set(uri) & set(" ,\"'\\<>")
    ):
        raise InputError(
            f"{KEY} must be the address of a tracking server, as https://mlflow.example or "
            f"http://127.0.0.1:5000; got {redacted(uri)!a:.200}"
        )
    return uri.rstrip("/")


def refuse_foreign(location: str, uri: str, what: str) -> None:
    """Raise InputError for an artifact location of a server that the client must not use.

    Whoever may create an experiment chooses its location: one on this disk, or one on another server, which
    would get this one's credentials. `what` opens the message.
    """
    place, server = _parts(location), _parts(uri)
    scheme = "" if place is None else place.scheme
    if place is not None and scheme == "mlflow-artifacts":
        if place.netloc in ("", "" if server is None else server.netloc):
            return
    elif scheme in OBJECT_STORES:
        if scheme == "s3" and find_spec("boto3") is None:
            raise InputError(f"{what} is in S3, which needs boto3: pip install 'runback[s3]'")
        return
    raise InputError(
        f"{what} must be behind the server, which is started with --serve-artifacts, or in an object store "
        f"({', '.join(f'{one}:' for one in OBJECT_STORES)}); got {redacted(location)!a:.200}"
    )


def has_credentials() -> bool:
    """Return whether MLflow finds a user or a token to send."""
    named = any(os.environ.get(name) for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_TOKEN"))
    return named or (Path.home() / ".mlflow" / "credentials").is_file()


def is_in_clear(uri: str) -> bool:
    """Return whether credentials go to this address unencrypted, over a network."""
    parts = _parts(uri)
    here = ("localhost", "127.0.0.1", "::1")
    return parts is not None and parts.scheme == "http" and parts.hostname not in here and has_credentials()


def why(error: BaseException) -> str:
    """Return in one line, without secrets, why MLflow could not ask its store, and what to do about it."""
    code, text = getattr(error, "error_code", ""), str(error)
    if code in ("UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"):
        if has_credentials():
            return f"it does not accept the credentials in the environment ({CREDENTIALS})"
        return f"it asks for credentials: set {CREDENTIALS}, in the environment"
    if code == "PERMISSION_DENIED":
        return "its user may not do that (permission denied): its administrator can allow it"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        reason = text.partition("certificate verify failed: ")[2].partition(" (_ssl")[0]
        return (
            f"its certificate is not trusted ({first_line(reason) or 'unknown'}): set {CERTIFICATES} to a "
            "file with that certificate, or with its authority's"
        )
    if "TLS CA certificate bundle" in text:
        return (
            f"{CERTIFICATES} must name a file of certificates; got {os.environ.get(CERTIFICATES, '')!a:.200}"
        )
    if match := _STATUS.search(text):
        return f"it redirects ({match[1]}), which is not followed: give the address that it leads to"
    if match := _FAILURES.search(text):
        return f"it answers with errors ({match[1]}): its own log says why"
    if text.startswith("API request to http") and (match := _SYSTEM_ERROR.search(text)):
        return f"it does not answer ({match[1]})"
    if text.startswith("API request to http") and "timed out" in text:
        return "it does not answer in time"
    return first_line(text)


def _parts(address: str) -> SplitResult | None:
    """Return the parts of an address; None where it cannot be one."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return None
    return parts
