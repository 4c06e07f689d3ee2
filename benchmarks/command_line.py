"""What every benchmark can be told on its command line."""

import argparse


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser that knows how much to measure; a benchmark adds what only it can be told."""
    made = argparse.ArgumentParser(description=description.splitlines()[0])
    made.add_argument("--images", type=int, default=5000, help="images to train and validate on (5000)")
    made.add_argument("--epochs", type=int, default=3, help="epochs a run, at least 2 (3)")
    made.add_argument("--repeats", type=int, default=5, help="measurements of everything (5)")
    return made


def parsed(made: argparse.ArgumentParser) -> argparse.Namespace:
    """Return what the command line says; too little to measure ends the program."""
    options = made.parse_args()
    if options.images < 20 or options.epochs < 2 or options.repeats < 1:
        made.error("expected --images from 20, --epochs from 2 and --repeats from 1")
    return options
