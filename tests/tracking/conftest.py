import shutil

import pytest

from runback.tracking.layout import Layout
from runback.tracking.store import Store, open_store
from runback.tracking.write.run_writer import RunWriter, start_run


@pytest.fixture(autouse=True)
def _own_store(monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "RUNBACK_ROOT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def store(tmp_path, fresh_database) -> Store:
    layout = Layout(tmp_path / "project")
    layout.mlruns.mkdir(parents=True)
    shutil.copy(fresh_database, layout.database)
    return open_store(layout)


@pytest.fixture
def run(store) -> RunWriter:
    folder = store.layout.runs / "one"
    return start_run(
        store, experiment="digits", name="one", folder=folder, params={}, tags={}, description="A **run**."
    )
