import shutil

import pytest

from runback.tracking.layout import Layout
from runback.tracking.store import open_store


@pytest.fixture
def layout(tmp_path) -> Layout:
    layout = Layout(tmp_path)
    layout.mlruns.mkdir()
    return layout


@pytest.fixture
def store(layout, fresh_database):
    shutil.copy(fresh_database, layout.database)
    return open_store(layout)
