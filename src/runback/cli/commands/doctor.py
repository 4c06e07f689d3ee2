"""Checks this machine and the project's stores, one line a check; `--fix` mends what can be mended."""

import sys
from collections.abc import Sequence

from runback.housekeeping.check import Check, mended
from runback.housekeeping.hardware_checks import machine_checks
from runback.housekeeping.leftovers import leftovers_check
from runback.housekeeping.package_checks import version_checks
from runback.housekeeping.store_checks import store_checks
from runback.system.options import Parser
from runback.system.text.terminal import say, say_json
from runback.tracking.layout import Layout, project_root


def main(argv: list[str]) -> int:
    """Run `runback doctor`; returns 1 when there is a problem, 0 where there are only warnings."""
    parser = Parser(prog="runback doctor", description=__doc__)
    parser.add_argument(
        "--fix", action="store_true", help="close dead runs, rewrite old paths; delete nothing"
    )
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")
    options = parser.parse_args(argv)
    checks = _checks(Layout(project_root()))
    if options.fix:
        checks = [mended(check) for check in checks]
    _print(checks, as_json=options.json)
    if not (options.fix or options.json) and _agreed(checks):
        before, checks = checks, [mended(check) for check in checks]
        _print([now for now, then in zip(checks, before, strict=True) if now is not then], as_json=False)
    return 1 if _problems(checks) else 0


def _checks(layout: Layout) -> list[Check]:
    return [
        *version_checks(layout.root),
        *machine_checks(layout),
        *store_checks(layout),
        leftovers_check(layout),
    ]


def _problems(checks: Sequence[Check]) -> int:
    return sum(check.state == "problem" for check in checks)


def _print(checks: Sequence[Check], *, as_json: bool) -> None:
    if as_json:
        report = {"problems": _problems(checks), "checks": [check.as_dict() for check in checks]}
        say_json(report)
        return
    width = max(len(check.name) for check in checks)
    say(*(_line(check, width) for check in checks))


def _line(check: Check, width: int) -> str:
    advice = f": {check.advice}" if check.advice else ""
    return f"{check.state:<7}  {check.name:<{width}}  {check.found}{advice}"


def _agreed(checks: Sequence[Check]) -> bool:
    """Ask, on a terminal, whether to mend what can be mended."""
    if not any(check.fix for check in checks) or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    sys.stdout.write("mend what can be mended (--fix)? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
