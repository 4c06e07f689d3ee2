"""`runback reproduce RUN`: trains a recorded run again and says whether it came out the same, bit for bit."""

import argparse
import contextlib
import itertools
import json
import logging
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from omegaconf import OmegaConf

from runback.cli import consent
from runback.cli.classifier_app import classifier_task
from runback.comparison.difference_table import print_differences
from runback.errors import InputError, StoreError
from runback.provenance.code.changed_files import code_differences
from runback.provenance.comparing.difference import (
    Difference,
    code_reservations,
    compared_parts,
    differences,
)
from runback.provenance.comparing.reproduction_page import reproduction_page
from runback.provenance.comparing.verdict import Verdict, judge
from runback.runs import reproduce_in_checkout
from runback.runs.foreign_code import foreign_parts
from runback.runs.live.recorded_code import code_here
from runback.runs.run_folder import fresh_folder
from runback.runs.schema import RECORD, REPRODUCTION, REPRODUCTION_FORMAT, REPRODUCTION_PAGE, RunRecord
from runback.runs.started.start_again import reproduce_started
from runback.runs.started.started_task import is_started
from runback.runs.stored_run import (
    StoredRun,
    find_recorded,
    refuse_harmful,
    refuse_incomplete,
    refuse_other_data,
    refuse_running,
)
from runback.runs.tasks.hydra_app import enter_project
from runback.runs.tasks.train_again import train_again
from runback.system.options import Parser
from runback.system.stop_signals import stop_on_signals
from runback.system.text.listing import conjoined
from runback.system.text.screen import Screen
from runback.system.text.terminal import say, say_json
from runback.tracking.layout import Layout, project_root
from runback.tracking.read.find_runs import read_bytes
from runback.tracking.store import Store
from runback.tracking.tags import REPRODUCED_BY_TAG, REPRODUCES_TAG, VERDICT_TAG

if TYPE_CHECKING:  # it imports TensorFlow
    from runback.runs.live.run import Trained

COMPARED = ("code", "packages", "python", "hardware", "threads", "data")
"""Parts of the records that are said to be the same, in this order."""

_logger = logging.getLogger(__name__)


def main(argv: list[str]) -> int:
    """Run `runback reproduce`; 0: bit-identical or within tolerance, 1: different, 2: it cannot be tried."""
    options = _options(argv)
    stream = sys.stderr if options.json else sys.stdout
    console = Screen(stream)
    layout = Layout(project_root())
    enter_project(layout)
    with stop_on_signals():
        recorded = find_recorded(options.run, layout)
        refuse_running(recorded, layout)
        if recorded.last_epoch == 0:
            raise InputError(f"run {recorded.id} completed no epoch: there is no result to compare with")
        refuse_incomplete(recorded)
        if options.show:
            _show(recorded, layout, options)
            return 0
        here = {"code": code_here(layout.root).as_dict()}
        changes = code_differences(recorded.record, here, layout.root)
        is_elsewhere = options.checkout or bool(changes and not options.in_place)
        if is_elsewhere:
            reproduce_in_checkout.refuse_without_commit(recorded)
        if not _is_agreed_already(recorded):
            _agree(recorded, layout, console, in_place=not is_elsewhere, agreed=options.yes)
        if is_elsewhere:
            print_differences(changes, console)
            return reproduce_in_checkout.reproduce(
                recorded, layout, _flags(options), console, build=options.build
            )
        return _reproduce(recorded, layout, options, console, stream)


def _is_agreed_already(recorded: StoredRun) -> bool:
    """Say whether nothing is to be asked: a run of ours, or what a parent process has asked about.

    Errors: InputError where that was changed since.
    """
    if recorded.is_own:
        return True
    asked = os.environ.get(reproduce_in_checkout.AGREED_VARIABLE)
    if asked not in (None, recorded.fingerprint):
        raise InputError(f"{recorded.reference} was changed after it was agreed to")
    return asked is not None


