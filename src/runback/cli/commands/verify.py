"""`runback verify FILE`: checks every sum of an exported bundle."""

from pathlib import Path

from runback.errors import InputError
from runback.provenance.bundle.bundle_file import inspect_bundle
from runback.system.options import Parser
from runback.system.text.terminal import say, say_json

ID_LENGTH = 32
"""Characters of a run's ID; what a stranger wrote in its place may be longer."""


def main(argv: list[str]) -> int:
    """Run `runback verify`; 0: every byte is as it was exported. Errors: InputError that names the rest."""
    parser = Parser(prog="runback verify", description="Check every sum of an exported bundle.")
    parser.add_argument("file", metavar="FILE", type=Path, help="a zip that runback export wrote")
    parser.add_argument("--json", action="store_true", help="print all problems as JSON")
    options = parser.parse_args(argv)
    found = inspect_bundle(options.file)
    if options.json:
        facts = {
            "intact": not found.problems,
            "problems": list(found.problems),
            "fingerprint": found.fingerprint,
            "files": len(found.files),
            "bytes": found.total_bytes,
        }
        say_json(facts)
    if found.problems:
        more = f" (and {len(found.problems) - 1} more: see --json)" if found.problems[1:] else ""
        raise InputError(f"{options.file}: {found.problems[0]}{more}")
    if not options.json:
        run_id = str(found.run.get("id"))[:ID_LENGTH]
        say(
            f"intact: {len(found.files)} files, {found.total_bytes:,} bytes, run {run_id}, "
            f"fingerprint {found.fingerprint}"
        )
    return 0
