import dataclasses
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from importlib.resources import files

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from mlflow.store.tracking.dbmodels.initial_models import Base
from sqlalchemy import create_engine

from runback.errors import InputError, StoreError
from runback.tracking.layout import Layout
from runback.tracking.store import experiment_id, open_store
from runback.tracking.write.run_writer import start_run

RACE = """
import os, sys
from pathlib import Path
from runback.tracking.layout import Layout
from runback.tracking.write.run_writer import recording, start_run
from runback.tracking.store import open_store

def work(name):
    layout = Layout(Path(sys.argv[1]))
    store = open_store(layout)
    folder = layout.runs / name
    run = start_run(store, experiment="e", name=name, folder=folder, params={"a": 1}, tags={}, description="")
    with recording(run):
        for epoch in range(1, 4):
            run.log_epoch(epoch, {"loss": 1 / epoch})

gate, opener = os.pipe()
children = []
for number in range(4):
    child = os.fork()
    if child == 0:
        os.close(opener)
        os.read(gate, 1)  # returns for all of them at once, when the parent closes its end
        work(f"worker{number}")
        os._exit(0)
    children.append(child)
os.close(opener)
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""


def test_four_processes_open_a_fresh_folder_at_the_same_time(tmp_path):
    race = subprocess.run(
        # From 3.12 on Python warns of forks where libraries have started threads.
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", RACE, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert (race.returncode, race.stderr) == (0, "")

    store = open_store(Layout(tmp_path))
    found = store.client.search_runs([experiment_id(store, "e")])
    assert sorted(one.info.run_name for one in found) == [f"worker{number}" for number in range(4)]
    assert {one.info.status for one in found} == {"FINISHED"}
    assert [one.name for one in store.client.search_experiments()] == ["e", "Default"]
    assert _value(store.layout.database, "PRAGMA journal_mode") == "wal"


@pytest.mark.parametrize("name", ["with space", "ü'&+;=#:b@c"])
def test_a_project_path_may_hold_spaces_and_signs(tmp_path, fresh_database, name):
    layout = Layout(tmp_path / name)
    layout.mlruns.mkdir(parents=True)
    shutil.copy(fresh_database, layout.database)
    store = open_store(layout)
    run = start_run(
        store, experiment=name, name="r", folder=layout.runs / "r", params={}, tags={}, description=""
    )
    run.log_text("here", "note.txt")
    assert [path.read_text() for path in layout.artifacts.rglob("note.txt")] == ["here"]
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["why?", "100%25"])
def test_a_project_path_that_no_uri_can_hold_is_refused(tmp_path, name):
    with pytest.raises(StoreError, match=r"'\?' or '%' in its name"):
        open_store(Layout(tmp_path / name))
    assert list(tmp_path.iterdir()) == []


def test_a_new_database_keeps_mlflows_default_experiment_under_mlruns(store):
    # The fixture's database was created elsewhere, as `mlruns/artifacts` of its own project.
    assert store.client.get_experiment("0").artifact_location.endswith("/mlruns/artifacts/0")


def test_an_experiment_keeps_its_artifacts_under_its_name(store):
    number = experiment_id(store, "digits")
    assert experiment_id(store, "digits") == number
    location = store.client.get_experiment(number).artifact_location
    assert location == (store.layout.artifacts / "digits").as_uri()


def test_a_deleted_experiment_is_not_written_to(store):
    number = experiment_id(store, "old")
    store.client.delete_experiment(number)
    with pytest.raises(InputError, match=rf"was deleted: .*--experiment-id {number}"):
        experiment_id(store, "old")


def test_an_experiment_cannot_leave_its_folder(store):
    with pytest.raises(InputError, match=r"must be usable as a folder's name"):
        experiment_id(store, "../outside")


def test_an_experiments_name_is_read_the_same_by_mlflow(store):
    with pytest.raises(InputError, match="must hold no % before two hexadecimal digits; got 'a%20b'"):
        experiment_id(store, "a%20b")
    assert experiment_id(store, "100% sure") == experiment_id(store, "100% sure")


def test_a_killed_creation_leaves_a_folder_that_can_be_opened(tmp_path):
    layout = Layout(tmp_path)
    layout.mlruns.mkdir()
    half = layout.database.with_suffix(".new")
    with sqlite3.connect(half) as connection:
        connection.execute("CREATE TABLE experiments (experiment_id INTEGER)")
    connection.close()
    open_store(layout)
    assert not half.exists()


def test_an_older_mlflows_database_is_backed_up_and_migrated(tmp_path, fresh_database):
    layout = Layout(tmp_path)
    layout.mlruns.mkdir()
    older = _older_database(layout.database)
    assert _revision(layout.database) == older
    store = open_store(layout)
    assert experiment_id(store, "digits")
    assert _revision(layout.database) == _revision(fresh_database)
    assert _revision(layout.mlruns / f"mlflow.db.{older}.bak") == older


def test_a_newer_mlflows_database_is_refused_untouched(store):
    with sqlite3.connect(store.layout.database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'fromthefuture'")
    connection.close()
    with pytest.raises(StoreError, match=r"has schema fromthefuture, which MLflow .* does not know"):
        open_store(store.layout)
    assert _revision(store.layout.database) == "fromthefuture"


def test_a_locked_database_is_waited_for_then_refused(store, monkeypatch):
    monkeypatch.setenv("RUNBACK_LOCK_TIMEOUT", "0.5")
    other = sqlite3.connect(store.layout.database)
    other.execute("BEGIN EXCLUSIVE")
    started = time.monotonic()
    with pytest.raises(StoreError, match=r"mlruns/mlflow.db is locked by another program \(waited 0.5 s\)"):
        open_store(store.layout)
    assert 0.4 < time.monotonic() - started < 5
    other.rollback()
    other.close()
    assert open_store(store.layout).uri == store.uri


def test_a_file_that_is_no_database_is_refused(tmp_path):
    layout = Layout(tmp_path)
    layout.mlruns.mkdir()
    layout.database.write_text("this is no database\n" * 100)
    with pytest.raises(StoreError, match=r"mlruns/mlflow.db is damaged or no SQLite database"):
        open_store(layout)


def test_a_file_in_the_place_of_mlruns_is_refused(tmp_path):
    (tmp_path / "mlruns").write_text("")
    with pytest.raises(StoreError, match=r"cannot create the folder .*mlruns"):
        open_store(Layout(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_mlruns_that_is_not_writable_is_refused(tmp_path):
    layout = Layout(tmp_path)
    layout.mlruns.mkdir(mode=0o500)
    with pytest.raises(StoreError, match=r"cannot create the folder|is not writable"):
        open_store(layout)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_database_that_is_not_writable_is_refused(store):
    store.layout.database.chmod(0o400)
    with pytest.raises(StoreError, match=r"mlruns/mlflow\.db is not writable"):
        open_store(store.layout)


def test_a_server_that_is_away_is_told_soon_and_without_its_password(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    started = time.monotonic()
    with pytest.raises(StoreError, match=r"cannot use the store http://\*\*\*@127.0.0.1:9") as caught:
        open_store(Layout(tmp_path))
    assert "secret" not in str(caught.value)
    assert time.monotonic() - started < 10


def test_a_store_never_shows_its_password(store):
    shared = dataclasses.replace(store, uri="postgresql://me:secret@host/runs")
    assert f"{shared}" == "postgresql://***@host/runs"
    assert "secret" not in repr(shared)
    assert not shared.is_server


def test_the_file_store_that_mlflow_gave_up_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(tmp_path / "files"))
    with pytest.raises(StoreError, match="cannot use the store"):
        open_store(Layout(tmp_path))


def _older_database(database) -> str:
    """Create a database as MLflow did a few migrations ago; return its revision."""
    migrations = str(files("mlflow.store") / "db_migrations")
    config = Config()
    config.set_main_option("script_location", migrations)
    older = [script.revision for script in ScriptDirectory(migrations).walk_revisions()][5]
    engine = create_engine(f"sqlite:///{database}")
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, older)
    engine.dispose()
    return older


def _revision(database) -> str:
    return _value(database, "SELECT version_num FROM alembic_version")


def _value(database, query) -> str:
    connection = sqlite3.connect(database)
    try:
        return connection.execute(query).fetchone()[0]
    finally:
        connection.close()
