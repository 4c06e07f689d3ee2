"""Says which private part of MLflow is no longer what runback takes it for."""

import inspect
import logging
import re
import shutil
import sqlite3
import warnings
from pathlib import Path

import click
import mlflow.cli
import mlflow.db
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, RunData, RunStatus
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.store.artifact import artifact_repository_registry
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.store.tracking.rest_store import RestStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.utils import get_results_from_paginated_fn, mlflow_tags, validation

from runback.errors import StoreError
from runback.tracking import mlflow_limits
from runback.tracking.mlflow_internals import (
    HISTORIES,
    HISTORY_LIMIT,
    HISTORY_RUNS,
    create_tables,
    deleted_model_ids,
    logged_model,
    machine_monitor,
    metric_histories,
    newest_metrics,
    newest_revision,
)
from runback.tracking.mlflow_settings import FLAGS
from runback.tracking.read.run_reader import open_reader
from runback.tracking.read.store_reader import StoreReader
from runback.tracking.server import token_gate
from runback.tracking.sqlite import database_schema
from runback.tracking.sqlite.database_reader import DatabaseReader
from runback.tracking.sqlite.database_schema import REVISION, is_readable
from runback.tracking.sqlite.sqlite_file import connected, refuse_strange, revision, sqlite_uri
from runback.tracking.store import REFUSALS
from runback.tracking.upkeep import moved_artifacts
from runback.tracking.write import delivery, pending_metrics
from runback.tracking.write.saved_view import VIEW_TAG, SavedView

READ = {
    "runs": "run_uuid name status start_time end_time lifecycle_stage artifact_uri",
    "tags": "run_uuid key value",
    "params": "run_uuid key value",
    "latest_metrics": "run_uuid key value step is_nan",
    "metrics": "run_uuid key value step is_nan",
    "alembic_version": "version_num",
}
"""The columns that the queries in `database_reader` and `database_schema` name."""

PLACES = re.compile(r"location|uri|source|path")

NO_PLACES = {
    "assessments": "source_id source_type",
    "datasets": "dataset_source dataset_source_type",
    "endpoint_bindings": "resource_id resource_type",
    "entity_associations": "source_id source_type",
    "evaluation_dataset_records": "source source_id source_type",
    "inputs": "source_id source_type",
    "issues": "source_run_id",
    "logged_models": "source_run_id",
    "mcp_server_versions": "source",
    "runs": "source_name source_type source_version",
    "workspaces": "trace_archival_location",  # of a server with workspaces, which has other stores
}
"""Columns that are called like places, and do not say where artifacts of a project are."""


@pytest.fixture
def connection(fresh_database: Path):
    with connected(fresh_database, read_only=True) as connection:
        yield connection


def columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


@pytest.mark.parametrize("table", sorted(READ))
def test_mlflow_still_has_the_table_with_the_columns_that_are_read(connection, table: str) -> None:
    assert {*READ[table].split()} <= columns(connection, table), f"MLflow's table {table} has other columns"


@pytest.mark.parametrize(("table", "column"), moved_artifacts.COLUMNS)
def test_mlflow_still_has_the_column_of_places_that_is_rewritten(connection, table: str, column: str) -> None:
    assert column in columns(connection, table)
    connection.execute(f"SELECT rowid FROM {table}")  # noqa: S608 - fails for a table without row IDs


def test_mlflow_has_no_further_column_of_places(connection) -> None:
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {(table, one) for table in tables for one in columns(connection, table) if PLACES.search(one)}
    others = {(table, one) for table, names in NO_PLACES.items() for one in names.split()}
    assert found - {*moved_artifacts.COLUMNS} == others, "is it the place of an artifact, to be rewritten?"


def test_schema_is_the_one_that_the_sql_was_written_for(fresh_database: Path) -> None:
    assert revision(fresh_database) == newest_revision() == REVISION, (
        "MLflow has another schema: read its new migrations, see whether the SQL still holds, set REVISION"
    )


def test_a_file_for_each_version_of_the_schema_says_which_one_it_follows() -> None:
    older = database_schema._older()
    assert len(older) == len(database_schema._migrations()) - 2  # the newest one, and __init__
    assert "451aebb31d03" in older  # of 2019