def _agree(recorded: StoredRun, layout: Layout, console: Screen, *, in_place: bool, agreed: bool) -> None:
    """Ask about what somebody else's run brings, if it brings anything. Errors: InputError."""
    refuse_harmful(recorded)
    found = foreign_parts(recorded, layout, classifier_task(), in_place=in_place)
    if found:
        texts = [] if in_place else _first_lines(recorded)
        what = "bundle" if recorded.is_bundle else "run, which you did not record,"
        consent.ask(found, texts, what, recorded.fingerprint, console, agreed=agreed)


def _first_lines(recorded: StoredRun) -> list[str] | None:
    """Return what may fit on a screen of a run's changes; None where they are too long for it."""
    if not reproduce_in_checkout.is_short(recorded):
        return None
    return list(itertools.islice(reproduce_in_checkout.texts(recorded), consent.SCREEN))


def _show(recorded: StoredRun, layout: Layout, options: argparse.Namespace) -> None:
    """Print all that others' run brings: every name, the changes and the untracked files line by line."""
    if recorded.is_own:
        raise InputError(f"--show is for a bundle, or a run of others; {recorded.id} is a run of yours")
    found = foreign_parts(recorded, layout, classifier_task(), in_place=options.in_place, most=sys.maxsize)
    texts: Iterable[str] = [] if options.in_place else reproduce_in_checkout.texts(recorded)
    for line in itertools.chain(consent.lines(found), texts):
        say(line)


