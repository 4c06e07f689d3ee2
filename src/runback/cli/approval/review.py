"""`runback review RUN`: records that a person has looked at a run."""

import datetime
import sys

from runback.errors import InputError
from runback.runs.run_reference import find_in
from runback.system.options import Parser
from runback.system.text.terminal import say, say_json
from runback.tracking.layout import Layout, project_root
from runback.tracking.read.run_reader import open_reader

LONGEST_NAME = 200
"""Characters of a person's name."""

LONGEST_NOTE = 2_000
"""Characters of a note, and of a reason."""


def main(argv: list[str]) -> int:
    """Run `runback review`: shows the reviews, or adds one with --by. Errors: InputError, StoreError."""
    parser = Parser(
        prog="runback review", description="Record who looked at a run's evaluation, when, at what."
    )
    parser.add_argument("run", metavar="RUN", help="a run ID (or 6 characters of it), best:SWEEP")
    parser.add_argument("--by", metavar="NAME", help="who looked; without it the reviews are listed")
    parser.add_argument("--note", metavar="TEXT", default="", help="what was seen, and what follows from it")
    parser.add_argument("--next", metavar="DATE", help="when it is to be looked at again, as 2027-03-01")
    parser.add_argument("--json", action="store_true", help="print the reviews as JSON")
    options = parser.parse_args(argv)
    if options.by is None and (options.note or options.next):
        raise InputError("a review takes the name of who looked: --by=NAME")
    by = None if options.by is None else checked_text(options.by, "--by", LONGEST_NAME)
    note = checked_text(options.note, "--note", LONGEST_NOTE) if options.note else ""
    due = _date(options.next)
    layout = Layout(project_root())
    with open_reader(layout) as reader:
        run_id = find_in(reader, options.run, layout)
    _review(layout, run_id, by=by, note=note, due=due, as_json=options.json)
    return 0


def checked_text(text: str, option: str, longest: int) -> str:
    """Return what a person has written. Errors: InputError for nothing, and for too much."""
    if not text.strip() or len(text) > longest:
        raise InputError(f"{option}: expected 1 to {longest:,} characters; got {len(text.strip()):,}")
    if not text.strip().isprintable():
        raise InputError(f"{option}: expected one line of text without control characters; got {text!a:.80}")
    return text.strip()


def _review(
    layout: Layout, run_id: str, *, by: str | None, note: str, due: datetime.date | None, as_json: bool
) -> None:
    from runback.cli.approval.approval_record import add_review, read_approval, today
    from runback.cli.approval.card_of_run import statements_of, write_card
    from runback.tracking.store import open_store

    store = open_store(layout)
    if by is None:
        record = read_approval(store, run_id)
    else:
        statements = statements_of(layout)  # what is wrong with them is said before
        record = add_review(store, run_id, by=by, note=note, due=due)
        problem = write_card(store, run_id, statements)
        say(*([] if problem is None else [problem]), stream=sys.stderr)
    if as_json:
        say_json([one.model_dump(mode="json") for one in record.reviews])
        return
    for one in record.reviews:
        again = f", again by {one.next}" if one.next else ""
        earlier = "" if record.is_current(one) else ", of an earlier evaluation"
        say(f"{one.when}  {one.by}  {one.note or 'no note'}{again}{earlier}")
    if not record.reviews:
        say(f"nobody has reviewed run {run_id}")
    if record.due is not None and record.due < today():
        say(f"the review is due since {record.due}: --next=DATE gives another date")


def _date(text: str | None) -> datetime.date | None:
    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--next: expected a date like 2027-03-01; got {text!a:.40}") from error
