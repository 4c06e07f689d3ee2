"""Stores an evaluation: first whole in a folder, then in the run; a store that is away loses nothing."""

import json
import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runback.classifier.data.dataset_hash import content_hash
from runback.classifier.evaluation.gates.answers_file import write_answers
from runback.classifier.evaluation.groups.metadata import Grouping
from runback.classifier.evaluation.network_evaluation import Evaluation
from runback.classifier.evaluation.page.evaluation_page import evaluation_page
from runback.classifier.evaluation.quality.classification import class_qualities, confusion_of
from runback.classifier.evaluation.quality.confusion import confusion_figure
from runback.classifier.evaluation.section import Section
from runback.cli.approval.evaluation_report import FORMAT
from runback.errors import InputError, StoreError
from runback.runs.schema import ANSWERS, CONFUSION, EVALUATION, EVALUATION_PAGE
from runback.system.files.whole_file import publish
from runback.tracking.layout import Layout
from runback.tracking.mlflow_limits import NAME_LIMIT, metric_name
from runback.tracking.store import Store
from runback.tracking.tags import TEST_IMAGES_TAG
from runback.tracking.write.run_writer import RunWriter

OWN_FOLDER = "evaluations"
"""The folder, of a run's artifacts, with a folder for each name of images of one's own."""

METRICS = "metrics.json"
"""In the folder of an evaluation that is not stored yet: its metrics, and how many images there were."""


@dataclass(frozen=True, eq=False)
class MeasuredRun:
    """An evaluation and what is said about it."""

    run_id: str
    images: str
    """The name of the images: `test`, or that of one's own."""
    opened: int
    """The number of times that the test split has been opened."""
    evaluation: Evaluation
    cost: Section
    budget: Sequence[str]
    """Sentences on what was tested how often."""
    groupings: Sequence[Grouping]

    @property
    def is_test(self) -> bool:
        """Whether the images are the test split."""
        return self.images == "test"

    def report(self) -> dict[str, Any]:
        """Return the report, as JSON has it."""
        return {
            "format": FORMAT,
            "run": self.run_id,
            "images": self.images,
            "n": len(self.evaluation.answers),
            "images_sha256": content_hash(self.evaluation.answers.dataset),
            "opened": self.opened,
            "notes": [*self.budget],
            **self.evaluation.as_dict(),
            self.cost.name: self.cost.as_dict(),
        }

    def metrics(self) -> dict[str, float]:
        """Return the metrics of the run; `<images>_accuracy`, the sign that all are stored, comes last."""
        measures = {
            f"{self.images}_{name}": measure.value
            for section in self.evaluation.sections
            for name, measure in section.measures.items()
        }
        accuracy = measures.pop(f"{self.images}_accuracy")
        costs = {f"cost_{name}": value for name, value in self.cost.facts.items()} if self.is_test else {}
        return {**measures, **costs, **self._class_metrics(), f"{self.images}_accuracy": accuracy}

    def _class_metrics(self) -> dict[str, float]:
        """Return `<images>_accuracy_<class>` for every class that there are images of.

        Names that become the same once MLflow's forbidden characters are replaced get their class's number.
        """
        metrics: dict[str, float] = {}
        for number, one in enumerate(class_qualities(self.evaluation.answers)):
            if one.recall is None:
                continue
            name = metric_name(f"{self.images}_accuracy_{one.name}")[: NAME_LIMIT - len(f"_{number}")]
            metrics[f"{name}_{number}" if name in metrics else name] = one.recall.value
        return metrics


def write_evaluation(layout: Layout, measured: MeasuredRun, about: Mapping[str, str]) -> bytes:
    """Write an evaluation into its folder in mlruns/, whole or not at all; return its report.

    `about` are facts for the head of the page. Errors: StoreError where it cannot be written.
    """
    target = layout.evaluation(measured.run_id)
    report = (json.dumps(measured.report(), indent=1, allow_nan=False) + "\n").encode()
    title = f"Evaluation of run {measured.run_id[:12]}"
    said = measured.evaluation.answers
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove(target)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as name:
            folder = Path(name) / "files"
            folder.mkdir()
            (folder / EVALUATION).write_bytes(report)
            page = evaluation_page(title, about, [*measured.evaluation.sections, measured.cost])
            (folder / EVALUATION_PAGE).write_text(page, "utf-8")
            (folder / ANSWERS).write_bytes(write_answers(said, measured.groupings))
            confusion_figure(confusion_of(said), said.class_names).savefig(folder / CONFUSION)
            facts = {"images": measured.images, "n": len(said), "metrics": measured.metrics()}
            (folder / METRICS).write_text(json.dumps(facts))
            publish(folder, target)
    except OSError as error:
        raise StoreError(f"the evaluation cannot be written to {target.parent}: {error.strerror}") from error
    return report


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
    _remove(folder)


def refuse_taken_names(images: str, metrics: Mapping[str, float], files: Sequence[str]) -> None:
    """Raise InputError where the metrics of images of one's own would replace others of the run."""
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


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
