"""`runback evaluate`: opens the test split, once per run."""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runback.cli.classifier_only import refuse_task
from runback.errors import InputError
from runback.runs.run_reference import run_id
from runback.runs.tasks.hydra_app import enter_project
from runback.system.files.folder_lock import alone_in
from runback.system.options import Parser
from runback.system.text.quiet_stderr import silenced
from runback.system.text.terminal import say, say_json
from runback.tracking.layout import Layout, project_root
from runback.tracking.read.find_runs import find_run
from runback.tracking.store import Store, open_store
from runback.tracking.tags import KIND_TAG, SWEEP_TAG, TEST_IMAGES_TAG, TEST_OPENED_TAG

if TYPE_CHECKING:  # these import TensorFlow, which a run that was evaluated before does not need
    from runback.classifier.evaluation.card.card_statements import CardStatements
    from runback.classifier.evaluation.gates.gate_file import Gates
    from runback.classifier.evaluation.groups.metadata import Grouping
    from runback.classifier.evaluation.network_evaluation import EvaluationOptions
    from runback.classifier.evaluation.shifts.corruption_accuracy import ReferenceAccuracies
    from runback.cli.approval.evaluate_run import OpenedSplits
    from runback.cli.approval.unstored_evaluation import OwnImages

ACCURACY = 0.95
"""The accuracy that a network is asked for where it may leave images to a person."""

MEASURING = {
    "metadata": "--metadata",
    "groups": "--groups",
    "accuracy": "--accuracy",
    "ood": "--ood",
    "reference": "--reference",
}
"""Options that say something only where a network is measured."""


@dataclass(frozen=True)
class Request:
    """A run that is to be evaluated, and what was asked for."""

    store: Store
    layout: Layout
    run: Any
    """The run, as MLflow has it."""
    options: argparse.Namespace
    statements: "CardStatements"
    gates: "tuple[Gates, ...]"

    @property
    def id(self) -> str:
        """The ID of the run."""
        return str(self.run.info.run_id)


def main(argv: list[str]) -> int:
    """Evaluate a finished run on its test split and print the report; returns the exit code.

    Logs evaluation.json, the page evaluation.html and the metrics test_… to the run. A run that was evaluated
    before is not again, unless with --again: its report is printed. Returns 1 where gates are not passed.
    Raises InputError and StoreError.
    """
    options = _parser().parse_args(argv)
    _refuse_unused(options)
    layout = Layout(project_root())
    store = open_store(layout)
    run = find_run(store, run_id(options.run, layout))
    found_id = run.info.run_id
    refuse_task(run.data.tags, found_id, "evaluate")
    if run.data.tags.get(KIND_TAG) == "sweep":
        raise InputError(f"run {found_id} is a whole sweep: name one of its runs, or best:SWEEP")
    if run.info.status != "FINISHED":
        raise InputError(f"only a FINISHED run can be evaluated; run {found_id} is {run.info.status}")
    if options.feedback:
        from runback.cli.approval.evaluate_feedback import evaluate_feedback

        say_json(evaluate_feedback(store, layout, found_id))
        return 0
    with alone_in(layout.evaluation(found_id).with_suffix(".lock"), f"the evaluation of run {found_id}"):
        return _evaluated(_request(store, layout, find_run(store, found_id), options))


def _parser() -> Parser:
    parser = Parser(prog="runback evaluate", description="Measure a run's network on its test split, once.")
    parser.add_argument("run", metavar="RUN", help="its ID, 6 or more characters of it, or best:SWEEP")
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
        help=f"where it may leave images to a person, it is to be right this often (default: {ACCURACY})",
    )
    parser.add_argument(
        "--data",
        metavar="PATH",
        type=Path,
        help="images of your own in place of the test split: a folder with one of each class, or parquet",
    )
    parser.add_argument("--name", help="the name that these are logged under (default: the path's)")
    parser.add_argument(
        "--feedback", action="store_true", help="score what people have said of its answers, and nothing else"
    )
    parser.add_argument(
        "--ood", metavar="PATH", type=Path, help="images of another data set: how confident is it there?"
    )
    parser.add_argument(
        "--reference", metavar="RUN", help="an evaluated run to compare errors on worse images with"
    )
    return parser


