"""What MLflow's database tells without MLflow, which takes seconds to import."""

from importlib.metadata import distribution
from pathlib import Path

from runback.errors import StoreError
from runback.tracking.sqlite.sqlite_file import connected, printable_path

MIGRATIONS = "mlflow/store/db_migrations/versions"
"""In MLflow: a file for each version of the schema, whose name begins with it."""


def refuse_unknown(database: Path, revision: str | None) -> None:
    """Raise StoreError when the installed MLflow does not know this version of its schema.

    Raises importlib.metadata.PackageNotFoundError where MLflow is not installed.
    """
    installed = distribution("mlflow")
    known = {
        path.name.partition("_")[0] for path in Path(str(installed.locate_file(MIGRATIONS))).glob("*.py")
    }
    if revision not in known:
        raise StoreError(
            f"{printable_path(database)} has schema {revision}, which MLflow {installed.version} does not "
            "know: install the MLflow version that wrote it"
        )


def any_running(database: Path) -> bool:
    """Return whether any run is RUNNING. Raises StoreError."""
    with connected(database) as connection:
        found = connection.execute("SELECT 1 FROM runs WHERE status = 'RUNNING' LIMIT 1").fetchone()
    return found is not None
