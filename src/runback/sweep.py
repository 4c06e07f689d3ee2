"""Starts or continues a sweep of `sweeps/`: `runback sweep NAME [OVERRIDE…]`."""

import difflib
import shlex
import shutil
import sys
from pathlib import Path

from runback import hydra_app, train
from runback.arguments import Parser
from runback.errors import InputError
from runback.sweeping.space import quoted
from runback.tracking.layout import Layout, project_root


def main(argv: list[str]) -> int:
    """Run `runback sweep`."""
    parser = Parser(prog="runback sweep", description=__doc__)
    parser.add_argument("name", help="a file of sweeps/, without .yaml")
    parser.add_argument(
        "overrides", nargs="*", default=[], help="as for runback train; hydra.sweeper.* for the sweep itself"
    )
    options = parser.parse_args(argv)
    root = project_root()
    _check_name(root / "sweeps", options.name)
    overrides: list[str] = options.overrides
    if not any(override.startswith("hydra.sweeper.name=") for override in overrides):
        overrides = [f"hydra.sweeper.name={quoted(options.name)}", *overrides]
    arguments = ["--multirun", f"+sweeps={options.name}", *overrides]
    hydra_app.run(train.job, arguments, name="runback sweep")
    name = _study_name(overrides)
    _print_next_steps(Layout(root).sweep(name), name)
    return 0


def _check_name(sweeps: Path, name: str) -> None:
    known = sorted(path.stem for path in sweeps.glob("*.yaml"))
    if name not in known:
        nearest = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean '{nearest[0]}'?" if nearest else f"expected one of {', '.join(known) or 'none'}"
        raise InputError(f"unknown sweep '{name}': {hint}")


def _study_name(overrides: list[str]) -> str:
    named = [override for override in overrides if override.startswith("hydra.sweeper.name=")]
    return named[-1].split("=", 1)[1].strip("'\"")


def _print_next_steps(folder: Path, name: str) -> None:
    from runback.sweeping.study import best_trials, read_study

    best = best_trials(read_study(folder, name), 1)
    run_id = best[0].user_attrs.get("run_id") if best else None
    if run_id is None:
        return
    lines = [
        f"best run {run_id}",
        f"  measure it on the test split   {_command()} evaluate {run_id}",
        f"  run it back, and prove it      {_command()} reproduce {run_id}",
        f"  see all runs                   {_command()} ui",
    ]
    print("\n".join(lines))  # noqa: T201 - the command's result


def _command() -> str:
    """Return what a shell needs to find this command: its name, or its path in an inactive environment."""
    installed = Path(sys.executable).with_name("runback")
    if shutil.which("runback") or not installed.exists():
        return "runback"
    path = installed.relative_to(Path.cwd()) if installed.is_relative_to(Path.cwd()) else installed
    return shlex.quote(str(path))
