import pytest

from runback.errors import StoreError
from runback.tracking.sqlite.database_schema import any_running, refuse_unknown
from runback.tracking.sqlite.sqlite_file import revision


def test_the_installed_mlflow_knows_its_own_schema_and_no_other(store):
    refuse_unknown(store.layout.database, revision(store.layout.database))
    for unknown in ("fromthefuture", None):
        with pytest.raises(StoreError, match=rf"has schema {unknown}, which MLflow \d.* does not know"):
            refuse_unknown(store.layout.database, unknown)


def test_a_running_run_is_seen_until_it_ends(store, run):
    assert any_running(store.layout.database)
    run.finish("FINISHED")
    assert not any_running(store.layout.database)


def test_a_database_of_something_else_is_told_in_one_line(tmp_path):
    (tmp_path / "mlflow.db").touch()
    with pytest.raises(StoreError, match="no such table"):
        any_running(tmp_path / "mlflow.db")