def _options(argv: list[str]) -> argparse.Namespace:
    parser = Parser(
        prog="runback reproduce", description="Train a recorded run again and compare, bit for bit."
    )
    parser.add_argument(
        "run", metavar="RUN", help="a run ID (or 6 characters of it), best:SWEEP, a run's address, a bundle"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--in-place", action="store_true", help="train with the code that is here")
    where.add_argument("--checkout", action="store_true", help="train in a working tree of the run's commit")
    parser.add_argument("--threads", type=int, metavar="N", help="train with another number of CPU threads")
    parser.add_argument(
        "--tolerance", type=float, metavar="X", help="how far val_accuracy may be off on another device"
    )
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")
    parser.add_argument("--yes", action="store_true", help="use what a bundle brings without asking")
    parser.add_argument("--show", action="store_true", help="print what a bundle brings, and do nothing else")
    build = "let packages of a bundle that have no wheel run their build code"
    parser.add_argument("--build", action="store_true", help=build)
    options = parser.parse_args(argv)
    if options.threads is not None and options.threads < 1:
        raise InputError(f"--threads must be at least 1; got {options.threads}")
    if options.tolerance is not None and not 0 <= options.tolerance < 1:
        raise InputError(f"--tolerance must lie in [0, 1); got {options.tolerance}")
    return options


def _flags(options: argparse.Namespace) -> list[str]:
    """Return the options that say how to train and compare, not where."""
    flags = ["--json"] if options.json else []
    for name in ("threads", "tolerance"):
        value = getattr(options, name)
        flags += [] if value is None else [f"--{name}={value}"]
    return flags


def _reproduce(
    recorded: StoredRun, layout: Layout, options: argparse.Namespace, console: Screen, stream: TextIO
) -> int:
    folder = layout.runs / f"{datetime.now():%Y-%m-%d_%H-%M-%S_%f}"
    found: list[Difference] = []

    def compare(now: RunRecord) -> None:
        found.extend(differences(recorded.record, now))
        if found:
            print_differences(found, console)
        for line in _compared(recorded.record, now, is_same=not found):
            console.say(line)
        refuse_other_data(found)
        console.say(f"training {_span(recorded)} of {recorded.id}")

    # The script of a run that `runback.start` gave holds the folder itself.
    with contextlib.nullcontext() if is_started(recorded.record) else fresh_folder(folder):
        trained = _train(recorded, folder, layout, options, stream, compare)
    verdict = judge(
        recorded.result, trained.result, found, _validation_images(recorded.record), options.tolerance
    )
    facts = _facts(recorded, trained, found, verdict)
    _log(facts, layout, recorded, folder, trained.run_id)
    for line in verdict.explain():
        console.say(line)
    console.say(f"run {trained.run_id}")
    if options.json:
        say_json(facts)
    else:
        say(verdict.name)
    return verdict.exit_code


def _validation_images(record: RunRecord) -> int:
    """Return the number of images that a run was validated on; 0 where that is not known."""
    split = record["data"].get("validation")
    return 0 if split is None or "kind" in split else split["shape"][0]


def _train(
    recorded: StoredRun,
    folder: Path,
    layout: Layout,
    options: argparse.Namespace,
    stream: TextIO,
    compare: Callable[[RunRecord], None],
) -> "Trained":
    """Train a run again, the classifier's or another task's; `compare` is given its record before that."""
    train = reproduce_started if is_started(recorded.record) else train_again
    return train(
        recorded,
        folder,
        f"reproduction of {recorded.name}",
        layout,
        on_record=compare,
        threads=options.threads,
        # One that ended by itself does so again: only then early stopping goes back to the best weights.
        last_epoch=None if recorded.result["finished"] else recorded.last_epoch,
        tags={REPRODUCES_TAG: recorded.id},
        stream=stream,
    )


def _span(recorded: StoredRun) -> str:
    """Say how many epochs are trained, and of how many where the config says that."""
    epochs = OmegaConf.select(recorded.config, "training.epochs")
    return f"{recorded.last_epoch} epochs" if epochs is None else f"{recorded.last_epoch} of {epochs} epochs"


def _compared(then: RunRecord, now: RunRecord, *, is_same: bool) -> list[str]:
    """Say which parts of two records are the same, if all are that both tell, and which one does not tell."""
    told, untold = compared_parts(then, now, COMPARED)
    lines = [f"{conjoined(told)} are those of the recorded run"] if is_same else []
    if untold:
        lines.append(f"not compared, because not recorded: {conjoined(untold)}; it may be other")
    return [*lines, *(f"code: {one}" for one in code_reservations(then, now))]


def _facts(
    recorded: StoredRun, trained: "Trained", found: Sequence[Difference], verdict: Verdict
) -> dict[str, Any]:
    facts = {
        "format": REPRODUCTION_FORMAT,
        "run": recorded.id,
        "reproduction": trained.run_id,
        **verdict.as_dict(),
        "explanation": verdict.explain(),
        "differences": [one.as_dict() for one in found],
    }
    # JSON has no NaN and no infinity, which a diverged training can well give.
    then, now = (
        str(x) if isinstance(x, float) and not math.isfinite(x) else x for x in (verdict.then, verdict.now)
    )
    return {**facts, "then": then, "now": now}


def _log(facts: Mapping[str, Any], layout: Layout, recorded: StoredRun, folder: Path, run_id: str) -> None:
    """Log the verdict to the new run, and link the two runs with each other."""
    from runback.tracking.read.find_runs import find_run, has_run
    from runback.tracking.store import open_store
    from runback.tracking.write.run_writer import RunWriter

    store = open_store(layout, is_prepared=True)
    run = RunWriter(store, run_id, folder)
    run.log_text(json.dumps(facts, indent=2), REPRODUCTION)
    run.log_text(reproduction_page(facts), REPRODUCTION_PAGE)
    run.set_tags({VERDICT_TAG: facts["verdict"]})
    run.close()
    try:
        if has_run(store, recorded.id) and _is_of_the_store(recorded, store):
            before = find_run(store, recorded.id).data.tags.get(REPRODUCED_BY_TAG, "")
            RunWriter(store, recorded.id).set_tags({REPRODUCED_BY_TAG: f"{before} {run_id}".lstrip()})
    except StoreError as error:  # the verdict stands
        _logger.warning("run %s is not told of its reproduction: %s", recorded.id, error)


def _is_of_the_store(recorded: StoredRun, store: Store) -> bool:
    """Say whether the recorded run is the one of its ID in this store; a bundle can bear any ID."""
    if not recorded.is_bundle:
        return True
    try:
        return read_bytes(store, recorded.id, RECORD) == recorded.files.read(RECORD)
    except InputError:
        return False
