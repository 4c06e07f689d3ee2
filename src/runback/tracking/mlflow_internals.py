"""The private and undocumented parts of MLflow's Python that runback uses.

tests/tracking/test_mlflow_internals.py has a test for each, and for what runback's SQL and saved views take
for granted; it fails when MLflow changes it. What only one module needs is imported when it is used: some of
it takes seconds.
"""

import runback.tracking.mlflow_settings  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import contextlib
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, Metric, Run
from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    from flask import Flask


def newest_metrics(run: Run) -> list[Metric]:
    """Return the newest point of each metric of a run: `run.data.metrics` is without their steps."""
    points: list[Metric] = run.data._metric_objs
    return points


HISTORIES = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
"""The path by which MLflow's pages ask a server for a metric of several runs."""

HISTORY_LIMIT = 25_000
"""Points of a metric that one call returns at most (mlflow.server.handlers, in the bulk handler)."""

HISTORY_RUNS = 100
"""Runs that a server takes in one call of it."""


def metric_histories(client: MlflowClient, run_ids: Sequence[str], name: str) -> list[tuple[str, int, float]]:
    """Return run ID, step and value of each point of a metric of several runs, HISTORY_RUNS at most.

    As many points as HISTORY_LIMIT, or more, may not be all there are. MLflow's own pages ask so; its client
    has no method for it. Errors: MLflow's.
    """
    store = _backend(client)
    if hasattr(store, "get_metric_history_bulk"):  # a database of this process's
        points = [one.to_dict() for one in store.get_metric_history_bulk(run_ids, name, HISTORY_LIMIT)]
    else:
        from mlflow.utils.rest_utils import http_request, verify_rest_response

        asked = {"run_id": list(run_ids), "metric_key": name, "max_results": HISTORY_LIMIT}
        answer = http_request(store.get_host_creds(), HISTORIES, "GET", params=asked)  # type: ignore[no-untyped-call]
        points = verify_rest_response(answer, HISTORIES).json()["metrics"]
    return [(str(one["run_id"]), int(one["step"]), float(one["value"])) for one in points]


def deleted_model_ids(client: MlflowClient) -> list[str]:
    """Return the IDs of the logged models that `mlflow gc` is going to purge: there is no public way."""
    return [str(model_id) for model_id in _backend(client)._get_deleted_logged_models()]


def logged_model(client: MlflowClient, model_id: str) -> LoggedModel | None:
    """Return a logged model, a deleted one too; None where it is gone for good."""
    with contextlib.suppress(MlflowException):
        model: LoggedModel = _backend(client).get_logged_model(model_id, allow_deleted=True)
        return model
    return None


def _backend(client: MlflowClient) -> Any:
    return client._tracking_client.store


def newest_revision() -> str | None:
    """Return the version of the schema that the installed MLflow works with."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(files("mlflow.store") / "db_migrations")).get_current_head()


def create_tables(uri: str, artifacts_uri: str) -> None:
    """Create MLflow's tables in an empty database, and in them its experiment "Default"."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(uri, artifacts_uri)  # type: ignore[no-untyped-call]
    store.engine.dispose()


def upgrade_tables(uri: str) -> None:
    """Bring a database to the newest version of MLflow's schema: `mlflow db upgrade`, in this process."""
    import mlflow.db

    mlflow.db.upgrade.main([uri], standalone_mode=False)


def machine_monitor(run_id: str, seconds: float, uri: str) -> Any:
    """Return MLflow's monitor of this machine, not started: it has no types.

    Its own thread asks the store each time, and ends where that is away. `collect_metrics()` takes a sample,
    `aggregate_metrics()` returns the means since `clear_metrics()` of each of its `monitors`.
    """
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitoring: Any = SystemMetricsMonitor
    return monitoring(run_id, sampling_interval=seconds, tracking_uri=uri)


def replace_artifact_registry(registry: object) -> None:
    """Have MLflow, in this process, ask `registry` for each artifact repository."""
    from mlflow.store.artifact import artifact_repository_registry

    artifact_repository_registry._artifact_repository_registry = registry  # type: ignore[assignment]


def check_new_experiments(check: Callable[[str], object]) -> None:
    """Have MLflow's database store, in this process, call `check` with a new experiment's location first."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    create = SqlAlchemyStore.create_experiment

    def create_experiment(
        store: SqlAlchemyStore, name: str, artifact_location: str | None = None, tags: Any = None
    ) -> str:
        if artifact_location:
            check(artifact_location)
        return str(create(store, name, artifact_location, tags))  # type: ignore[no-untyped-call]

    SqlAlchemyStore.create_experiment = create_experiment  # type: ignore[method-assign]


def replace_index(pages: "Flask", index: Callable[[Callable[[], Any]], Any]) -> None:
    """Have the application of MLflow's pages answer with `index`, which gets MLflow's own view."""
    view: Callable[[], Any] = pages.view_functions["serve"]
    pages.view_functions["serve"] = lambda: index(view)
