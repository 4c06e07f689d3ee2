import base64
import json
import zlib

import pytest

from runback.tracking.layout import Layout
from runback.tracking.store import experiment_id, open_store
from runback.tracking.write.saved_view import VIEW_TAG, SavedView, save_view

VIEW = SavedView(
    "s: best first", "tags.`runback.sweep` = 's'", ["val_loss"], ["optimizer.name"], True, ["runback.reason"]
)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return open_store(Layout(tmp_path))


def saved(store):
    tags = store.client.get_experiment(experiment_id(store, "looks")).tags
    return {key: json.loads(value) for key, value in tags.items() if key.startswith(VIEW_TAG)}


def test_a_view_is_kept_as_mlflows_pages_keep_one_in_place_of_the_one_before(store):
    for view in (SavedView("another", "", ["loss"], [], False), VIEW):
        save_view(store, "looks", "runback-s", view)
    [(key, content)] = saved(store).items()
    assert (key, content["name"]) == ("mlflow.sharedViewState.runback-s", "s: best first")
    method, packed = content["state"].split(";")
    state = json.loads(zlib.decompress(base64.b64decode(packed)))
    assert method == "deflate"
    assert state["selectedColumns"] == [
        "metrics.`val_loss`",
        "params.`optimizer.name`",
        "tags.`runback.reason`",
    ]
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`val_loss`", True)
    assert state["searchFilter"] == "tags.`runback.sweep` = 's'"
