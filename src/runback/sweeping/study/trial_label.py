"""The names of a sweep's trainings: for people, on disk, and in MLflow."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runback.system.text.formatting import run_name
from runback.tracking.layout import CONFIRM
from runback.tracking.tags import CONFIRM_SEED_TAG, CONFIRMED_TAG, KIND_TAG, TRIAL_TAG

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class Label:
    """A training's name, its folder within the sweep's, and the tags that identify its run."""

    name: str
    folder: str
    tags: Mapping[str, str]


def trial_label(trial: "FrozenTrial") -> Label:
    """Name a trial of the search by its number and its params: `#7 adam lr=0.003`."""
    tags = {KIND_TAG: "train", TRIAL_TAG: str(trial.number)}
    return Label(f"#{trial.number} {run_name(trial.params)}", str(trial.number), tags)


def confirm_label(training: "FrozenTrial") -> Label:
    """Name a training of the confirm stage, whose params are `trial`, a finalist's number, and `seed`."""
    trial, seed = int(training.params["trial"]), int(training.params["seed"])  # they name a folder
    tags = {KIND_TAG: "confirm", CONFIRMED_TAG: str(trial), CONFIRM_SEED_TAG: str(seed)}
    return Label(f"trial {trial} seed {seed}", f"{CONFIRM}/{trial}-{seed}", tags)
