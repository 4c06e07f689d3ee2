import json
import socket

import pytest
from mlflow import MlflowClient
from mlflow.utils import validation

from runback.tracking.store import Store
from runback.tracking.write import dataset_inputs
from runback.tracking.write.dataset_inputs import dataset_facts
from runback.tracking.write.delivery import deliver_folder
from runback.tracking.write.run_writer import RunWriter

DATA = {
    "train": {"sha256": "ab" * 32, "shape": [50, 8, 8, 1], "dtype": "uint8", "class_counts": {"cat": 50}},
    "labels.txt": {"sha256": "cd" * 32, "shape": [1234], "kind": "file", "class_counts": {}},
}


def stored(run):
    inputs = run.store.client.get_run(run.id).inputs.dataset_inputs
    return {one.dataset.name: one for one in inputs}


def test_the_limits_are_mlflows():
    assert validation.MAX_DATASET_DIGEST_SIZE == dataset_inputs.DIGEST_LIMIT
    assert validation.MAX_DATASET_NAME_SIZE == dataset_inputs.NAME_LIMIT
    assert validation.MAX_DATASETS_PER_BATCH == dataset_inputs.BATCH_LIMIT


def test_inputs_are_datasets_with_the_whole_fingerprint_beside_the_digest(run):
    run.log_inputs(DATA)
    found = stored(run)
    assert {name: one.dataset.digest for name, one in found.items()} == {
        "train": "ab" * 18, "labels.txt": "cd" * 18
    }  # fmt: skip
    for name, one in found.items():
        for part in (one.dataset.source, one.dataset.profile):
            assert json.loads(part)["sha256"] == DATA[name]["sha256"]
    assert json.loads(found["train"].dataset.profile)["num_rows"] == 50
    assert "num_rows" not in json.loads(found["labels.txt"].dataset.profile)
    assert [tag.value for tag in found["train"].tags] == ["training"]
    run.finish("FINISHED")


def test_inputs_that_are_sent_again_are_there_once_and_nothing_is_no_input(run):
    run.log_inputs({})
    assert stored(run) == {}
    for _ in range(2):
        run.log_inputs(DATA)
    assert len(run.store.client.get_run(run.id).inputs.dataset_inputs) == 2
    run.finish("FINISHED")


def test_a_name_longer_than_mlflow_takes_is_cut():
    [facts] = dataset_facts({"x" * 600: DATA["train"]})
    assert len(facts["name"]) == 500


@pytest.fixture
def nobodys_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        yield one.getsockname()[1]


def test_inputs_wait_for_a_store_that_is_away(run, nobodys_port, monkeypatch):
    monkeypatch.setattr("runback.tracking.write.run_writer.SERVER_FINISH", 0.2)
    uri = f"http://127.0.0.1:{nobodys_port}"
    folder = run.store.layout.runs / "one"
    away = RunWriter(Store(uri, MlflowClient(uri), run.store.layout), run.id, folder)
    away.log_inputs(DATA)
    away.finish("FINISHED")
    assert stored(run) == {}
    assert deliver_folder(run.store, folder) == []
    assert set(stored(run)) == {"train", "labels.txt"}