def _refuse_unused(options: argparse.Namespace) -> None:
    """Raise InputError for options that do not go together, and for values that are none."""
    given = {name: text for name, text in MEASURING.items() if getattr(options, name) is not None}
    others = {"gates": "--gates", "data": "--data", "name": "--name"}
    given |= {name: text for name, text in others.items() if getattr(options, name) is not None}
    given |= {"again": "--again"} if options.again else {}
    if options.feedback and given:
        raise InputError(f"--feedback does not go with {', '.join(given.values())}")
    if options.data is None and options.name is not None:
        raise InputError("--name is what images of your own are called: --data=PATH says where they are")
    if options.data is not None and options.again:
        raise InputError("--again is about the test split: it does not go with --data")
    if options.groups and options.metadata is None:
        raise InputError("--groups names columns of a table: --metadata=FILE names the table")
    if options.accuracy is not None and not 0 < options.accuracy < 1:
        raise InputError(f"--accuracy must lie in (0, 1); got {options.accuracy:g}")


def _request(store: Store, layout: Layout, run: Any, options: argparse.Namespace) -> Request:
    """Return a request whose statements and gates have been read, before anything is opened."""
    from runback.classifier.evaluation.gates.gate_file import gates_file, read_gates
    from runback.cli.approval.approval_record import GATES_FOLDER, read_approval
    from runback.cli.approval.card_of_run import statements_of

    folder = layout.root / GATES_FOLDER
    names = [] if options.gates is None else [options.gates]
    if options.again:  # what gates said was of numbers that are replaced
        before = [check.gates for check in read_approval(store, run.info.run_id).checks]
        names += [name for name in before if name not in names and gates_file(folder, name).exists()]
    gates = tuple(read_gates(folder, name) for name in names)
    return Request(store, layout, run, options, statements_of(layout), gates)


def _evaluated(request: Request) -> int:
    from runback.cli.approval.evaluation_output import show

    own = _own_images(request)
    if own is not None:
        _store_what_waits(request)
        report = _measured(request, own)
    else:
        is_new = _is_to_be_measured(request)
        report = _measured(request, None) if is_new else _recorded(request)
        if request.gates and not is_new:
            _refuse_unknown_groups(request, report)
        if request.gates:
            _record_checks(request, report)
        if is_new or request.gates:
            _write_card(request)
    is_passed = _show_checks(request, report)
    show(report, as_json=request.options.json)
    return 0 if is_passed else 1


def _own_images(request: Request) -> "OwnImages | None":
    options = request.options
    if options.data is None:
        return None
    from runback.cli.approval.unstored_evaluation import OwnImages, checked_name

    name = options.data.absolute().stem if options.name is None else options.name
    return OwnImages(options.data.absolute(), checked_name(name))


def _store_what_waits(request: Request) -> bool:
    """Store an evaluation of the test split that was measured when the store was away; was there one?"""
    from runback.cli.approval.unstored_evaluation import is_unstored, store_evaluation

    if not is_unstored(request.layout, request.id):
        return False
    store_evaluation(request.store, request.layout, request.id, request.run.data.metrics)
    say("an evaluation of the test split that was measured before is stored now", stream=sys.stderr)
    return True


def _is_to_be_measured(request: Request) -> bool:
    """Tell whether the test split is to be opened. Errors: InputError where it was already."""
    tags, metrics = request.run.data.tags, request.run.data.metrics
    asked = [text for name, text in MEASURING.items() if getattr(request.options, name) is not None]
    if _store_what_waits(request):
        if not request.options.again and not asked:
            return False
    elif request.options.again or not {TEST_OPENED_TAG, TEST_IMAGES_TAG} & {*tags}:
        return True
    elif "test_accuracy" not in metrics:
        raise InputError(
            f"the test split of run {request.id} was opened, and its evaluation did not end: --again opens "
            "it again"
        )
    if asked and not request.options.again:
        raise InputError(
            f"run {request.id} was evaluated before, and the test split is opened once: {', '.join(asked)} "
            "would measure anew, which takes --again"
        )
    return bool(request.options.again)


def _recorded(request: Request) -> dict[str, Any]:
    from runback.cli.approval.evaluation_report import read_evaluation

    report = read_evaluation(request.store, request.id)
    say(
        "this run was evaluated before: the test split is opened once, this is its recorded report",
        stream=sys.stderr,
    )
    return report


