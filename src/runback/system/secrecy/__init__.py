"""What a record must never hold: secrets, known by their names, their forms, or their values."""

from runback.system.secrecy.files import secret_file
from runback.system.secrecy.known import remember
from runback.system.secrecy.names import secret_key, secret_variable
from runback.system.secrecy.text import redacted, redacted_excerpt, without_values
from runback.system.secrecy.urls import without_credentials

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
