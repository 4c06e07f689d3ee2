"""`runback evaluate`: opens the test split, once per run."""

import contextlib
import datetime
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from runback.cli.approval.promote import FAILED
from runback.cli.classifier_only import refuse_task
from runback.errors import InputError
from runback.runs.run_reference import run_id
from runback.runs.schema import EVALUATION, FEEDBACK, GATES
from runback.runs.tasks.hydra_app import enter_project
from runback.system.options import Parser
from runback.system.text.escape import for_terminal
from runback.system.text.quiet_stderr import silenced
from runback.system.text.screen import Screen
from runback.system.text.terminal import say, say_json
from runback.tracking.layout import Layout, project_root
from runback.tracking.read.find_runs import find_run, read_text, search_sweep
from runback.tracking.store import Store, open_store
from runback.tracking.tags import GATES_TAG, REVIEW_BY_TAG, REVIEWED_TAG, SWEEP_TAG
from runback.tracking.write.run_writer import RunWriter

if TYPE_CHECKING:  # these import TensorFlow, which a run that was evaluated before does not need
    from runback.classifier.data.dataset import Dataset
    from runback.classifier.evaluation.gates.gate_file import Gates
    from runback.classifier.evaluation.groups.metadata import Grouping
    from runback.classifier.evaluation.network_evaluation import EvaluationOptions
    from runback.cli.approval.evaluate_run import OwnImages

GATES_FOLDER = Path("conf/gates")
"""Where a project's gates are."""

ACCURACY = 0.95
"""The accuracy that a network is asked for where it may leave images to a person."""


def main(argv: list[str]) -> int:
    """Evaluate a finished run on its test split and print the report; returns the exit code.

    Logs evaluation.json, the page evaluation.html and the metrics test_… to the run. A run that was evaluated
    before is not again, unless with --again: its report is printed. Returns 1 where gates are not passed.
    Raises InputError and StoreError.
    """
    options = _parser().parse_args(argv)
    layout = Layout(project_root())
    store = open_store(layout)
    found = find_run(store, run_id(options.run, layout))
    found_id = found.info.run_id
    refuse_task(found.data.tags, found_id, "evaluate")
    if found.info.status != "FINISHED":
        raise InputError(f"only a FINISHED run can be evaluated; run {found_id} is {found.info.status}")
    if not 0 < options.accuracy < 1:
        raise InputError(f"--accuracy must lie in (0, 1); got {options.accuracy:g}")
    if options.feedback:
        say_json(_score_feedback(store, layout, found_id))
        return 0
    own = _own_images(options)
    if own is not None and options.gates:
        raise InputError("gates are about the test split: --gates does not go with --data")
    gates = _gates(layout, options.gates or (_checked_before(found.data.tags) if options.again else None))
    if own is None and "test_accuracy" in found.data.metrics and not options.again:
        if options.metadata or options.reference or options.foreign:
            raise InputError(
                f"run {found_id} was evaluated before, and the test split is opened once: --again "
                "opens it again"
            )
        report = json.loads(read_text(store, found_id, EVALUATION))
        note = "this run was evaluated before: the test split is opened once, this is its recorded report"
    else:
        report = _evaluate(store, layout, found_id, found.data.tags, options, own)
        note = "" if own is not None else _budget(store, found.data.tags, report)
    passed = gates is None or _check(gates, report, found.data.tags, RunWriter(store, found_id))
    if own is None:
        _write_card(store, layout, found_id)
    _show(report, options.json, note)
    return 0 if passed else 1


