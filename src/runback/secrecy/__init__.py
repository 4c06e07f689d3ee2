"""What a record must never hold: secrets, known by their names, their forms, or their values."""

from runback.secrecy.files import secret_file
from runback.secrecy.known import remember
from runback.secrecy.names import secret_key, secret_variable
from runback.secrecy.text import redacted, redacted_excerpt, without_values
from runback.secrecy.urls import without_credentials

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
