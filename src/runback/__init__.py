"""Experiment tracking and hyperparameter sweeps for Keras."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runback.classifier.notebook import Sweep, load, load_model

__all__ = ["Sweep", "load", "load_model"]


def __getattr__(name: str) -> Any:
    """Import what notebooks use when it is first used: commands start without it."""
    if name not in __all__:
        raise AttributeError(f"module 'runback' has no attribute {name!r}")
    from runback.classifier import notebook

    return getattr(notebook, name)
