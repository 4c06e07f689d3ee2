"""Stores a network that a run has trained."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runback.runs.live.run import Run

if TYPE_CHECKING:
    import keras


def log_network(run: Run, network: "keras.Model", class_names: Sequence[str]) -> None:
    """Store an image classifier's network in its run, as files and as MLflow's model, to be served.

    See `runback.tracking.write.network_artifacts.log_network`.
    """
    from runback.tracking.write import network_artifacts

    network_artifacts.log_network(run.writer, network, class_names)
