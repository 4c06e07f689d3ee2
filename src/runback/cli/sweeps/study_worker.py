"""`runback worker URL [NAME]`: takes trials of a sweep whose study is in PostgreSQL, until there are none."""

import argparse
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runback.cli import classifier_app, consent
from runback.errors import InputError
from runback.provenance.code.working_tree import knows_commit, worktree
from runback.runs.foreign_code import ForeignPart
from runback.runs.reproduce_in_checkout import (
    AGREED_VARIABLE,
    checkout_variables,
    project_in,
    run_in_checkout,
)
from runback.runs.tasks.hydra_app import enter_project
from runback.runs.tasks.script_command import run_task
from runback.runs.tasks.task_source import CLASSIFIER, TaskSource, refuse_outside
from runback.sweeping.shared.recorded_sweep import RecordedSweep, code_facts
from runback.sweeping.shared.storage_url import ARGUMENT, StorageUrl
from runback.system.config.interpolation import named_in
from runback.system.config.override_text import quoted, quoted_value
from runback.system.files.contained_path import inside
from runback.system.options import Parser
from runback.system.stop_signals import stop_on_signals
from runback.system.text.listing import did_you_mean, listed
from runback.system.text.screen import Screen
from runback.system.text.terminal import say
from runback.tracking.layout import Layout, folder_name, project_root


@dataclass(frozen=True)
class _Joined:
    """The sweep that a worker joins."""

    url: StorageUrl
    name: str
    sweep: RecordedSweep
    base: Mapping[str, str]
    """The sweep's config, by dotted key, before anything is searched."""
    fixed: Sequence[str]
    """The overrides that all its trials have."""


def main(argv: list[str]) -> int:
    """Run `runback worker`; 0: nothing is left to take, 2: the sweep cannot be joined here."""
    options = _options(argv)
    layout = Layout(project_root())
    enter_project(layout)
    joined = _find(StorageUrl.parse(options.url, ARGUMENT), options.name)
    if options.show:
        say(*consent.lines(_brought(joined)))
        return 0
    own = dict(map(_own_path, options.paths))
    here = code_facts(layout.root)
    sweep = joined.sweep
    is_here = (here["commit"], here["changes"]) == (sweep.commit, sweep.changes)
    if not is_here:
        _refuse_code(sweep, here, layout, is_checkout=options.in_place)
    if not sweep.is_own and os.environ.get(AGREED_VARIABLE) != sweep.fingerprint:
        _agree(joined, agreed=options.yes)
    if not is_here:
        return _work_in_checkout(joined, layout, options)
    if sweep.commit is None:
        say("note: the sweep's code was in no repository: it is not compared with the code here")
    return _work(joined, layout, options, own)


