"""Makes a run's model its sweep's champion, by hand: `runback promote RUN`."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runback.cli.approval.review import LONGEST_NAME, LONGEST_NOTE, checked_text
from runback.errors import InputError, RunbackError
from runback.runs.run_reference import find_in
from runback.runs.schema import ANSWERS
from runback.system.options import Parser
from runback.system.text.terminal import say, say_json
from runback.tracking.layout import Layout, project_root
from runback.tracking.read.run_reader import open_reader

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
    waiver = _waiver(options.waive, options.by)
    layout = Layout(project_root())
    with open_reader(layout) as reader:
        run_id = find_in(reader, options.run, layout)
    promoted = promote(layout, run_id, waiver=waiver)
    say(*promoted.notes, stream=sys.stderr)
    if options.json:
        against = {} if promoted.comparison is None else {"against_champion": promoted.comparison.as_dict()}
        say_json({**promoted.as_dict(), **against})
    else:
        say(promoted.sentence())
    return 0


@dataclass(frozen=True)
class Promoted:
    """A version that is the champion now, and the one that was before."""

    name: str
    version: str
    run_id: str
    before: str | None
    comparison: "ChampionComparison | None"
    notes: tuple[str, ...]
    """Lines on how it stands to the champion before, on a waiver, and on its card."""

    def as_dict(self) -> dict[str, str | None]:
        """Return it as JSON has it."""
        return {"name": self.name, "version": self.version, "run_id": self.run_id, "before": self.before}

    def sentence(self) -> str:
        """Return it for a person."""
        what = f"{self.name} version {self.version} (run {self.run_id})"
        if self.before == self.version:
            return f"{what} is the champion already"
        return f"{what} is the champion now; before: {self.before or 'none'}"


def promote(layout: Layout, run_id: str, *, waiver: tuple[str, str] | None = None) -> Promoted:
    """Make a run's model the champion of its sweep.

    `waiver` is a name and a reason. Errors: InputError for a run without a sweep or a model, and for one
    whose gates or whose review are against it, without a waiver; StoreError.
    """
    from runback.cli.approval.approval_record import (
        GATES_FOLDER,
        Waiver,
        add_waiver,
        now,
        read_approval,
        today,
    )
    from runback.cli.approval.card_of_run import statements_of, write_card
    from runback.tracking import registry
    from runback.tracking.store import open_store

    store, statements = open_store(layout), statements_of(layout)
    record = read_approval(store, run_id)
    objections = record.objections(layout.root / GATES_FOLDER, today())
    if objections and waiver is None:
        raise InputError(
            f"run {run_id} is not promoted: {'; '.join(objections)}. A waiver takes a name and a reason: "
            "--waive=REASON --by=NAME"
        )
    version = registry.register(store, run_id, description="Promoted by hand.", tags={})
    before = registry.champion(store, version.name)
    notes: list[str] = []
    if objections and waiver is not None:
        by, reason = waiver
        given = Waiver(by=by, when=now(), reason=reason, although=tuple(objections))
        registry.tag_version(store, version, add_waiver(store, run_id, given).tags())
    elif waiver is not None:
        notes.append("nothing is against it: no waiver is recorded")
    unchecked = record.unchecked(layout.root / GATES_FOLDER)
    if unchecked:
        notes.append(f"gates of this project that were not checked: {', '.join(unchecked)}")
    comparison = None
    if before is not None and before.run_id not in ("", run_id):
        comparison, said = _comparison(store, run_id, before.run_id)
        notes += said
    registry.crown(store, version)
    if record.evaluation_sha256 is not None:
        problem = write_card(store, run_id, statements)
        notes += [] if problem is None else [problem]
    number = None if before is None else before.number
    return Promoted(version.name, version.number, run_id, number, comparison, tuple(notes))


def _waiver(reason: str | None, by: str | None) -> tuple[str, str] | None:
    """Return a name and a reason. Errors: InputError for one without the other, or an empty one."""
    if reason is None and by is None:
        return None
    if reason is None or by is None:
        raise InputError("a waiver takes a reason and a name: --waive=REASON --by=NAME")
    return checked_text(by, "--by", LONGEST_NAME), checked_text(reason, "--waive", LONGEST_NOTE)


def _comparison(
    store: "Store", run_id: str, champion_id: str
) -> "tuple[ChampionComparison | None, list[str]]":
    """Compare the answers that both runs have recorded; return what a person reads, also why it cannot be."""
    from runback.classifier.evaluation.gates.answers_file import read_answers
    from runback.classifier.evaluation.gates.champion_comparison import compare_answers
    from runback.tracking.read.find_runs import artifact_files, read_bytes

    tables: list[Any] = []
    try:
        for one in (run_id, champion_id):
            if ANSWERS not in artifact_files(store, one):
                return None, [f"not compared with the champion: run {one} was not evaluated"]
            tables.append(read_answers(read_bytes(store, one, ANSWERS), f"{ANSWERS} of run {one}"))
    except RunbackError as error:  # the champion's files must not keep it the champion
        return None, [f"not compared with the champion: {error}"]
    found = compare_answers(*tables)
    if found is None:
        return None, ["not compared with the champion: they were tested on other images"]
    return found, found.lines()
