"""What a record must never hold: files and variables that carry secrets, and passwords in addresses."""

import re
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from urllib.parse import urlsplit, urlunsplit

FILES = (
    *(".env", ".env.*", "*.env", ".envrc"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*"),
    *(".netrc", "_netrc", ".pgpass", ".pypirc", ".npmrc", ".git-credentials", ".htpasswd"),
    *("credentials", "*credentials*.json", "*credentials*.y*ml", "*credentials*.toml", "*credentials*.ini"),
    *("*secret*.json", "*secret*.y*ml", "*secret*.toml", "*secret*.ini", "*secret*.txt"),
)
"""Names of files, in lower case; no `*.py`, since a module about tokens or secrets is code."""

FOLDERS = (".ssh", ".aws", ".azure", ".gnupg")

VARIABLES = re.compile("SECRET|TOKEN|PASS|KEY|CREDENTIAL|AUTH|COOKIE|PRIVATE", re.IGNORECASE)

_CREDENTIALS_IN_URL = re.compile(r"([a-z][a-z0-9+.-]*://)[^/\s]*@", re.IGNORECASE)
_NAMED_SECRET = re.compile(r"((?:secret|token|pass(?:word|wd)?|api_?key)=)[^\s&;,]+", re.IGNORECASE)


def secret_file(path: str) -> bool:
    """Say whether a file's name, or a folder's on its path, is one that secrets are kept under."""
    parts = PurePosixPath(path.lower()).parts
    return any(part in FOLDERS for part in parts[:-1]) or any(
        fnmatchcase(parts[-1], pattern) for pattern in FILES
    )


def secret_variable(name: str) -> bool:
    """Say whether an environment variable's name sounds as if its value were a secret."""
    return VARIABLES.search(name) is not None


def redacted(value: str) -> str:
    """Return `value` with `***` for the user and password in URLs, and for values named as secrets."""
    return _NAMED_SECRET.sub(r"\1***", _CREDENTIALS_IN_URL.sub(r"\1***@", value))


def without_credentials(url: str) -> str:
    """Return a remote's URL without user, password, query and fragment.

    The scp-like form of git, `git@host:path`, holds no password and stays as it is.
    """
    parts = urlsplit(url)
    if not parts.scheme or not parts.netloc:
        return url
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