def _refuse_unknown_groups(request: Request, report: Mapping[str, Any]) -> None:
    """Raise InputError for gates on classes and groups that a recorded evaluation does not have."""
    from runback.classifier.evaluation.gates.gate_scope import refuse_unknown_groups

    try:
        classes = [str(one["name"]) for one in report["quality"]["classes"]]
        groupings = [str(one["name"]) for one in report["groups"]["groupings"]]
    except (KeyError, TypeError) as error:
        raise InputError(f"the evaluation of run {request.id} is damaged: it lacks {error}") from error
    refuse_unknown_groups(request.gates, classes, groupings)


def _measured(request: Request, own: "OwnImages | None") -> dict[str, Any]:
    """Measure a run's network, store what was found, and return the report."""
    baseline = _baseline(request)
    enter_project(request.layout)
    with silenced():
        from runback.cli.approval.evaluate_run import EvaluatedRun, measure_run, open_splits
        from runback.cli.approval.evaluation_log import MeasuredRun, write_evaluation
        from runback.cli.approval.evaluation_output import progress
        from runback.cli.approval.run_cost import cost_section
        from runback.cli.approval.unstored_evaluation import store_evaluation
    run = EvaluatedRun(request.store, request.layout, request.id, request.run.data.tags)
    if own is not None:
        _refuse_taken_name(request, own)
    cost = cost_section(request.store, request.run)
    with progress(is_silent=request.options.json) as tick:
        opened = open_splits(run, own)
        options = _options(request, opened, baseline, is_test=own is None)
        evaluation = measure_run(run, opened, options, tick)
    openings = run.openings + (own is None)
    images, n = "test" if own is None else own.name, len(evaluation.answers)
    budget = _budget(request, openings, evaluation.answers.correct.mean(), n) if own is None else []
    measured = MeasuredRun(request.id, images, openings, evaluation, cost, budget, options.groupings)
    about = {
        "run": request.id,
        "images": f"{n:,}, {images}",
        "test split opened": "once" if openings == 1 else f"{openings} times",
        **({"budget": "; ".join(budget)} if budget else {}),
        **_verdicts(request, measured.report()),
        "approval": "gates, reviews and waivers are in model_card.html",
    }
    write_evaluation(request.layout, measured, about)
    store_evaluation(request.store, request.layout, request.id, request.run.data.metrics)
    return measured.report()


def _refuse_taken_name(request: Request, own: "OwnImages") -> None:
    from runback.cli.approval.unstored_evaluation import refuse_taken_names
    from runback.tracking.read.find_runs import artifact_files

    files = artifact_files(request.store, request.id)
    refuse_taken_names(own.name, request.run.data.metrics, [*files])


def _options(
    request: Request, opened: "OpenedSplits", baseline: "ReferenceAccuracies | None", *, is_test: bool
) -> "EvaluationOptions":
    from runback.classifier.data.dataset_hash import content_hash
    from runback.classifier.evaluation.gates.gate_scope import refuse_unknown_groups
    from runback.classifier.evaluation.groups.metadata import grouping_names, groupings, read_metadata
    from runback.classifier.evaluation.network_evaluation import EvaluationOptions
    from runback.classifier.evaluation.own_images import ood_images_in

    options, test = request.options, opened.splits.test
    if baseline is not None and baseline.images_sha256 != content_hash(test):
        raise InputError(f"--reference: run {baseline.run} was evaluated on other images")
    columns: list[Grouping] = []
    notes: list[str] = []
    if options.metadata is not None:
        columns, notes = groupings(read_metadata(options.metadata, opened.names), options.groups)
        say(*notes, stream=sys.stderr)
    names = grouping_names([one.name for one in columns])
    refuse_unknown_groups(request.gates, test.class_names, names)
    others = None
    if options.ood is not None:
        shape = tuple(test.images.shape[1:])
        others = ood_images_in(options.ood.absolute(), shape, request.layout.data)  # type: ignore[arg-type]
    return EvaluationOptions(
        top_k=_top_k(opened.config, len(test.class_names)),
        wanted_accuracy=ACCURACY if options.accuracy is None else options.accuracy,
        groupings=columns,
        files=opened.names if opened.has_files else (),
        notes=notes,
        baseline=baseline,
        other_images=others,
        with_membership=is_test,
    )


