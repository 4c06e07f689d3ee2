"""Opens what a run was trained on and tested with, and evaluates its network."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from omegaconf import OmegaConf
from scipy.special import ndtri

from runback.classifier.build import load_data
from runback.classifier.data.dataset import Dataset
from runback.classifier.data.dataset_hash import content_hash
from runback.classifier.data.reading.data_summary import DataSummary
from runback.classifier.evaluation.evaluation import Evaluation, EvaluationOptions, Splits, evaluate
from runback.classifier.evaluation.gates.answers_file import write_answers
from runback.classifier.evaluation.page.evaluation_page import evaluation_page
from runback.classifier.evaluation.quality.confusion import confusion_figure
from runback.classifier.train_config import SPLIT_KNOBS
from runback.errors import DataError
from runback.keras.networks.stored_network import load_network, stored_config
from runback.runs.schema import ANSWERS, CONFUSION, EVALUATION, EVALUATION_PAGE, RECORD, read_record
from runback.system.config import targets
from runback.system.config.written_config import refuse_left_out, resolved
from runback.tracking.layout import Layout
from runback.tracking.mlflow_limits import NAME_LIMIT, metric_name
from runback.tracking.read.find_runs import artifact_files, read_bytes
from runback.tracking.store import Store
from runback.tracking.tags import TEST_IMAGES_TAG, TEST_OPENED_TAG, TRAIN_HASH_TAG, VALIDATION_HASH_TAG
from runback.tracking.write.run_writer import RunWriter

FORMAT = "runback-evaluation-1"


@dataclass(frozen=True)
class EvaluatedRun:
    """A run whose network is evaluated."""

    store: Store
    layout: Layout
    id: str
    tags: Mapping[str, str]

    @property
    def openings(self) -> int:
        """How often its test split has been opened."""
        text = self.tags.get(TEST_OPENED_TAG, "")
        return int(text) if text.isascii() and text.isdigit() else int(TEST_IMAGES_TAG in self.tags)


def evaluate_run(
    run: EvaluatedRun,
    options: Callable[[Dataset, Mapping[str, Any]], EvaluationOptions],
    tick: Callable[[str], None],
) -> dict[str, Any]:
    """Open the test split, log what the run's network does on it, and return the report.

    `options` gets the test split and the run's config. Errors: InputError, DataError, StoreError.
    """
    config = stored_config(run.store, run.id)
    refuse_left_out({"data": config["data"]})
    config = resolved(OmegaConf.create(config))
    declared = targets.declared_modules(run.layout.root)
    train, validation = load_data(config["data"], declared, run.layout.data)
    _refuse_other_data({TRAIN_HASH_TAG: train, VALIDATION_HASH_TAG: validation}, run.tags)
    _refuse_other_tests(DataSummary.of(train, validation, ""), run)
    network = load_network(run.store, run.id, declared)
    spec = {key: value for key, value in config["data"].items() if key not in SPLIT_KNOBS}
    writer = RunWriter(run.store, run.id)
    writer.set_tags({TEST_OPENED_TAG: str(run.openings + 1)})
    test = targets.build(spec, where="data", declared=declared, split="test", cache=run.layout.data)
    if test.origin is None:
        test = replace(test, origin=train.origin)
    evaluation = evaluate(network, Splits(train, validation, test), options(test, config), tick)
    return _log(writer, run, evaluation)


def class_metrics(evaluation: Evaluation) -> dict[str, float]:
    """Return `test_accuracy_<class>` for every class that the test split holds images of.

    Names that become the same once MLflow's forbidden characters are replaced get their class's number.
    """
    metrics: dict[str, float] = {}
    for number, one in enumerate(evaluation.sections[0].facts["classes"]):
        if one["recall"] is None:
            continue
        name = metric_name(f"test_accuracy_{one['name']}")[: NAME_LIMIT - len(f"_{number}")]
        metrics[f"{name}_{number}" if name in metrics else name] = one["recall"]["value"]
    return metrics


def optimism_of_best(runs: int, n: int, accuracy: float) -> float:
    """Return by how much the best of equally good runs looks too good, on `n` test images.

    The expected largest of `runs` normal errors, by Blom's approximation (Statistical Estimates and
    Transformed Beta-Variables, 1958), where the runs' errors are independent: an upper bound, for they are
    tested on the same images.
    """
    if runs < 2:
        return 0.0
    return float(ndtri((runs - 0.375) / (runs + 0.25)) * (accuracy * (1 - accuracy) / n) ** 0.5)


def _log(writer: RunWriter, run: EvaluatedRun, evaluation: Evaluation) -> dict[str, Any]:
    """Log the report; test_accuracy, the sign that it is complete, comes last."""
    n = len(evaluation.answers)
    report = {
        "format": FORMAT,
        "run": run.id,
        "n": n,
        "opened": run.openings + 1,
        **evaluation.as_dict(),
    }
    quality = evaluation.sections[0]
    about = {"run": run.id, "test images": f"{n:,}", "test split opened": f"{run.openings + 1} times"}
    writer.log_text(json.dumps(report, indent=1, allow_nan=False) + "\n", EVALUATION)
    writer.log_text(evaluation_page(f"Evaluation of run {run.id}", about, evaluation.sections), EVALUATION_PAGE)
    said = evaluation.answers
    names = said.class_names
    content = write_answers(said.labels, said.chosen, said.confidence, said.losses, names)
    writer.log_bytes(content, ANSWERS)
    writer.log_figure(confusion_figure_of(quality.facts["confusion"], names), CONFUSION)
    writer.set_tags({TEST_IMAGES_TAG: str(n)})
    measures = {
        f"test_{name}": measure.value
        for section in evaluation.sections
        for name, measure in section.measures.items()
    }
    accuracy = measures.pop("test_accuracy")
    writer.log_metrics({**measures, **class_metrics(evaluation)})
    writer.log_metrics({"test_accuracy": accuracy})
    writer.deliver()
    return report


def confusion_figure_of(confusion: Any, names: tuple[str, ...]) -> Any:
    """Return the figure of a confusion matrix that is a list."""
    import numpy as np

    return confusion_figure(np.asarray(confusion), names)


def _refuse_other_data(splits: Mapping[str, Dataset], tags: Mapping[str, str]) -> None:
    """Raise DataError, with the test split unopened, where the run was trained on other images than these.

    `splits` are by the tags that hold their hashes.
    """
    for tag, dataset in splits.items():
        recorded, now = tags.get(tag), content_hash(dataset)
        if recorded not in (None, now):
            raise DataError(
                "the images or labels are not those that the run was trained on, and its test split stays "
                f"closed: {tag.rpartition('.')[2]} content: recorded {recorded[:12]}, now {now[:12]}"
            )


def _refuse_other_tests(now: DataSummary, run: EvaluatedRun) -> None:
    """Raise DataError where the test images are not those that were checked before the run was trained."""
    if RECORD not in artifact_files(run.store, run.id):
        return
    recorded = read_record(read_bytes(run.store, run.id, RECORD), RECORD).get("data_summary", {})
    before = recorded.get("test_sha256")
    if before is not None and before != now.test_sha256:
        raise DataError(
            "the test images or labels are not those that there were when the run was trained, and the test "
            "split stays closed: put them back, or train again"
        )
