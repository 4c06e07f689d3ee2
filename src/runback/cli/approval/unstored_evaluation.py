"""Evaluations that lie in mlruns/ until the store has them, and the names that they go by; loads no Keras."""

import json
import math
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runback.errors import InputError
from runback.runs.schema import ANSWERS, CONFUSION, EVALUATION, EVALUATION_PAGE
from runback.tracking.layout import Layout
from runback.tracking.store import Store
from runback.tracking.tags import TEST_IMAGES_TAG
from runback.tracking.write.run_writer import RunWriter

OWN_FOLDER = "evaluations"
"""The folder, of a run's artifacts, with a folder for each name of images of one's own."""

METRICS = "metrics.json"
"""In the folder of an evaluation that is not stored yet: its metrics, and how many images there were."""


_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")

TAKEN = ("test", "train", "val", "validation", "system", "best", "cost", "feedback")
"""Names that metrics begin with already."""


@dataclass(frozen=True)
class OwnImages:
    """Images of one's own, in place of the test split: where they are, and what they are called."""

    path: Path
    name: str


def checked_name(name: str) -> str:
    """Return a name of images, under which their results are logged. Errors: InputError for a bad one."""
    if not _NAME.fullmatch(name) or f"{name.lower()}_".startswith(tuple(f"{one}_" for one in TAKEN)):
        raise InputError(
            "--name: expected at most 40 letters, digits, - and _, a letter first, and none of "
            f"{', '.join(TAKEN)} before the first _; got {name!a:.80}"
        )
    return name


def is_unstored(layout: Layout, run_id: str) -> bool:
    """Tell whether an evaluation of a run's test split lies in mlruns/ that its store does not have whole."""
    return _facts(layout.evaluation(run_id)).get("images") == "test"


def store_evaluation(store: Store, layout: Layout, run_id: str, before: Mapping[str, float]) -> None:
    """Log the evaluation in a run's folder, and remove that. `before` are the run's metrics.

    A number of an earlier evaluation that this one does not have becomes NaN. Errors: StoreError, with the
    folder left as it is: the same command goes on from there.
    """
    folder = layout.evaluation(run_id)
    facts = _facts(folder)
    images, metrics = facts["images"], facts["metrics"]
    writer = RunWriter(store, run_id)
    place = "" if images == "test" else f"{OWN_FOLDER}/{images}/"
    for name in (EVALUATION_PAGE, ANSWERS, CONFUSION, EVALUATION):
        writer.log_bytes((folder / name).read_bytes(), place + name)
    gone = [name for name in before if name.startswith(f"{images}_") and name not in metrics]
    if images == "test":
        writer.set_tags({TEST_IMAGES_TAG: str(facts["n"])})
    last = f"{images}_accuracy"
    writer.log_metrics({**dict.fromkeys(gone, math.nan), **{k: v for k, v in metrics.items() if k != last}})
    writer.log_metrics({last: metrics[last]})
    writer.deliver()
    remove(folder)


def refuse_taken_names(images: str, metrics: Mapping[str, float], files: Sequence[str]) -> None:
    """Raise InputError where the metrics of images of one's own would replace others of the run."""
    others = {file.split("/")[1] for file in files if file.startswith(f"{OWN_FOLDER}/")} - {images}
    alike = [one for one in others if f"{one}_".startswith(f"{images}_") or images.startswith(f"{one}_")]
    if alike:
        raise InputError(
            f"--name: the metrics of {images} could not be told from those of {min(alike)}, which the run has"
        )
    if f"{OWN_FOLDER}/{images}/{EVALUATION}" in files:
        return
    taken = sorted(name for name in metrics if name.startswith(f"{images}_"))
    if taken:
        raise InputError(f"--name: the run has other metrics that begin with {images}_, as {taken[0]}")


def _facts(folder: Path) -> dict[str, Any]:
    try:
        facts = json.loads((folder / METRICS).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def remove(folder: Path) -> None:
    """Remove an evaluation's folder, if it is there."""
    if folder.exists():
        shutil.rmtree(folder)
