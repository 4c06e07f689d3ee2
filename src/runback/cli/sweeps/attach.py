"""Shows the live table of a sweep that runs elsewhere, until it ends or Ctrl-C: `runback attach NAME`."""

from runback.cli.sweeps.sweep_folder import folder_of
from runback.system.options import Parser


def main(argv: list[str]) -> int:
    """Run `runback attach`; 0 where the sweep has ended, 1 where it has failed, was stopped, or is gone."""
    parser = Parser(prog="runback attach", description=__doc__)
    parser.add_argument("name", help="the sweep's name")
    options = parser.parse_args(argv)
    from runback.sweeping.control.attached import follow

    follow(folder_of(options.name), options.name)
    return 0
