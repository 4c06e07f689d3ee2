"""Runs `mlflow gc` in a process in which MLflow removes nothing outside one folder.

`python -m runback.tracking.server.confined_gc FOLDER STORE`
"""

import runback.tracking.mlflow_settings  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import sys
from pathlib import Path

from mlflow.cli import gc

from runback.tracking.server.confined_artifacts import confine


def main(folder: str, uri: str) -> None:
    """Delete for good what is deleted in the store at `uri`; MLflow's errors end the process."""
    confine(Path(folder))
    gc.main(["--backend-store-uri", uri, "--tracking-uri", uri])


if __name__ == "__main__":
    main(*sys.argv[1:])
