"""The commands that restore what was deleted, each run as a shell would."""

import re
import shlex
import subprocess

import pytest

from runback.errors import InputError
from runback.tracking.read.find_runs import find_run
from runback.tracking.store import experiment_id, find_experiment
from runback.tracking.upkeep.restoring import restoring


def command_of(message):
    (command,) = re.findall(r"restore it with `([^`]+)`", message)
    return command


def restore(message):
    subprocess.run(command_of(message), shell=True, check=True, capture_output=True, timeout=1200)  # noqa: S602


def test_the_command_that_is_said_restores_an_experiment_with_its_runs(store):
    number = experiment_id(store, "old")
    run_id = store.client.create_run(number).info.run_id
    store.client.delete_experiment(number)
    with pytest.raises(InputError, match=f"run {run_id} was deleted, with its experiment {number}") as of_run:
        find_run(store, run_id)
    with pytest.raises(InputError, match="experiment 'old' was deleted: choose another name") as refused:
        experiment_id(store, "old")
    assert command_of(str(of_run.value)) == command_of(str(refused.value))
    restore(str(refused.value))
    assert experiment_id(store, "old") == number
    assert find_run(store, run_id).info.run_id == run_id


def test_the_command_that_is_said_restores_a_run(store):
    run_id = store.client.create_run(experiment_id(store, "new")).info.run_id
    store.client.delete_run(run_id)
    with pytest.raises(InputError, match=f"run {run_id} was deleted: ") as refused:
        find_run(store, run_id[:8])
    restore(str(refused.value))
    assert find_run(store, run_id).info.run_id == run_id


def test_an_experiment_that_does_not_exist_is_not_created_by_looking(store):
    assert find_experiment(store, "none") is None
    assert store.client.get_experiment_by_name("none") is None


def test_a_server_is_named_by_its_address_and_one_of_the_environment_by_nothing(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    said = restoring("http://127.0.0.1:5000", experiment="3")
    assert "`MLFLOW_TRACKING_URI=http://127.0.0.1:5000 " in said
    assert "`mlflow gc`" in said
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:5000")
    words = shlex.split(command_of(restoring("http://me:secret@127.0.0.1:5000", run="0a" * 16)))
    assert words[0].endswith("mlflow")
    assert words[1:] == ["runs", "restore", "--run-id", "0a" * 16]


def test_what_a_store_says_is_quoted(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    command = command_of(restoring("sqlite:////tmp/a b.db", run="x; touch pwned"))
    assert command.startswith("MLFLOW_TRACKING_URI='sqlite:////tmp/a b.db' ")
    assert command.endswith(" runs restore --run-id 'x; touch pwned'")
