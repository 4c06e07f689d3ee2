"""What a training needs to know of a network whose weights are not all new."""

from dataclasses import dataclass
from pathlib import Path

import keras


@dataclass(frozen=True, eq=False)
class Transfer:
    """The part of a network that was trained before, and how it is trained on."""

    base: keras.Model
    weights: Path
    """The file that the weights of `base` come from."""
    frozen_epochs: int
    """Epochs in which `base` stays as it is."""
    fine_tuning_rate: float
    """The learning rate after them."""
    notes: tuple[str, ...]
    """What is said of it before training."""


def with_transfer(network: keras.Model, transfer: Transfer) -> keras.Model:
    """Return the network itself, for which `transfer_of` gives `transfer` from now on."""
    network.transfer = transfer
    return network


def transfer_of(network: keras.Model) -> Transfer | None:
    """Return what the function that made a network has said of weights trained before; None: nothing."""
    transfer = getattr(network, "transfer", None)
    return transfer if isinstance(transfer, Transfer) else None