def test_a_fresh_database_holds_plain_tables_only(connection, fresh_database: Path) -> None:
    refuse_strange(connection, fresh_database)


def test_running_is_the_word_of_the_database(connection) -> None:
    assert RunStatus.to_string(RunStatus.RUNNING) == "RUNNING"


def test_a_database_of_an_older_schema_is_read_by_sql_and_not_migrated(store, run) -> None:
    older = set_revision(store.layout.database, sorted(database_schema._older())[0])
    with open_reader(store.layout) as reader:
        assert isinstance(reader, DatabaseReader)
        assert reader.find(run.id) == run.id
    assert revision(store.layout.database) == older
    assert not list(store.layout.mlruns.glob("*.bak"))


def test_a_database_of_a_newer_schema_is_read_through_an_mlflow_of_it(store, run, monkeypatch) -> None:
    monkeypatch.setattr(database_schema, "REVISION", sorted(database_schema._older())[0])
    with open_reader(store.layout) as reader:
        assert isinstance(reader, StoreReader)
        assert reader.find(run.id) == run.id


def test_a_database_that_mlflow_would_migrate_is_not_opened_by_it(store, monkeypatch) -> None:
    steps = sorted(database_schema._older())
    monkeypatch.setattr(database_schema, "REVISION", "451aebb31d03")
    between = set_revision(store.layout.database, next(one for one in steps if not is_readable(one)))
    with pytest.raises(StoreError, match="older than the installed MLflow's"), open_reader(store.layout):
        pass
    assert revision(store.layout.database) == between


def test_a_database_that_nobody_knows_is_refused_as_mlflow_would(store) -> None:
    set_revision(store.layout.database, "fromthefuture")
    with (
        pytest.raises(StoreError, match=r"has schema fromthefuture, which MLflow .* does not know"),
        open_reader(store.layout),
    ):
        pass
    with pytest.raises(StoreError, match="has schema fromthefuture, which this runback does not know"):
        moved_artifacts.rewrite(store.layout.database, store.layout.mlruns)
    assert not list(store.layout.mlruns.glob("*.bak"))


def set_revision(database: Path, name: str) -> str:
    with connected(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (name,))
    return name


def test_run_data_has_the_points_of_its_metrics_with_their_steps() -> None:
    class Run:
        data = RunData(metrics=[Metric("loss", 1.0, 0, 3)])

    assert [(point.key, point.value, point.step) for point in newest_metrics(Run)] == [("loss", 1.0, 3)]


def test_a_deleted_model_is_listed_and_can_be_had_from_the_store_behind_the_client(store, run) -> None:
    assert isinstance(store.client._tracking_client.store, SqlAlchemyStore)
    experiment = store.client.get_run(run.id).info.experiment_id
    model = store.client.create_logged_model(experiment, "model", source_run_id=run.id)
    assert deleted_model_ids(store.client) == []
    store.client.delete_logged_model(model.model_id)
    assert deleted_model_ids(store.client) == [model.model_id]
    assert logged_model(store.client, model.model_id).model_id == model.model_id
    assert logged_model(store.client, "m-none") is None
    with pytest.raises(MlflowException):
        store.client.get_logged_model(model.model_id)


