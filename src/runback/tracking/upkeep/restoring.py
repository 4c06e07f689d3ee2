"""Writes the commands that restore what was deleted in MLflow, or delete it for good."""

import os
import shlex
import shutil
import sys
from pathlib import Path

from runback.tracking.sqlite.sqlite_file import file_of


def restoring(uri: str, *, run: str | None = None, experiment: str | None = None) -> str:
    """Say what a shell needs to restore a deleted run, or an experiment with its runs, in the store `uri`."""
    kind, flag = ("runs", "--run-id") if run else ("experiments", "--experiment-id")
    named = shlex.join([kind, "restore", flag, str(run or experiment)])
    # A URI of the environment's own may hold a password, and the shell has it already.
    store = "" if os.environ.get("MLFLOW_TRACKING_URI") else f"MLFLOW_TRACKING_URI={shlex.quote(uri)} "
    command = f"restore it with `{store}{_program()} {named}`"
    if file_of(uri) is None:
        return f"{command}, or delete it for good with `mlflow gc`, where its database is"
    return f"{command}, or delete it for good, with all that was deleted, with `runback clean --yes`"


def deleted_run(uri: str, run_id: str, experiment: str | None) -> str:
    """Say that a run was deleted, with its experiment where that is named, and how a shell restores it."""
    if experiment is None:
        return f"run {run_id} was deleted: {restoring(uri, run=run_id)}"
    return f"run {run_id} was deleted, with its experiment {experiment}: " + restoring(
        uri, experiment=experiment
    )


def _program() -> str:
    """Return what a shell needs to find MLflow: its name, or its path in an inactive environment."""
    installed = Path(sys.executable).with_name("mlflow")
    return "mlflow" if shutil.which("mlflow") or not installed.exists() else shlex.quote(str(installed))
