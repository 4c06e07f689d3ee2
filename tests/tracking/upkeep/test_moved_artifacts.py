import shutil
import sqlite3
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.utils.file_utils import local_file_uri_to_path

from runback.errors import StoreError
from runback.tracking.layout import Layout
from runback.tracking.sqlite.sqlite_file import sqlite_uri
from runback.tracking.store import experiment_id, open_store
from runback.tracking.upkeep.moved_artifacts import foreign_homes, home, local_path, rewrite, stale_places
from runback.tracking.write.run_writer import reopen_run, start_run


@pytest.fixture
def project(store, run, monkeypatch):
    """A project with one run, its artifact, its model, and a version of that in the registry; as it was."""
    run.log_text("as it was", "notes/note.txt")
    experiment = store.client.get_run(run.id).info.experiment_id
    model = store.client.create_logged_model(experiment, "model", source_run_id=run.id)
    folder = store.layout.root.parent / "saved"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {}\n")
    store.client.log_model_artifacts(model.model_id, str(folder))
    store.client.finalize_logged_model(model.model_id, "READY")
    store.client.create_registered_model("champion")
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", store.uri)  # MLflow looks the model up in its own default store
        store.client.create_model_version("champion", model.artifact_location, model_id=model.model_id)
    run.finish("FINISHED")
    return store.layout, run.id, model.model_id


def move(layout: Layout, name: str = "another place") -> Layout:
    """Move a project, in which nothing is open; return where it is now."""
    return Layout(layout.root.rename(layout.root.with_name(name)))


def places(database: Path) -> set[str]:
    """Return all artifacts' places in a database."""
    connection = sqlite3.connect(database)
    queries = (
        "SELECT artifact_location FROM experiments",
        "SELECT artifact_uri FROM runs",
        "SELECT artifact_location FROM logged_models",
        "SELECT source FROM model_versions",
        "SELECT storage_location FROM model_versions",
    )
    found = {value for query in queries for (value,) in connection.execute(query)}
    connection.close()
    return found


def test_where_a_project_stays_nothing_is_stale(project):
    layout, _, _ = project
    assert stale_places(layout.database, layout.mlruns) == []


def test_what_a_moved_project_holds_is_found_again_after_the_rewrite(project):
    before, run_id, model_id = project
    layout = move(before)
    stale = stale_places(layout.database, layout.mlruns)
    assert {place.old for place in stale} == {before.mlruns}
    named = {place.table for place in stale}
    assert named == {"experiments", "runs", "logged_models", "model_versions"}

    count, backup = rewrite(layout.database, layout.mlruns)
    assert count == len(stale)
    assert stale_places(layout.database, layout.mlruns) == []
    client = MlflowClient(sqlite_uri(layout.database))
    assert Path(client.download_artifacts(run_id, "notes/note.txt")).read_text() == "as it was"
    location = client.get_logged_model(model_id).artifact_location
    assert location == (layout.artifacts / "digits" / "models" / model_id / "artifacts").as_uri()
    assert (local_path(location) / "MLmodel").is_file()
    assert "another%20place" in client.get_model_version_download_uri("champion", "1")
    left = [place for place in places(layout.database) if before.mlruns.as_uri() in place]
    assert left == []
    assert any(place.startswith(before.mlruns.as_uri()) for place in places(backup))
    assert backup.parent == layout.mlruns


def test_new_runs_go_to_the_new_place_after_the_rewrite(project):
    layout = move(project[0])
    rewrite(layout.database, layout.mlruns)
    facts = {"params": {}, "tags": {}, "description": "A run."}
    run = start_run(open_store(layout), experiment="digits", name="two", folder=layout.runs / "two", **facts)
    run.log_text("new", "note.txt")
    assert (layout.artifacts / "digits" / run.id / "artifacts" / "note.txt").read_text() == "new"


