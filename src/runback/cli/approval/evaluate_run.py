"""Opens what a run was trained on and tested with, and evaluates its network."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf
from scipy.special import ndtri

from runback.classifier.build import load_data
from runback.classifier.data.dataset import Dataset
from runback.classifier.data.dataset_hash import content_hash
from runback.classifier.data.reading.data_summary import DataSummary
from runback.classifier.evaluation.gates.answers_file import write_answers
from runback.classifier.evaluation.groups.metadata import Grouping
from runback.classifier.evaluation.network_evaluation import Evaluation, EvaluationOptions, Splits, evaluate
from runback.classifier.evaluation.own_images import own_images
from runback.classifier.evaluation.page.evaluation_page import evaluation_page
from runback.classifier.evaluation.quality.classification import confusion_of
from runback.classifier.evaluation.quality.confusion import confusion_figure
from runback.classifier.train_config import SPLIT_KNOBS
from runback.cli.approval.reference_networks import reference_losses
from runback.cli.approval.run_cost import cost_section
from runback.errors import DataError
from runback.keras.networks.stored_network import load_network, stored_config
from runback.runs.schema import ANSWERS, CONFUSION, EVALUATION, EVALUATION_PAGE, RECORD, read_record
from runback.system.config import targets
from runback.system.config.written_config import refuse_left_out, resolved
from runback.tracking.layout import Layout
from runback.tracking.mlflow_limits import NAME_LIMIT, metric_name
from runback.tracking.read.find_runs import artifact_files, find_run, read_bytes
from runback.tracking.store import Store
from runback.tracking.tags import TEST_IMAGES_TAG, TEST_OPENED_TAG, TRAIN_HASH_TAG, VALIDATION_HASH_TAG
from runback.tracking.write.run_writer import RunWriter

FORMAT = "runback-evaluation-1"

OWN_FOLDER = "evaluations"
"""The folder of what is logged about images of one's own, a folder for each name."""


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


@dataclass(frozen=True)
class OwnImages:
    """Images of one's own, in place of the test split: where they are, and what they are called."""

    path: Path
    name: str


def evaluate_run(
    run: EvaluatedRun,
    options: Callable[[Dataset, Sequence[str], Mapping[str, Any]], EvaluationOptions],
    tick: Callable[[str], None],
    own: OwnImages | None = None,
) -> dict[str, Any]:
    """Open the test split, log what the run's network does on it, and return the report.

    `options` gets the images, their names, and the run's config. With `own`, the test split stays closed, and
    what is logged has its name. Errors: InputError, DataError, StoreError.
    """
    config = stored_config(run.store, run.id)
    refuse_left_out({"data": config["data"]})
    config = resolved(OmegaConf.create(config))
    declared = targets.declared_modules(run.layout.root)
    train, validation = load_data(config["data"], declared, run.layout.data)
    _refuse_other_data({TRAIN_HASH_TAG: train, VALIDATION_HASH_TAG: validation}, run.tags)
    writer = RunWriter(run.store, run.id)
    if own is None:
        _refuse_other_tests(DataSummary.of(train, validation, ""), run)
        spec = {key: value for key, value in config["data"].items() if key not in SPLIT_KNOBS}
        test = targets.build(spec, where="data", declared=declared, split="test", cache=run.layout.data)
        names = _names(train, len(test))
    else:
        shape = tuple(train.images.shape[1:])
        test, names = own_images(own.path, shape, train.class_names, run.layout.data)  # type: ignore[arg-type]
    _refuse_absent_classes(test)
    wanted = options(test, names, config)
    network = load_network(run.store, run.id, declared)
    if own is None:  # from here on, somebody knows how good it is
        writer.set_tags({TEST_OPENED_TAG: str(run.openings + 1)})
        writer.deliver()
    wanted = replace(wanted, references=partial(reference_losses, run))
    found = evaluate(network, Splits(train, validation, test), wanted, tick, is_own=own is not None)
    return _log(writer, run, found, own, wanted.groupings)


def _names(train: Dataset, n: int) -> Sequence[str]:
    names = None if train.origin is None else train.origin.report.test_names
    return [str(row) for row in range(n)] if names is None or len(names) != n else names


def _refuse_absent_classes(test: Dataset) -> None:
    counts = np.bincount(test.labels, minlength=len(test.class_names))
    absent = [name for name, count in zip(test.class_names, counts, strict=True) if not count]
    if absent:
        raise DataError(
            f"the images to test on have none of {', '.join(map(repr, absent[:5]))}: nothing could "
            "be said about "
            f"{len(absent)} of {len(test.class_names)} classes"
        )


def class_metrics(evaluation: Evaluation, prefix: str = "test") -> dict[str, float]:
    """Return `<prefix>_accuracy_<class>` for every class that there are images of.

    Names that become the same once MLflow's forbidden characters are replaced get their class's number.
    """
    metrics: dict[str, float] = {}
    for number, one in enumerate(evaluation.sections[0].facts["classes"]):
        if one["recall"] is None:
            continue
        name = metric_name(f"{prefix}_accuracy_{one['name']}")[: NAME_LIMIT - len(f"_{number}")]
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


def _log(
    writer: RunWriter,
    run: EvaluatedRun,
    evaluation: Evaluation,
    own: OwnImages | None,
    groupings: Sequence[Grouping],
) -> dict[str, Any]:
    """Log the report; test_accuracy, the sign that it is complete, comes last."""
    said = evaluation.answers
    n, folder = len(said), "" if own is None else f"{OWN_FOLDER}/{own.name}/"
    opened = run.openings + (own is None)
    prefix = "test" if own is None else own.name
    cost = cost_section(run.store, find_run(run.store, run.id))
    about = {"format": FORMAT, "run": run.id, "images": prefix, "n": n, "opened": opened}
    report = {**about, **evaluation.as_dict(), cost.name: cost.as_dict()}
    head = {"run": run.id, "images": f"{n:,}, {prefix}", "test split opened": f"{opened} times"}
    title = f"Evaluation of run {run.id[:12]}"
    writer.log_text(json.dumps(report, indent=1, allow_nan=False) + "\n", folder + EVALUATION)
    page = evaluation_page(title, head, [*evaluation.sections, cost])
    writer.log_text(page, folder + EVALUATION_PAGE)
    writer.log_bytes(write_answers(said, groupings), folder + ANSWERS)
    writer.log_figure(confusion_figure(confusion_of(said), said.class_names), folder + CONFUSION)
    if own is None:
        writer.set_tags({TEST_IMAGES_TAG: str(n)})
    measures = {
        f"{prefix}_{name}": measure.value
        for section in evaluation.sections
        for name, measure in section.measures.items()
    }
    if own is None:
        measures |= {f"cost_{name}": value for name, value in cost.facts.items()}
    accuracy = measures.pop(f"{prefix}_accuracy")
    writer.log_metrics({**measures, **class_metrics(evaluation, prefix)})
    writer.log_metrics({f"{prefix}_accuracy": accuracy})
    writer.deliver()
    return report


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