def _top_k(config: Mapping[str, Any], classes: int) -> int:
    """Return the run's training.top_k, or 5 of many classes, 2 of few."""
    training = config.get("training")
    k = training.get("top_k") if isinstance(training, Mapping) else None
    if isinstance(k, int):
        return k
    return 5 if classes > 10 else 2


def _baseline(request: Request) -> "ReferenceAccuracies | None":
    """Return another run's accuracies on worse images. Errors: InputError where it has none."""
    if request.options.reference is None:
        return None
    from runback.classifier.evaluation.shifts.corruption_table import CORRUPTIONS, SEVERITIES
    from runback.cli.approval.evaluation_report import read_evaluation

    other = find_run(request.store, run_id(request.options.reference, request.layout)).info.run_id
    report = read_evaluation(request.store, other)
    try:
        table = report["corruptions"]["corruptions"]
        accuracies = {one.name: [float(cell["value"]) for cell in table[one.name]] for one in CORRUPTIONS}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"--reference: the evaluation of run {other} lacks a corruption: {error}") from error
    for name, row in accuracies.items():
        if len(row) != len(SEVERITIES) or not all(0 <= accuracy <= 1 for accuracy in row):
            raise InputError(
                f"--reference: the evaluation of run {other} has no accuracies at {len(SEVERITIES)} "
                f"severities of {name}"
            )
        if sum(row) == len(row):
            raise InputError(f"--reference: run {other} makes no error in {name}: nothing is relative to it")
    with silenced():
        from runback.classifier.evaluation.shifts.corruption_accuracy import ReferenceAccuracies
    return ReferenceAccuracies(other, report["images_sha256"], accuracies)


def _budget(request: Request, openings: int, accuracy: float, n: int) -> list[str]:
    """Return what was opened how often, and what that does to a best score; the sweep's run is told, too."""
    from runback.cli.approval.sweep_budget import note_tested_runs

    lines = []
    if openings > 1:
        lines.append(
            f"the test split of this run was opened {openings} times: whatever was changed after looking was "
            "chosen by it"
        )
    sweep = request.run.data.tags.get(SWEEP_TAG)
    if sweep is not None:
        said = note_tested_runs(request.store, sweep, request.id, float(accuracy), n)
        lines += [said] if said else []
    return lines


def _verdicts(request: Request, report: Mapping[str, Any]) -> dict[str, str]:
    """Return how gates stand to a report, for the head of its page."""
    from runback.classifier.evaluation.gates.gate_file import check_gates

    verdicts = {}
    for gates in request.gates:
        failed = [one.condition for one in check_gates(gates, report) if not one.passed]
        verdicts[f"gates {gates.name}"] = f"failed: {'; '.join(failed)}" if failed else "passed"
    return verdicts


def _show_checks(request: Request, report: Mapping[str, Any]) -> bool:
    """Check the gates with a report, show what they say, and tell whether all are passed."""
    from runback.classifier.evaluation.gates.gate_file import check_gates

    results = [result for gates in request.gates for result in check_gates(gates, report)]
    say(*(one.line() for one in results), stream=sys.stderr)
    return all(one.passed for one in results)


def _record_checks(request: Request, report: Mapping[str, Any]) -> None:
    """Record what the gates say of the stored evaluation, which promotions go by."""
    from runback.classifier.evaluation.gates.gate_file import check_gates
    from runback.cli.approval.approval_record import add_checks, gate_check, today
    from runback.runs.schema import EVALUATION
    from runback.tracking.read.find_runs import read_bytes

    content = read_bytes(request.store, request.id, EVALUATION)
    checks = [gate_check(gates, check_gates(gates, report), content) for gates in request.gates]
    record = add_checks(request.store, request.id, checks)
    if record.due is not None and record.due < today():
        owners = ", ".join(sorted({check.owner for check in record.checks}))
        say(f"its review was due by {record.due}, owner: {owners}", stream=sys.stderr)


def _write_card(request: Request) -> None:
    from runback.cli.approval.card_of_run import write_card

    problem = write_card(request.store, request.id, request.statements)
    if problem is not None:
        say(problem, stream=sys.stderr)