def test_before_the_rewrite_no_run_is_written_to_where_the_project_was(project):
    before, run_id, _ = project
    layout = move(before)
    store = open_store(layout)
    for write in (
        lambda: experiment_id(store, "digits"),
        lambda: reopen_run(store, run_id, layout.runs / "one"),
    ):
        with pytest.raises(StoreError, match=r"was moved, and MLflow still looks .*`runback doctor --fix`"):
            write()
    assert store.client.get_run(run_id).info.status == "FINISHED"
    assert not before.root.exists()


def test_a_copy_is_left_as_it_is(project, tmp_path):

    layout, _, _ = project
    copy = Layout(tmp_path / "copy")
    shutil.copytree(layout.root, copy.root)
    assert stale_places(copy.database, copy.mlruns) == []
    assert layout.mlruns in foreign_homes(copy.database, copy.mlruns)


def test_a_project_that_was_moved_twice_is_found_again(project):
    first, run_id, _ = project
    second = move(first, "second")
    facts = {"params": {}, "tags": {}, "description": "A run."}
    store = open_store(second)
    other = start_run(store, experiment="letters", name="b", folder=second.runs / "b", **facts)
    other.log_text("second", "note.txt")
    layout = move(second, "third")
    assert {place.old for place in stale_places(layout.database, layout.mlruns)} == {
        first.mlruns,
        second.mlruns,
    }
    rewrite(layout.database, layout.mlruns)
    client = MlflowClient(sqlite_uri(layout.database))
    assert Path(client.download_artifacts(other.id, "note.txt")).read_text() == "second"
    assert Path(client.download_artifacts(run_id, "notes/note.txt")).read_text() == "as it was"


def test_artifacts_that_are_not_here_stay_where_they_are_said_to_be(project):

    layout = move(project[0])
    shutil.rmtree(layout.artifacts)
    assert stale_places(layout.database, layout.mlruns) == []


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("file:///a%20b/mlruns/artifacts/digits", "/a b/mlruns/artifacts/digits"),
        ("/a b/mlruns/artifacts/digits", "/a b/mlruns/artifacts/digits"),
        ("s3://bucket/artifacts/digits", None),
        ("mlflow-artifacts:/0", None),
        ("file://host/artifacts/digits", None),
    ],
)
def test_a_location_is_a_path_of_this_machine_or_none(location, path):
    found = local_path(location)
    assert found == (None if path is None else Path(path))
    assert home(location) == (None if path is None else Path("/a b/mlruns"))


def test_a_database_that_cannot_be_read_is_told_in_one_line(tmp_path):
    database = tmp_path / "mlflow.db"
    database.write_text("no database" * 100)
    with pytest.raises(StoreError, match="damaged or no SQLite database"):
        stale_places(database, tmp_path)


LOCATIONS = (
    *(
        "/a/b",
        "file:///a/b",
        "file:/a/b",
        "file://localhost/a/b",
        "/a/b c",
        "file:///a/b%20c",
        "file:///a/b;c",
    ),
    *("/a/%2e%2e/b", "/a/%252e%252e/b", "file:///a/%252e%252e/b", "file:///a/%25252e/b", "file:///a/100%"),
    *(
        "/a/100%",
        "FILE:///a/b",
        "file://elsewhere/a",
        "file:a",
        "a/b",
        "//a/b",
        "",
        "s3://a/b",
        "file:///a/b?c#d",
    ),
)


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_local_path_is_the_one_that_mlflow_reads_however_often_it_decodes_it(location):
    path = local_path(location)
    if path is not None:
        assert str(path) == local_file_uri_to_path(location)
        assert str(path) == local_file_uri_to_path(str(path))


def test_a_path_that_is_still_encoded_once_it_is_decoded_names_no_place():
    assert local_path("file:///a/b%20c") == Path("/a/b c")
    for location in ("/a/b%20c", "/a/%2e%2e/b", "file:///a/%252e%252e/b", "file:///a/b%2520c"):
        assert local_path(location) is None
