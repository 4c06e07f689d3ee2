"""Records that a person has looked at a run: `runback review RUN`."""

import datetime
import hashlib
import json

from runback.errors import InputError
from runback.runs.run_reference import find_in
from runback.runs.schema import EVALUATION, REVIEWS
from runback.system.options import Parser
from runback.system.text.terminal import say
from runback.tracking.layout import Layout, project_root
from runback.tracking.read.run_reader import open_reader
from runback.tracking.tags import REVIEW_BY_TAG, REVIEWED_TAG


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
    due = _date(options.next)
    layout = Layout(project_root())
    with open_reader(layout) as reader:
        run_id = find_in(reader, options.run, layout)
    reviews = review(layout, run_id, by=options.by, note=options.note, due=due)
    if options.json:
        say(json.dumps(reviews))
        return 0
    for one in reviews:
        again = f", again by {one['next']}" if one["next"] else ""
        say(f"{one['when']}  {one['by']}  {one['note'] or 'no note'}{again}")
    if not reviews:
        say(f"nobody has reviewed run {run_id}")
    return 0


def review(
    layout: Layout, run_id: str, *, by: str | None, note: str, due: datetime.date | None
) -> list[dict[str, str | None]]:
    """Return a run's reviews, the newest last, after one by this person is added; none where `by` is None.

    What was looked at is the evaluation that the run has, by its SHA-256. Errors: InputError for a run
    without one, and for a damaged file of reviews; StoreError.
    """
    from runback.cli.approval.card_of_run import write_card
    from runback.tracking.read.find_runs import artifact_files, find_run, read_bytes
    from runback.tracking.store import open_store
    from runback.tracking.write.run_writer import RunWriter

    store = open_store(layout)
    find_run(store, run_id)
    files = artifact_files(store, run_id)
    reviews = _read(read_bytes(store, run_id, REVIEWS)) if REVIEWS in files else []
    if by is None:
        return reviews
    if EVALUATION not in files:
        raise InputError(f"run {run_id} has no evaluation to review: runback evaluate {run_id}")
    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    seen = hashlib.sha256(read_bytes(store, run_id, EVALUATION)).hexdigest()
    following = None if due is None else due.isoformat()
    reviews.append({"by": by, "when": when, "evaluation_sha256": seen, "note": note, "next": following})
    writer = RunWriter(store, run_id)
    writer.log_text(json.dumps(reviews, indent=1) + "\n", REVIEWS)
    tags = {REVIEWED_TAG: f"{by}, {when}"}
    writer.set_tags(tags if following is None else {**tags, REVIEW_BY_TAG: following})
    writer.deliver()
    write_card(store, layout, run_id)
    return reviews


def _read(content: bytes) -> list[dict[str, str | None]]:
    try:
        reviews = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{REVIEWS} is damaged: {error}") from error
    keys = {"by", "when", "evaluation_sha256", "note", "next"}
    if not isinstance(reviews, list) or any(
        not isinstance(one, dict) or one.keys() != keys for one in reviews
    ):
        raise InputError(f"{REVIEWS} is damaged: expected a list of reviews")
    return reviews


def _date(text: str | None) -> datetime.date | None:
    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--next: expected a date like 2027-03-01; got {text!a:.40}") from error