def test_a_store_creates_its_tables_in_an_empty_database(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    database.touch()
    create_tables(sqlite_uri(database), tmp_path.as_uri())
    assert revision(database) == newest_revision()


def test_upgrade_and_gc_are_click_commands_with_the_options_that_are_given() -> None:
    assert isinstance(mlflow.db.upgrade, click.Command)
    assert [parameter.name for parameter in mlflow.db.upgrade.params] == ["url"]
    assert {"--backend-store-uri", "--tracking-uri"} <= options(mlflow.cli.gc)


def test_server_has_the_options_that_are_given() -> None:
    given = {"--host", "--port", "--workers", "--allowed-hosts", "--default-artifact-root"}
    given |= {"--no-serve-artifacts", "--uvicorn-opts", "--app-name"}
    assert given <= options(mlflow.cli.server)
    variables = {name for parameter in mlflow.cli.server.params for name in parameter.envvar or [] if name}
    named = {p.envvar for p in mlflow.cli.server.params if isinstance(p.envvar, str)} | variables
    assert {"MLFLOW_BACKEND_STORE_URI", "MLFLOW_REGISTRY_STORE_URI"} <= named


def options(command: click.Command) -> set[str]:
    return {name for one in command.params for name in (*one.opts, *one.secondary_opts)}


def test_monitor_takes_samples_without_its_thread(store, run) -> None:
    assert {"run_id", "sampling_interval", "tracking_uri"} <= {
        *inspect.signature(SystemMetricsMonitor.__init__).parameters
    }
    machine = machine_monitor(run.id, 5.0, store.uri)
    machine.collect_metrics()
    assert "cpu_utilization_percentage" in machine.aggregate_metrics()
    assert machine.sampling_interval == 5.0
    for monitor in machine.monitors:
        monitor.clear_metrics()
    assert machine.aggregate_metrics().keys().isdisjoint({"cpu_utilization_percentage"})


def test_registry_of_artifacts_is_a_global_that_no_module_has_imported_by_name() -> None:
    assert isinstance(
        artifact_repository_registry._artifact_repository_registry,
        artifact_repository_registry.ArtifactRepositoryRegistry,
    )
    asked = artifact_repository_registry.ArtifactRepositoryRegistry.get_artifact_repository
    assert [*inspect.signature(asked).parameters][1:] == ["artifact_uri", "tracking_uri", "registry_uri"]
    for file in Path(mlflow.__file__).parent.rglob("*.py"):
        text = file.read_text("utf-8", "replace")
        assert not re.search(r"import[^\n]*\b_artifact_repository_registry", text), f"{file} goes past it"


def test_store_creates_an_experiment_with_these_parameters() -> None:
    create = inspect.signature(SqlAlchemyStore.create_experiment)
    assert [*create.parameters] == ["self", "name", "artifact_location", "tags"]


def test_local_artifacts_lie_in_their_decoded_folder() -> None:
    assert LocalArtifactRepository("file:///tmp/a%20b").artifact_dir == "/tmp/a b"  # noqa: S108 - a name


def test_histories_of_many_runs_are_one_call_with_these_limits(fresh_database: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.server import app, handlers
    assert HISTORIES in {rule.rule for rule in app.url_map.iter_rules()}
    handler = inspect.getsource(handlers.get_metric_history_bulk_handler)
    assert f"MAX_HISTORY_RESULTS = {HISTORY_LIMIT}" in handler
    assert f"MAX_RUN_IDS_PER_REQUEST = {HISTORY_RUNS}" in handler
    assert callable(RestStore(lambda: None).get_host_creds)
    assert not hasattr(RestStore, "get_metric_history_bulk"), "MLflow's client can do it now"
    client = MlflowClient(sqlite_uri(fresh_database))
    assert metric_histories(client, ["0" * 32], "loss") == []


def test_permission_denied_is_answered_with_403() -> None:
    assert MlflowException("", error_code=PERMISSION_DENIED).get_http_status_code() == 403


def test_pages_are_served_by_the_view_that_is_replaced() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.server import app
        from mlflow.server.fastapi_app import app as server
    rules = {rule.rule: rule.endpoint for rule in app.url_map.iter_rules()}
    assert rules["/"] == "serve"
    index = Path(app.static_folder) / "index.html"
    assert index.read_text().count("<head>") == 1
    routes = [getattr(route, "path", "") for route in server.routes]
    assert all(route.startswith(token_gate.ASSISTANT) for route in routes if "assistant" in route)
    assert not [route for route in server.routes if "WebSocket" in type(route).__name__]


def test_pages_keep_preferences_and_views_under_these_names() -> None:
    """They are cosmetic: a name that is gone makes no error, only a page that begins as MLflow likes."""
    build = Path(mlflow.__file__).parent / "server" / "js" / "build"
    text = "\n".join(file.read_text("utf-8", "replace") for file in build.rglob("*.js"))
    for name in ("workflowType", "assistant.fab.autoOpenedOnFirstLoad", VIEW_TAG.rstrip("."), "deflate;"):
        assert name in text, f"MLflow's pages do not know {name!r} any more"
    state = SavedView("name", "", ["loss"], [], ascending=True).state()
    assert [key for key in state if key not in text] == [], "MLflow's pages know no such part of a view"


def test_limits_are_those_of_mlflow() -> None:
    assert mlflow_limits.NAME_LIMIT == validation.MAX_ENTITY_KEY_LENGTH
    assert mlflow_limits.PARAM_LIMIT == validation.MAX_PARAM_VAL_LENGTH
    assert mlflow_limits.TAG_LIMIT == validation.MAX_TAG_VAL_LENGTH
    assert delivery.BATCH_LIMIT == validation.MAX_PARAMS_TAGS_PER_BATCH
    assert pending_metrics.BATCH_LIMIT == validation.MAX_METRICS_PER_BATCH


def test_tags_of_the_pages_are_called_so() -> None:
    assert mlflow_tags.MLFLOW_PARENT_RUN_ID == "mlflow.parentRunId"
    assert mlflow_tags.MLFLOW_GIT_COMMIT == "mlflow.source.git.commit"
    assert mlflow_tags.MLFLOW_RUN_NOTE == "mlflow.note.content"
    assert mlflow_tags.MLFLOW_ARTIFACT_LOCATION == "mlflow.artifactLocation"
    assert {"MLFLOW_USER", "MLFLOW_SOURCE_NAME", "MLFLOW_SOURCE_TYPE", "MLFLOW_MODEL_VERSIONS"} <= vars(
        mlflow_tags
    ).keys()


def test_flags_are_those_of_mlflow(monkeypatch) -> None:
    from mlflow import environment_variables

    source = "\n".join(
        (Path(mlflow.__file__).parent / file).read_text("utf-8")
        for file in ("environment_variables.py", "telemetry/utils.py", "utils/logging_utils.py")
    )
    assert [name for name in FLAGS if name not in source] == []
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert environment_variables.MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() == 0


def test_loggers_that_are_made_quiet_are_called_so() -> None:
    from mlflow.store.db import utils as database
    from mlflow.utils import environment
    from urllib3 import connectionpool

    assert database._logger.name == "mlflow.store.db.utils"
    assert environment._logger.name == "mlflow.utils.environment"
    assert connectionpool.log.name == "urllib3.connectionpool"
    assert logging.getLogger(database._logger.name).filters


def test_refusals_have_these_codes(store, run) -> None:
    codes = []
    for refused in (
        lambda: store.client.get_run("0" * 32),
        lambda: store.client.log_param(run.id, "a" * 300, "1"),
        lambda: store.client.get_model_version_by_alias("none", "champion"),
    ):
        with pytest.raises(MlflowException) as caught:
            refused()
        codes.append(caught.value.error_code)
    assert set(codes) <= {*REFUSALS}
    with pytest.raises(MlflowException) as caught:
        store.client.create_experiment(store.client.get_experiment("0").name)
    assert caught.value.error_code == "RESOURCE_ALREADY_EXISTS"


def test_pages_of_results_are_asked_for_until_there_are_none() -> None:
    class Page(list):
        token = None

    def page(count: int, token: str | None) -> Page:
        start = int(token or 0)
        found = Page(range(start, min(start + count, 5)))
        found.token = str(start + count) if start + count < 5 else None
        return found

    assert get_results_from_paginated_fn(page, 2, None) == [0, 1, 2, 3, 4]
    assert get_results_from_paginated_fn(page, 2, 3) == [0, 1, 2]


def test_client_of_a_database_of_another_schema_raises_and_leaves_it(tmp_path, fresh_database: Path) -> None:
    """MLflow's client creates the tables that it lacks by migrating: only with all of them it says so."""
    database = tmp_path / "mlflow.db"
    shutil.copy(fresh_database, database)
    set_revision(database, "fromthefuture")
    with pytest.raises(MlflowException, match="out-of-date database schema"):
        MlflowClient(sqlite_uri(database)).search_experiments()
    assert revision(database) == "fromthefuture"
