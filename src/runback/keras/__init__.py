"""Keras: a callback for anybody's training, and the state of all that changes in one."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runback.keras.callback import Callback

__all__ = ["Callback"]


def __getattr__(name: str) -> Any:
    """Import Keras when the callback is first used."""
    if name != "Callback":
        raise AttributeError(f"module 'runback.keras' has no attribute {name!r}")
    from runback.keras.callback import Callback

    return Callback
