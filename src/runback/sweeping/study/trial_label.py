"""What a training of a sweep is called: by people, on disk, and in MLflow."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runback.system.text.formatting import run_name
from runback.tracking.layout import CONFIRM
from runback.tracking.tags import CONFIRM_SEED_TAG, CONFIRMED_TAG, KIND_TAG, TRIAL_TAG


@dataclass(frozen=True)
class Label:
    """A training's name, its folder within the sweep's, and the tags that tell its run from others."""

    name: str
    folder: str
    tags: Mapping[str, str]


def trial_label(number: int, params: Mapping[str, Any]) -> Label:
    """Return what a trial of the search is called: by its number and its params, `#7 adam lr=0.003`."""
    tags = {KIND_TAG: "train", TRIAL_TAG: str(number)}
    return Label(f"#{number} {run_name(params)}", str(number), tags)


def confirm_label(params: Mapping[str, int]) -> Label:
    """Return what the training of finalist `trial` on a fresh `seed` is called."""
    trial, seed = int(params["trial"]), int(params["seed"])  # they name a folder
    tags = {KIND_TAG: "confirm", CONFIRMED_TAG: str(trial), CONFIRM_SEED_TAG: str(seed)}
    return Label(f"trial {trial} seed {seed}", f"{CONFIRM}/{trial}-{seed}", tags)
