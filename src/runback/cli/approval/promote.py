"""Makes a run's model its sweep's champion, by hand: `runback promote RUN`."""

import json

from runback.runs.run_reference import find_in
from runback.system.options import Parser
from runback.system.text.terminal import say
from runback.tracking.layout import Layout, project_root
from runback.tracking.read.run_reader import open_reader


def main(argv: list[str]) -> int:
    """Run `runback promote`: registers the model if need be, and moves the alias. InputError, StoreError."""
    parser = Parser(
        prog="runback promote",
        description="Register a run's model as runback-SWEEP, unless it is, and make it the champion.",
    )
    parser.add_argument("run", metavar="RUN", help="a run ID (or 6 characters of it), best:SWEEP")
    parser.add_argument("--json", action="store_true", help="name, version, run ID, version before")
    options = parser.parse_args(argv)
    layout = Layout(project_root())
    with open_reader(layout) as reader:
        run_id = find_in(reader, options.run, layout)
    told = promote(layout, run_id)
    say(json.dumps(told) if options.json else _sentence(told))
    return 0


def promote(layout: Layout, run_id: str) -> dict[str, str | None]:
    """Make a run's model the champion of its sweep; return what it is, and the champion's version before.

    Errors: InputError for a run without a sweep or a model, StoreError.
    """
    from runback.tracking.registry import champion, crown, register
    from runback.tracking.store import open_store

    store = open_store(layout)
    version = register(store, run_id, description="Promoted by hand.", tags={})
    before = champion(store, version.name)
    crown(store, version)
    return {
        "name": version.name,
        "version": version.number,
        "run_id": run_id,
        "before": None if before is None else before.number,
    }


def _sentence(told: dict[str, str | None]) -> str:
    what = f"{told['name']} version {told['version']} (run {told['run_id']})"
    if told["before"] == told["version"]:
        return f"{what} is the champion already"
    return f"{what} is the champion now; before: {told['before'] or 'none'}"
