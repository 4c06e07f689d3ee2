"""Keeps secrets out of records: finds them by their names, their forms, or their values."""

from runback.system.secrecy.redaction import redacted, redacted_excerpt, without_values
from runback.system.secrecy.secret_files import secret_file
from runback.system.secrecy.secret_names import secret_key, secret_variable
from runback.system.secrecy.secret_values import remember
from runback.system.secrecy.url_secrets import without_credentials

__all__ = [
    "redacted",
    "redacted_excerpt",
    "remember",
    "secret_file",
    "secret_key",
    "secret_variable",
    "without_credentials",
    "without_values",
]
