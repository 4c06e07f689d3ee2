"""Writes an evaluation, whole, into a folder: from there it is stored, though the store be away for now."""

import json
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
from runback.classifier.evaluation.quality.classification import confusion_of
from runback.classifier.evaluation.quality.confusion import confusion_figure
from runback.classifier.evaluation.section import Section
from runback.cli.approval.evaluation_report import FORMAT
from runback.cli.approval.unstored_evaluation import METRICS, remove
from runback.errors import StoreError
from runback.runs.schema import ANSWERS, CONFUSION, EVALUATION, EVALUATION_PAGE
from runback.system.files.whole_file import publish
from runback.tracking.layout import Layout
from runback.tracking.mlflow_limits import NAME_LIMIT, metric_name


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
        return {
            **measures,
            **costs,
            **self._detail_metrics(),
            f"{self.images}_accuracy": accuracy,
        }

    def _detail_metrics(self) -> dict[str, float]:
        """Return what the sections tell beside their measures: of each class, of each group, and so on.

        Names that become the same once MLflow's forbidden characters are replaced get their number.
        """
        metrics: dict[str, float] = {}
        for section in self.evaluation.sections:
            for number, (key, value) in enumerate(section.details.items()):
                if value is None:
                    continue
                name = metric_name(f"{self.images}_{key}")[: NAME_LIMIT - len(f"_{number}")]
                metrics[f"{name}_{number}" if name in metrics else name] = value
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
        remove(target)
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
