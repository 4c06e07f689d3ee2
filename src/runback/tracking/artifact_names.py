"""The names of the artifacts that this package writes of its own accord."""

from typing import Final

NETWORK: Final = "model.keras"
WEIGHTS: Final = "model.weights.h5"
ARCHITECTURE: Final = "architecture.json"
SUMMARY: Final = "model_summary.txt"

TRACEBACK: Final = "traceback.txt"
"""The traceback of a run that is FAILED."""