def _options(argv: list[str]) -> argparse.Namespace:
    parser = Parser(prog="runback worker", description=__doc__)
    parser.add_argument("url", help="the study's database, as postgresql://USER@HOST:PORT/DATABASE")
    parser.add_argument(
        "words", nargs="*", help="the sweep's NAME, if there are several; KEY=PATH, its own data"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="trials at once; by default as many as fit")
    parser.add_argument("--stay", action="store_true", help="wait for more trials when there are none")
    parser.add_argument("--yes", action="store_true", help="run what the study has recorded without asking")
    parser.add_argument(
        "--show", action="store_true", help="print what the study has recorded, and do nothing else"
    )
    parser.add_argument("--in-place", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_intermixed_args(argv)
    names = [one for one in options.words if "=" not in one]
    if len(names) > 1:
        raise InputError(f"expected one sweep's name; got {listed(names, 4)}")
    if options.workers is not None and options.workers < 1:
        raise InputError(f"--workers must be at least 1; got {options.workers}")
    options.name = names[0] if names else None
    options.paths = [one for one in options.words if "=" in one]
    return options


def _own_path(override: str) -> tuple[str, str]:
    """Return the key and the path of data that this machine has elsewhere. Errors: InputError."""
    key, _, value = override.partition("=")
    path = Path(value).expanduser()
    if key.startswith("hydra") or not all(part.isidentifier() for part in key.split(".")):
        raise InputError(f"expected KEY=PATH, where this machine has its data; got {key!a:.100}")
    if not path.exists():
        raise InputError(f"{key}: there is no file or folder {value!a:.300} on this machine")
    return key, str(path.resolve())


def _find(url: StorageUrl, name: str | None) -> _Joined:
    """Return the sweep to join. Errors: InputError, StoreAway."""
    from runback.sweeping.shared.study_database import study_names
    from runback.sweeping.study.attributes import RECORDED_SWEEP
    from runback.sweeping.study.study_store import read_shared_study, stored_search

    names = study_names(url)
    if name is None and len(names) > 1:
        raise InputError(f"{url.label} has the sweeps {listed(names, 5)}: name one behind the address")
    if name is None and not names:
        raise InputError(f"{url.label} has no sweep yet: begin one with hydra.sweeper.storage={url}")
    chosen = names[0] if name is None else name
    if chosen not in names:
        hint = did_you_mean(chosen, names, f"there are {listed(names, 5) or 'none'}")
        raise InputError(f"unknown sweep {chosen!a:.100}: {hint}")
    study = read_shared_study(url, folder_name(chosen, "a sweep's name"))
    search = stored_search(study)
    sweep = RecordedSweep.from_json(study.user_attrs.get(RECORDED_SWEEP), chosen)
    if search is None:
        raise InputError(f"sweep {chosen} is only being made: try again in a moment")
    return _Joined(url, chosen, sweep, search.base, search.fixed)


def _refuse_code(sweep: RecordedSweep, here: Mapping[str, Any], layout: Layout, *, is_checkout: bool) -> None:
    """Raise InputError where the sweep's code cannot be had on this machine."""
    if sweep.changes is not None:
        raise InputError(
            f"the sweep was begun with changes that are in no commit (on {str(sweep.commit)[:12]}) and "
            "not here: commit them, and begin a fresh sweep"
        )
    if sweep.commit is None:
        raise InputError("the sweep's code was in no repository, the code here is: nobody can compare them")
    if is_checkout:
        raise InputError(f"the checkout of commit {sweep.commit[:12]} is not what that commit has")
    if here["commit"] is None or not knows_commit(layout.root, sweep.commit):
        raise InputError(
            f"the sweep's commit {sweep.commit[:12]} is not in the repository here, {layout.root}: fetch it"
        )


def _agree(joined: _Joined, *, agreed: bool) -> None:
    """Ask about what the study would have this machine run, unless this user has recorded it."""
    fingerprint = joined.sweep.fingerprint
    consent.ask(_brought(joined), [], "sweep", fingerprint, Screen(sys.stdout), agreed=agreed)


def _brought(joined: _Joined) -> list[ForeignPart]:
    """Return what the study would have this machine run."""
    sweep = joined.sweep
    place = sweep.task.get("script") or sweep.task.get("module", "")
    keys = [one.partition("=")[0] for one in sweep.overrides]
    reads = [(key, name) for key, one in zip(keys, sweep.overrides, strict=True) for name in named_in(one)]
    parts = [
        ForeignPart("task", (f"{sweep.task.get('name', '')} of {place}, in your own code",)),
        ForeignPart("code", (f"commit {sweep.commit}" if sweep.commit else "as it is here",)),
        ForeignPart("overrides", tuple(sweep.overrides)),
        ForeignPart("reads", tuple(f"{name} of the environment, for {key}" for key, name in reads)),
    ]
    return [one for one in parts if one.lines]


def _work_in_checkout(joined: _Joined, layout: Layout, options: argparse.Namespace) -> int:
    """Work with the sweep's code, in a working tree of its commit; return the exit code."""
    sweep = joined.sweep
    name = f"worker-{str(sweep.commit)[:12]}-{secrets.token_hex(3)}"
    folder = layout.inside(layout.checkouts / name, "the folder of a checkout")
    say(f"working in a checkout of commit {str(sweep.commit)[:12]}")
    with stop_on_signals(), worktree(layout.root, str(sweep.commit), folder):
        project = project_in(folder, sweep.project)
        words = [str(joined.url), joined.name, *(f"{k}={v}" for k, v in map(_own_path, options.paths))]
        words += [] if options.workers is None else [f"--workers={options.workers}"]
        words += ["--stay"] if options.stay else []
        command = [sys.executable, "-P", "-m", "runback", "worker", *words, "--in-place"]
        variables = checkout_variables(project, folder, layout)
        return run_in_checkout(command, Path.cwd(), {**variables, AGREED_VARIABLE: sweep.fingerprint})


def _refuse_task_outside(task: Mapping[str, str], layout: Layout, name: str) -> None:
    """Raise InputError where the task of a sweep lies outside the project's folder."""
    script = task.get("script")
    if script is None:
        return refuse_outside(task, layout.root, f"of sweep {name}")
    found = inside(layout.root, script, f"the script of sweep {name}")
    is_checkout = layout.root.is_relative_to(layout.mlruns)
    if not is_checkout and found.is_relative_to(layout.mlruns):
        raise InputError(
            f"the script of sweep {name} lies in {layout.mlruns}, which holds what runs have stored"
        )
    return None


def _work(joined: _Joined, layout: Layout, options: argparse.Namespace, own: Mapping[str, str]) -> int:
    """Take trials with the code that is here."""
    sweep = joined.sweep
    _refuse_task_outside(sweep.task, layout, joined.name)
    source = TaskSource.recorded(sweep.task, layout.root)
    for key in own:
        if key not in joined.base:
            hint = did_you_mean(key, list(joined.base), "the sweep's config has no such key")
            raise InputError(f"unknown key '{key}': {hint}")
    recorded = {key: joined.base[key] for key in own}
    joining = {"stay": options.stay, "own": recorded, "fixed": list(joined.fixed), "data": sweep.data}
    kept = [one for one in sweep.overrides if one.lstrip("+").partition("=")[0] not in own]
    arguments = [
        "--multirun",
        *kept,
        *(f"{key}={quoted(path)}" for key, path in own.items()),
        f"hydra.sweeper.name={quoted(joined.name)}",
        f"hydra.sweeper.storage={quoted(str(joined.url))}",
        f"hydra.sweeper.joining={quoted_value(joining)}",
        *([] if sweep.n_trials is None else [f"hydra.sweeper.n_trials={sweep.n_trials}"]),
        *([] if options.workers is None else [f"hydra.sweeper.n_workers={options.workers}"]),
    ]
    say(f"worker of sweep {joined.name} in {joined.url.label}")
    if source == TaskSource.recorded(CLASSIFIER.as_dict(layout.root), layout.root):
        classifier_app.run(arguments, layout, name="runback worker")
        return 0
    source.load()
    return run_task(source, arguments, name="runback worker")
