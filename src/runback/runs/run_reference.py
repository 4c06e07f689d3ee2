"""References to runs: by their IDs, a sweep's best or champion, or a page of the UI."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from runback.errors import InputError
from runback.sweeping.study.best_runs import best_runs, study_folder
from runback.tracking.layout import Layout

if TYPE_CHECKING:
    from runback.tracking.read.run_reader import Reader

LONGEST_PATH = 4096
"""Characters that Linux takes."""


def is_bundle(reference: str) -> bool:
    """Return whether this names a file rather than a run."""
    return reference.endswith(".zip") or (len(reference) < LONGEST_PATH and Path(reference).is_file())


def run_id(reference: str, layout: Layout) -> str:
    """Return the run ID, or the beginning of one, in `reference`.

    Errors: InputError for an unknown sweep, one with several best trials or without a champion, and for
    another address.
    """
    if reference.startswith("best:"):
        return _best(reference.removeprefix("best:"), layout)
    if "@" in reference and "/" not in reference:
        return _champion(reference, layout)
    if "/" in reference:
        match = re.search(r"/runs/([0-9a-f]{32})(?![0-9a-f])", reference)
        if match is None:
            raise InputError(
                f"expected the address of a run's page, .../runs/<run ID>, or a bundle; got {reference!r}"
            )
        return match[1]
    return reference


def find_in(reader: "Reader", reference: str, layout: Layout) -> str:
    """Return the ID of the run that `reference` names, but not a bundle's. Errors: InputError, StoreError."""
    if is_bundle(reference):
        raise InputError(f"expected a run of this project's store; {reference} is a file")
    return reader.find(run_id(reference, layout))


def sweep_runs(reader: "Reader", sweep: str, layout: Layout) -> list[str]:
    """Return the IDs of a sweep's runs, one a trial. Errors: InputError where there are none, StoreError."""
    runs = reader.of_sweep(sweep)
    if not runs:
        study_folder(layout, sweep)  # it says so when there is no such sweep
        raise InputError(f"sweep {sweep} has no trial yet that MLflow knows")
    return runs


def _best(sweep: str, layout: Layout) -> str:
    best = [str(one["run_id"]) for one in best_runs(layout, sweep)]
    if len(best) > 1:
        raise InputError(
            f"sweep {sweep} has {len(best)} best trials, as it has several objectives: name a run, "
            f"such as {', '.join(best[:3])}"
        )
    return best[0]


def _champion(reference: str, layout: Layout) -> str:
    from runback.tracking import registry
    from runback.tracking.store import open_store

    sweep, _, alias = reference.rpartition("@")
    if alias != registry.ALIAS or not sweep:
        raise InputError(f"expected SWEEP@{registry.ALIAS}; got {reference!r}")
    name = registry.model_name(sweep)
    version = registry.champion(open_store(layout), name)
    if version is None:
        raise InputError(
            f"sweep {sweep} has no champion: expected a registered model {name} with the alias "
            f"{registry.ALIAS}; `runback promote` makes a run one"
        )
    if not version.run_id:
        raise InputError(f"{name}@{registry.ALIAS} is version {version.number}, which belongs to no run")
    return version.run_id
