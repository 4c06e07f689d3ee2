import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

import pytest
from mlflow.entities import LoggedModelOutput
from mlflow.exceptions import MlflowException

from runback.errors import InputError, StoreError
from runback.tracking.upkeep.deleted_entities import deleted, places, purge
from runback.tracking.upkeep.moved_artifacts import local_path
from runback.tracking.write.run_writer import start_run


@pytest.fixture
def start(store, tmp_path):
    """Starts runs with an artifact and a network."""
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "MLmodel").write_text("flavors: {}\n")

    def start(name, experiment="digits"):
        facts = {"params": {}, "tags": {}, "description": "A run."}
        run = start_run(store, experiment=experiment, name=name, folder=store.layout.runs / name, **facts)
        run.log_text("here", "note.txt")
        number = store.client.get_run(run.id).info.experiment_id
        model = store.client.create_logged_model(number, "model", source_run_id=run.id)
        store.client.log_outputs(run.id, [LoggedModelOutput(model.model_id, step=0)])
        store.client.log_model_artifacts(model.model_id, str(tmp_path / "saved"))
        store.client.finalize_logged_model(model.model_id, "READY")
        run.finish("FINISHED")
        return run.id, model

    return start


def test_where_nothing_was_deleted_there_is_nothing_to_purge(store, start):
    start("one")
    assert not deleted(store)


def test_a_purge_takes_a_deleted_run_its_artifacts_and_its_network_and_nothing_else(store, start):
    run, model = start("one")
    kept, kept_model = start("two")
    old, _ = start("three", experiment="old")
    store.client.delete_run(run)
    store.client.delete_experiment(store.client.get_run(old).info.experiment_id)
    found = deleted(store)
    assert {one.info.run_id for one in found.runs} == {run, old}
    assert found.experiments == ["old"]
    paths = [path for path, _ in places(store, found)]
    assert len(paths) == 4
    assert all(path.is_dir() for path in paths)

    purge(store, found)
    assert not deleted(store)
    assert not any(path.parent.exists() for path in paths)
    for gone in (run, old):
        with pytest.raises(MlflowException, match="not found"):
            store.client.get_run(gone)
    with pytest.raises(MlflowException, match="not found"):
        store.client.get_logged_model(model.model_id)
    assert store.client.get_run(kept).info.status == "FINISHED"
    left = {path.name for path in store.layout.artifacts.rglob("*") if path.is_file()}
    assert left == {"note.txt", "MLmodel"}
    assert (local_path(kept_model.artifact_location) / "MLmodel").is_file()


def test_the_network_of_a_registered_model_stays_when_its_run_goes(store, start, monkeypatch):
    run, model = start("one")
    store.client.create_registered_model("champion")
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", store.uri)  # MLflow looks the model up in its own default store
        store.client.create_model_version("champion", f"models:/{model.model_id}", model_id=model.model_id)
    store.client.delete_run(run)
    found = deleted(store)
    assert [one.info.run_id for one in found.runs] == [run]
    assert found.models == []


def test_a_network_that_was_deleted_by_itself_goes_too(store, start):
    _, model = start("one")
    store.client.delete_logged_model(model.model_id)
    found = deleted(store)
    assert found.runs == []
    assert [one.model_id for one in found.models] == [model.model_id]


def test_a_purge_that_fails_says_so_and_leaves_the_run(store, start, monkeypatch):
    run, _ = start("one")
    store.client.delete_run(run)
    found = deleted(store)
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(StoreError, match="mlflow gc failed: exit code 1"):
        purge(store, found)
    assert [one.info.run_id for one in deleted(store).runs] == [run]


@pytest.mark.parametrize("form", ["{runs}/%2e%2e", "file://{runs}/%252e%252e", "{runs}/%252e%252e"])
def test_a_location_that_mlflow_decodes_to_another_place_is_refused(store, start, form, tmp_path):
    run, _ = start("one")
    (tmp_path / "precious" / run / "artifacts").mkdir(parents=True)
    step = form.rpartition("/")[2]
    runs = store.layout.artifacts / run
    place = "/".join([form.format(runs=runs), *[step] * 3, "precious", run, "artifacts"])
    for one in (place, unquote(place)):
        Path(one.removeprefix("file://")).mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(store.layout.database)) as connection, connection:
        connection.execute("UPDATE runs SET artifact_uri = ?", [place])
    store.client.delete_run(run)
    with pytest.raises(InputError, match="must lie in"):
        purge(store, deleted(store))
    assert (tmp_path / "precious" / run / "artifacts").is_dir()


def test_mlflow_itself_deletes_nothing_outside_mlruns(store, start, tmp_path, monkeypatch):
    """Whatever came between the check and the deletion."""
    run, _ = start("one")
    (tmp_path / "precious").mkdir()
    with closing(sqlite3.connect(store.layout.database)) as connection, connection:
        connection.execute("UPDATE runs SET artifact_uri = ?", [str(tmp_path / "precious")])
    store.client.delete_run(run)
    found = deleted(store)
    monkeypatch.setattr("runback.tracking.upkeep.deleted_entities.places", lambda store, found: [])
    with pytest.raises(StoreError, match="lies outside"):
        purge(store, found)
    assert (tmp_path / "precious").is_dir()
