"""`runback evaluate`: opens the test split, once per run."""

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from rich.table import Table

from runback.classifier.build import load_data
from runback.classifier.data.dataset import Dataset
from runback.classifier.data.dataset_hash import content_hash
from runback.classifier.data.reading.data_summary import DataSummary
from runback.classifier.train_config import SPLIT_KNOBS
from runback.cli.classifier_only import refuse_task
from runback.errors import DataError, InputError
from runback.keras.networks.stored_network import load_network, stored_config
from runback.runs.run_reference import run_id
from runback.runs.schema import CONFUSION, EVALUATION, RECORD, read_record
from runback.runs.tasks.hydra_app import enter_project
from runback.system.config import targets
from runback.system.config.written_config import refuse_left_out, resolved
from runback.system.options import Parser
from runback.system.text.escape import for_terminal
from runback.system.text.quiet_stderr import silenced
from runback.system.text.screen import Screen
from runback.system.text.terminal import say, say_json
from runback.tracking.layout import Layout, project_root
from runback.tracking.mlflow_limits import NAME_LIMIT, metric_name
from runback.tracking.read.find_runs import artifact_files, find_run, read_bytes, read_text
from runback.tracking.store import Store, open_store
from runback.tracking.tags import TEST_IMAGES_TAG, TRAIN_HASH_TAG, VALIDATION_HASH_TAG
from runback.tracking.write.run_writer import RunWriter

if TYPE_CHECKING:  # these import TensorFlow, which a run that was evaluated before does not need
    from runback.classifier.evaluation.classification import ClassificationReport


def main(argv: list[str]) -> int:
    """Evaluate a finished run on its test split and print the report; returns the exit code.

    Logs test_loss, test_accuracy, test_accuracy_<class>, test_macro_f1, test_top_k_accuracy (if the run has
    training.top_k), confusion.png and evaluation.json to the run. A run that was evaluated before is not
    again: its report is printed. Raises InputError and StoreError.
    """
    parser = Parser(prog="runback evaluate", description="Test a run's network, once.")
    parser.add_argument(
        "run", metavar="RUN", help="its ID, the first 6 or more characters of it, or best:SWEEP"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args(argv)
    layout = Layout(project_root())
    store = open_store(layout)
    found = find_run(store, run_id(options.run, layout))
    found_id = found.info.run_id
    refuse_task(found.data.tags, found_id, "evaluate")
    if found.info.status != "FINISHED":
        raise InputError(f"only a FINISHED run can be evaluated; run {found_id} is {found.info.status}")
    if "test_accuracy" in found.data.metrics:
        note = "this run was evaluated before: the test split is opened once, this is its recorded report"
        _show(json.loads(read_text(store, found_id, EVALUATION)), options.json, note)
        return 0
    _show(_evaluate(store, layout, found_id, found.data.tags), options.json)
    return 0


def _evaluate(store: Store, layout: Layout, run_id: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """Open the test split, log what the run's network does on it, and return the report."""
    enter_project(layout)
    config = stored_config(store, run_id)
    refuse_left_out({"data": config["data"]})
    config = resolved(OmegaConf.create(config))
    declared = targets.declared_modules(layout.root)
    train, validation = load_data(config["data"], declared, layout.data)
    _refuse_other_data({TRAIN_HASH_TAG: train, VALIDATION_HASH_TAG: validation}, tags)
    _refuse_other_tests(DataSummary.of(train, validation, ""), store, run_id)
    with silenced():
        from runback.classifier.evaluation.classification import evaluate

        network = load_network(store, run_id, declared)
    spec = {key: value for key, value in config["data"].items() if key not in SPLIT_KNOBS}
    test = targets.build(spec, where="data", declared=declared, split="test", cache=layout.data)
    report = evaluate(network, test, top_k=_top_k(config))
    _log(RunWriter(store, run_id), report)
    return {"run": run_id, **report.as_dict()}


def _top_k(config: Mapping[str, Any]) -> int | None:
    training = config.get("training")
    k = training.get("top_k") if isinstance(training, Mapping) else None
    return k if isinstance(k, int) else None


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


def _refuse_other_tests(now: DataSummary, store: Store, run_id: str) -> None:
    """Raise DataError where the test images are not those that were checked before the run was trained."""
    if RECORD not in artifact_files(store, run_id):
        return
    recorded = read_record(read_bytes(store, run_id, RECORD), RECORD).get("data_summary", {})
    before = recorded.get("test_sha256")
    if before is not None and before != now.test_sha256:
        raise DataError(
            "the test images or labels are not those that there were when the run was trained, and the test "
            "split stays closed: put them back, or train again"
        )


def _log(run: RunWriter, report: "ClassificationReport") -> None:
    """Log the report; test_accuracy, the sign that it is complete, comes last."""
    from runback.classifier.evaluation.confusion import confusion_figure

    run.log_text(json.dumps({"run": run.id, **report.as_dict()}, indent=2) + "\n", EVALUATION)
    run.log_figure(confusion_figure(report.confusion, report.class_names), CONFUSION)
    run.set_tags({TEST_IMAGES_TAG: str(report.n)})
    run.log_metrics(class_metrics(report))
    if report.top_k_accuracy is not None:
        run.log_metrics({"test_top_k_accuracy": report.top_k_accuracy})
    run.log_metrics(
        {"test_macro_f1": report.macro_f1, "test_loss": report.loss, "test_accuracy": report.accuracy}
    )
    run.deliver()


def class_metrics(report: "ClassificationReport") -> dict[str, float]:
    """Return `test_accuracy_<class>` for every class that the test split holds images of.

    Names that become the same once MLflow's forbidden characters are replaced get their class's number.
    """
    metrics: dict[str, float] = {}
    for number, one in enumerate(report.per_class):
        if one.accuracy is None:
            continue
        name = metric_name(f"test_accuracy_{one.name}")[: NAME_LIMIT - len(f"_{number}")]
        metrics[f"{name}_{number}" if name in metrics else name] = one.accuracy
    return metrics


def _show(report: Mapping[str, Any], as_json: bool, note: str = "") -> None:
    """Print the report to stdout, the note to stderr."""
    if note:
        say(note, stream=sys.stderr)
    if as_json:
        say_json(report)
        return
    low, high = report["test_accuracy_interval_95"]
    table = Table("class", "images", "accuracy", "95 % interval", box=None, pad_edge=False)
    for one in report["classes"]:
        interval = "{:.3f} to {:.3f}".format(*one["interval_95"]) if one["n"] else ""
        name, share = for_terminal(one["name"]), f"{one['accuracy']:.3f}" if one["n"] else ""
        table.add_row(name, f"{one['n']:,}", share, interval)
    console = Screen()
    console.print(table)
    console.print(f"test accuracy {report['test_accuracy']:.4f} (95 %: {low:.4f} to {high:.4f})")
    if "test_macro_f1" in report:  # older reports have none
        console.print(f"test macro F1 {report['test_macro_f1']:.4f}")
    if "top_k" in report:
        console.print(f"test accuracy {report['test_top_k_accuracy']:.4f} of the {report['top_k']} likeliest")
    console.print(f"test loss     {report['test_loss']:.4f}   images {report['n']:,}   run {report['run']}")
