import os
import sqlite3
from contextlib import closing

import pytest

from runback.errors import StoreError
from runback.tracking.sqlite.sqlite_file import (
    back_up,
    connected,
    faults,
    file_of,
    printable_path,
    revision,
    write_ahead,
    writes_ahead,
)


@pytest.fixture
def database(tmp_path):
    """A database of some pages, with an index, in the form that alembic gives it."""
    path = tmp_path / "mlruns" / "mlflow.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('one')")
        connection.execute("CREATE TABLE points (name TEXT, value REAL)")
        connection.execute("CREATE INDEX by_name ON points (name)")
        rows = [(f"point {number}" * 20, number) for number in range(500)]
        connection.executemany("INSERT INTO points VALUES (?, ?)", rows)
    return path


def spoil(database):
    """Overwrite two pages in the middle, as a disk or a half copied file does."""
    with database.open("r+b") as file:
        file.seek(database.stat().st_size // 2)
        file.write(b"\xff" * 8192)


def test_a_sound_database_has_no_faults_and_tells_its_version(database):
    assert faults(database, 1) == []
    assert revision(database, 1) == "one"
    assert printable_path(database) == "mlruns/mlflow.db"


def test_a_spoilt_database_is_told_by_its_faults(database):
    spoil(database)
    assert revision(database, 1) == "one"  # what is asked for is still there
    found = faults(database, 1)
    assert 1 <= len(found) <= 3
    assert all(fault and "\n" not in fault for fault in found)


def test_a_locked_database_is_not_waited_for_longer_than_asked(database):
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match=r"locked by another program \(waited 0.1 s\)"):
            revision(database, 0.1)
    assert revision(database, 0.1) == "one"


def test_a_write_ahead_log_is_turned_on_and_seen(database):
    assert not writes_ahead(database, 1)
    write_ahead(database)
    assert writes_ahead(database, 1)


def test_a_backup_of_a_database_in_use_is_whole(database):
    write_ahead(database)
    with closing(sqlite3.connect(database)) as writer, writer:
        writer.execute("INSERT INTO points VALUES ('last', 1)")
        writer.commit()  # it lies in the log now, not in the file
        backup = back_up(database, "today")
    assert backup == database.with_name("mlflow.db.today.bak")
    assert faults(backup, 1) == []
    with closing(sqlite3.connect(backup)) as copy:
        assert copy.execute("SELECT count(*) FROM points").fetchone() == (501,)


def test_the_file_of_a_uri_is_told_where_it_has_one(tmp_path):
    assert file_of(f"sqlite:///{tmp_path}/mlflow.db?timeout=3") == tmp_path / "mlflow.db"
    assert file_of("http://127.0.0.1:5000") is None
    assert file_of("postgresql://me:secret@host/runs") is None


STRANGE = (
    "CREATE VIEW tags AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c",
    "CREATE TRIGGER t AFTER INSERT ON points BEGIN DELETE FROM points; END",
    "CREATE VIRTUAL TABLE tags USING fts5(key)",
)


@pytest.mark.parametrize("statement", STRANGE)
def test_a_database_that_is_more_than_tables_is_refused(database, statement):
    with closing(sqlite3.connect(database)) as connection, connection:
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            pytest.skip(f"SQLite here: {error}")  # it may be built without a module
    with pytest.raises(StoreError, match=r"mlflow\.db holds the \w+ 't.*'; expected plain tables"):
        revision(database)


def test_a_pipe_in_the_place_of_a_database_is_told_at_once(tmp_path):
    os.mkfifo(tmp_path / "mlflow.db")
    with (
        pytest.raises(StoreError, match="must be an ordinary file"),
        connected(tmp_path / "mlflow.db", read_only=True),
    ):
        pass