def _parser() -> Parser:
    parser = Parser(prog="runback evaluate", description="Measure a run's network on its test split, once.")
    parser.add_argument(
        "run", metavar="RUN", help="its ID, the first 6 or more characters of it, or best:SWEEP"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--again", action="store_true", help="open the test split once more; it is counted")
    parser.add_argument("--gates", metavar="NAME", help="check the gates in conf/gates/NAME.yaml")
    parser.add_argument(
        "--metadata",
        metavar="FILE",
        type=Path,
        help="a table (parquet, CSV) with a row for each test image: its columns make groups",
    )
    parser.add_argument("--groups", metavar="COLUMN", nargs="+", help="use these columns of the table alone")
    parser.add_argument(
        "--accuracy",
        metavar="SHARE",
        type=float,
        default=ACCURACY,
        help=f"where it may leave images to a person, it is to be right this often (default: {ACCURACY})",
    )
    parser.add_argument(
        "--data",
        metavar="PATH",
        type=Path,
        help="images of your own in place of the test split: a folder with one of each class, or parquet",
    )
    parser.add_argument(
        "--name", help="what they are called where results are logged (default: the path's name)"
    )
    parser.add_argument(
        "--feedback", action="store_true", help="score what people have said of its answers, and nothing else"
    )
    parser.add_argument(
        "--foreign",
        metavar="PATH",
        type=Path,
        help="images of another data set: does it know that it does not?",
    )
    parser.add_argument(
        "--reference", metavar="RUN", help="an evaluated run to compare errors on worse images with"
    )
    return parser


def _checked_before(tags: Mapping[str, str]) -> str | None:
    """Return the gates that a run was checked with: what they said is about numbers that are replaced."""
    name, _, _ = tags.get(GATES_TAG, "").rpartition(": ")
    return name or None


def _gates(layout: Layout, name: str | None) -> "Gates | None":
    from runback.classifier.evaluation.gates.gate_file import read_gates

    return None if name is None else read_gates(layout.root / GATES_FOLDER, name)


def _score_feedback(store: Store, layout: Layout, found_id: str) -> dict[str, Any]:
    """Score what people have said of a run's answers, and log it. Errors: InputError where nobody has."""
    from runback.classifier.evaluation.feedback_report import feedback_report
    from runback.classifier.serving.feedback import read_feedback
    from runback.keras.networks.stored_network import load_network
    from runback.runs.schema import RECORD, read_record
    from runback.system.config.targets import declared_modules
    from runback.tracking.read.find_runs import read_bytes

    file = layout.feedback(found_id)
    if not file.exists():
        raise InputError(
            f"nobody has said anything of the answers of run {found_id}: runback serve --feedback"
        )
    train = read_record(read_bytes(store, found_id, RECORD), RECORD)["data"]["train"]

    def ask(images: Any) -> Any:
        enter_project(layout)
        network = load_network(store, found_id, declared_modules(layout.root))
        return network.predict(images, verbose=0).argmax(axis=1)

    shape = tuple(train["shape"][1:])
    report = feedback_report(read_feedback(file), tuple(train["class_counts"]), shape, ask)  # type: ignore[arg-type]
    writer = RunWriter(store, found_id)
    writer.log_text(json.dumps(report, indent=1) + "\n", FEEDBACK)
    names = {"disputed": "feedback_disputed", "agrees": "feedback_agrees"}
    writer.log_metrics({metric: report[name]["value"] for name, metric in names.items() if report[name]})
    writer.deliver()
    return report


def _write_card(store: Store, layout: Layout, found_id: str) -> None:
    from runback.cli.approval.card_of_run import write_card

    write_card(store, layout, found_id)


def _own_images(options: Any) -> "OwnImages | None":
    if options.data is None:
        if options.name is not None:
            raise InputError("--name is what images of your own are called: --data=PATH says where they are")
        return None
    from runback.classifier.evaluation.own_images import checked_name
    from runback.cli.approval.evaluate_run import OwnImages

    return OwnImages(options.data.absolute(), checked_name(options.name or options.data.stem))


def _evaluate(
    store: Store,
    layout: Layout,
    found_id: str,
    tags: Mapping[str, str],
    options: Any,
    own: "OwnImages | None",
) -> dict[str, Any]:
    reference = _reference(store, layout, options.reference)
    enter_project(layout)
    with silenced():
        from runback.cli.approval.evaluate_run import EvaluatedRun, evaluate_run
    with _progress(is_silent=options.json) as tick:
        return evaluate_run(
            EvaluatedRun(store, layout, found_id, tags),
            lambda test, names, config: replace(
                _options(test, names, config, options, reference),
                foreign=_foreign(test, options.foreign, layout),
            ),
            tick,
            own,
        )


def _options(
    test: "Dataset", names: Sequence[str], config: Mapping[str, Any], options: Any, reference: Any
) -> "EvaluationOptions":
    from runback.classifier.evaluation.groups.metadata import groupings, read_metadata
    from runback.classifier.evaluation.network_evaluation import EvaluationOptions

    columns: list[Grouping] = []
    notes: list[str] = []
    if options.metadata is not None:
        columns, notes = groupings(read_metadata(options.metadata, names), options.groups)
        for line in notes:
            say(line, stream=sys.stderr)
    elif options.groups:
        raise InputError("--groups names columns of a table: --metadata=FILE names the table")
    return EvaluationOptions(
        top_k=_top_k(config, len(test.class_names)),
        wanted_accuracy=options.accuracy,
        groupings=columns,
        notes=notes,
        reference=reference,
    )


def _foreign(test: "Dataset", path: Path | None, layout: Layout) -> Any:
    from runback.classifier.evaluation.own_images import foreign_images_in

    shape = tuple(test.images.shape[1:])
    return None if path is None else foreign_images_in(path.absolute(), shape, layout.data)  # type: ignore[arg-type]


def _top_k(config: Mapping[str, Any], classes: int) -> int:
    """Return the run's training.top_k, or 5 of many classes, 2 of few."""
    training = config.get("training")
    k = training.get("top_k") if isinstance(training, Mapping) else None
    if isinstance(k, int):
        return k
    return 5 if classes > 10 else min(2, classes)


def _reference(store: Store, layout: Layout, reference: str | None) -> dict[str, Any] | None:
    if reference is None:
        return None
    other = find_run(store, run_id(reference, layout)).info.run_id
    report = json.loads(read_text(store, other, EVALUATION))
    table = report.get("corruptions", {}).get("corruptions")
    if not isinstance(table, dict):
        raise InputError(f"run {other} has no evaluation with corruptions to compare with: evaluate it first")
    return {"run": other, "accuracies": {name: [one["value"] for one in row] for name, row in table.items()}}


@contextlib.contextmanager
def _progress(*, is_silent: bool) -> Iterator[Callable[[str], None]]:
    """Show what is done: a bar on a terminal, elsewhere a line for each kind of work, unless it is silent."""
    from runback.classifier.evaluation.network_evaluation import STEPS

    console = Screen(sys.stderr)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("loading", total=STEPS)
            yield lambda text: bar.update(task, advance=1, description=text)
        return
    said: set[str] = set()

    def tick(text: str) -> None:
        if text not in said and not is_silent:
            say(text)
            said.add(text)

    yield tick


def _budget(store: Store, tags: Mapping[str, str], report: Mapping[str, Any]) -> str:
    """Return what was opened how often, and what that does to a best score."""
    from runback.cli.approval.evaluate_run import optimism_of_best

    lines = []
    if report["opened"] > 1:
        lines.append(
            f"the test split of this run was opened {report['opened']} times: what was changed "
            "after looking has "
            "been chosen by it"
        )
    sweep = tags.get(SWEEP_TAG)
    if sweep is not None:
        tested = [run for run in search_sweep(store, sweep) if "test_accuracy" in run.data.metrics]
        accuracy = report["quality"]["accuracy"]
        gain = optimism_of_best(len(tested), accuracy["n"], accuracy["value"])
        if gain:
            lines.append(
                f"{len(tested)} runs of sweep {sweep} were tested: by chance alone the best of them "
                "looks up to "
                f"{gain:.4f} better than it is"
            )
    return "; ".join(lines)


def _check(gates: "Gates", report: Mapping[str, Any], before: Mapping[str, str], writer: RunWriter) -> bool:
    """Check gates with a report, tag the run, whose tags were `before`, and tell whether it passes."""
    from runback.classifier.evaluation.gates.gate_file import check_gates

    results = check_gates(gates, report)
    failed = [one for one in results if not one.passed]
    overdue = gates.review_by < datetime.datetime.now(datetime.UTC).date()
    content = {
        "gates": gates.name,
        "owner": gates.owner,
        "review_by": gates.review_by.isoformat(),
        "checked": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "results": [one.as_dict() for one in results],
    }
    writer.log_text(json.dumps(content, indent=1) + "\n", GATES)
    verdict = "passed" if not failed else f"{FAILED} {len(failed)} of {len(results)}"
    tags = {GATES_TAG: f"{gates.name}: {verdict}"}
    if REVIEWED_TAG not in before:  # else the review's own date holds
        tags[REVIEW_BY_TAG] = gates.review_by.isoformat()
    writer.set_tags(tags)
    writer.deliver()
    for one in results:
        say(
            f"{'passed' if one.passed else 'FAILED'}  {one.condition}  (is {one.value:.4g})",
            stream=sys.stderr,
        )
    if overdue:
        say(
            f"the review of gates {gates.name} was due by {gates.review_by}, owner: {gates.owner}",
            stream=sys.stderr,
        )
    return not failed


def _show(report: Mapping[str, Any], as_json: bool, note: str = "") -> None:
    """Print the report to stdout, the note to stderr."""
    if note:
        say(note, stream=sys.stderr)
    if as_json:
        say_json(report)
        return
    console = Screen()
    table = Table("class", "images", "recall", "95 % interval", box=None, pad_edge=False)
    for one in report["quality"]["classes"]:
        recall = one["recall"]
        interval = f"{recall['low']:.3f} to {recall['high']:.3f}" if recall else ""
        table.add_row(
            for_terminal(one["name"]), f"{one['n']:,}", f"{recall['value']:.3f}" if recall else "", interval
        )
    console.print(table)
    numbers = Table("", "value", "95 % interval", box=None, pad_edge=False)
    for section in report.values():
        if not isinstance(section, Mapping):
            continue
        for name, measure in section.items():
            if isinstance(measure, Mapping) and measure.keys() >= {"value", "low", "high"}:
                ends = "" if measure["low"] is None else f"{measure['low']:.4f} to {measure['high']:.4f}"
                numbers.add_row(name.replace("_", " "), f"{measure['value']:.4f}", ends)
    console.print(numbers)
    accuracy = report["quality"]["accuracy"]
    ends = f"95 %: {accuracy['low']:.4f} to {accuracy['high']:.4f}"
    console.print(f"{report['images']} accuracy {accuracy['value']:.4f} ({ends})")
    console.print(f"images {report['n']:,}   run {report['run']}   page: evaluation.html, in the MLflow UI")
