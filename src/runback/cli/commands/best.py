"""Prints the run ID of a sweep's best finished trial, and nothing else: `runback best NAME`."""

import json

from runback.system.options import Parser
from runback.system.text.terminal import say
from runback.tracking.layout import Layout, project_root


def main(argv: list[str]) -> int:
    """Run `runback best`; with several objectives it prints the Pareto front, a run ID a line."""
    parser = Parser(prog="runback best", description=__doc__)
    parser.add_argument("name", help="the sweep's name")
    parser.add_argument("--json", action="store_true", help="run ID, trial number, values and parameters")
    options = parser.parse_args(argv)
    from runback.sweeping.study.best_runs import best_runs

    for run in best_runs(Layout(project_root()), options.name):
        say(json.dumps(run) if options.json else run["run_id"])
    return 0
