"""Makes a run's model its sweep's champion, by hand: `runback promote RUN`."""

import datetime
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runback.errors import InputError
from runback.runs.run_reference import find_in
from runback.runs.schema import ANSWERS
from runback.system.options import Parser
from runback.system.text.terminal import say
from runback.tracking.layout import Layout, project_root
from runback.tracking.read.run_reader import open_reader
from runback.tracking.tags import GATES_TAG, REVIEW_BY_TAG, WAIVER_TAG

FAILED = "failed"
"""The word in a run's tag of gates that says that it has not passed."""

if TYPE_CHECKING:
    from runback.classifier.evaluation.gates.champion_comparison import ChampionComparison
    from runback.tracking.store import Store


def main(argv: list[str]) -> int:
    """Run `runback promote`: registers the model if need be, and moves the alias. InputError, StoreError."""
    parser = Parser(
        prog="runback promote",
        description="Register a run's model as runback-SWEEP, unless it is, and make it the champion.",
    )
    parser.add_argument("run", metavar="RUN", help="a run ID (or 6 characters of it), best:SWEEP")
    parser.add_argument("--json", action="store_true", help="name, version, run ID, version before")
    parser.add_argument(
        "--waive", metavar="REASON", help="promote it although its gates, or a review, are against it"
    )
    parser.add_argument("--by", metavar="NAME", help="who waives it")
    options = parser.parse_args(argv)
    if (options.waive is None) != (options.by is None):
        raise InputError("a waiver takes a reason and a name: --waive=REASON --by=NAME")
    layout = Layout(project_root())
    with open_reader(layout) as reader:
        run_id = find_in(reader, options.run, layout)
    told, comparison = promote(
        layout, run_id, waiver=None if options.by is None else (options.by, options.waive)
    )
    if comparison is not None:
        say(*comparison.lines(), stream=sys.stderr)
    against = {} if comparison is None else {"against_champion": comparison.as_dict()}
    say(json.dumps({**told, **against}) if options.json else _sentence(told))
    return 0


def promote(
    layout: Layout, run_id: str, *, waiver: tuple[str, str] | None = None
) -> "tuple[dict[str, str | None], ChampionComparison | None]":
    """Make a run's model the champion of its sweep; return what it is, and how it stands to the one before.

    `waiver` is a name and a reason. Errors: InputError for a run without a sweep or a model, and for one
    whose gates or whose review are against it, without a waiver; StoreError.
    """
    from runback.cli.approval.card_of_run import write_card
    from runback.tracking.read.find_runs import find_run
    from runback.tracking.registry import champion, crown, register
    from runback.tracking.store import open_store
    from runback.tracking.write.run_writer import RunWriter

    store = open_store(layout)
    objections = _objections(find_run(store, run_id).data.tags)
    if objections and waiver is None:
        raise InputError(
            f"run {run_id} is not promoted: {'; '.join(objections)}. A waiver takes a name and a reason: "
            "--waive=REASON --by=NAME"
        )
    tags = {}
    if objections and waiver is not None:
        when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        content = {"by": waiver[0], "reason": waiver[1], "when": when, "although": objections}
        tags = {WAIVER_TAG: json.dumps(content)}
        writer = RunWriter(store, run_id)
        writer.set_tags(tags)
        writer.deliver()
    version = register(store, run_id, description="Promoted by hand.", tags=tags)
    before = champion(store, version.name)
    comparison = None
    if before is not None and before.run_id not in ("", run_id):
        comparison = _comparison(store, run_id, before.run_id)
    crown(store, version)
    write_card(store, layout, run_id)
    told = {
        "name": version.name,
        "version": version.number,
        "run_id": run_id,
        "before": None if before is None else before.number,
    }
    return told, comparison


def _objections(tags: Mapping[str, str]) -> list[str]:
    """Return what gates and reviews say against a run, by its tags."""
    found = []
    gates = tags.get(GATES_TAG, "")
    if FAILED in gates.rpartition(": ")[2]:  # a name may hold the word as well
        found.append(f"gates {gates}")
    due = tags.get(REVIEW_BY_TAG)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    if due is not None and due < today:
        found.append(f"its review was due by {due}: runback review RUN")
    return found


def _comparison(store: "Store", run_id: str, champion_id: str) -> "ChampionComparison | None":
    """Compare the answers that both runs have recorded; None where one has none, or to other images."""
    from runback.classifier.evaluation.gates.answers_file import read_answers
    from runback.classifier.evaluation.gates.champion_comparison import compare_answers
    from runback.tracking.read.find_runs import artifact_files, read_bytes

    tables: list[Any] = []
    for one in (run_id, champion_id):
        if ANSWERS not in artifact_files(store, one):
            return None
        tables.append(read_answers(read_bytes(store, one, ANSWERS), f"{ANSWERS} of run {one}"))
    return compare_answers(*tables)


def _sentence(told: dict[str, str | None]) -> str:
    what = f"{told['name']} version {told['version']} (run {told['run_id']})"
    if told["before"] == told["version"]:
        return f"{what} is the champion already"
    return f"{what} is the champion now; before: {told['before'] or 'none'}"
