import os
import shutil
import subprocess
import sys
import time

import psutil
import pytest

from runback.housekeeping.leftovers import checkpoints, leftovers_check, of_dead_processes, remove
from runback.system.files.folder_lock import alone_in
from runback.tracking.write.run_writer import start_run

WRITE = """
import sys, time
from pathlib import Path
from runback.classifier.data.cache_folder import alone, partial

with alone(Path(sys.argv[1]), "cifar10-train"), partial(Path(sys.argv[1]), "cifar10-train") as folder:
    (folder / "images.npy").write_bytes(b"half")
    print("written", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _own_store(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("RUNBACK_MLRUNS", raising=False)


def put(path, content=b"x" * 10):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def paths(found):
    return [one.path for one in found]


def test_an_empty_folder_has_no_leftovers_and_stays_empty(layout):
    assert of_dead_processes(layout) == []
    assert leftovers_check(layout).state == "ok"
    assert list(layout.mlruns.iterdir()) == []


def test_half_written_files_of_dead_processes_are_found_and_removed(layout):
    half = put(layout.runs / "one" / ".checkpoint-00001-0000000.npz.partial")
    outcome = put(layout.sweeps / "quick" / "3" / ".outcome.json.77.partial")
    database = put(layout.mlruns / "mlflow.new-wal")
    put(layout.runs / "one" / "metrics.jsonl")
    found = of_dead_processes(layout)
    assert sorted(paths(found)) == sorted([half, outcome, database])
    assert {one.size for one in found} == {10}
    check = leftovers_check(layout)
    assert (check.state, check.found) == ("warning", "3 partial files, 0.0 MB")
    assert all(remove(layout, one) for one in found)
    assert of_dead_processes(layout) == []
    assert (layout.runs / "one" / "metrics.jsonl").exists()


def test_a_held_folder_keeps_its_half_written_files(layout):
    put(layout.sweeps / "quick" / "3" / ".outcome.json.77.partial")
    found = of_dead_processes(layout)
    with alone_in(layout.sweeps / "quick", "sweep quick"):
        assert of_dead_processes(layout) == []
        assert not remove(layout, found[0])  # it was taken up since
    assert remove(layout, found[0])


def test_images_that_are_being_decoded_stay_and_those_of_a_killed_process_go(layout):
    with subprocess.Popen(
        [sys.executable, "-c", WRITE, str(layout.data)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "written\n"
        assert of_dead_processes(layout) == []
        process.kill()
        process.wait()
    [left] = of_dead_processes(layout)
    assert (left.kind, left.size) == ("partial file", 4)
    assert remove(layout, left)
    assert not left.path.exists()


def test_what_waits_to_be_sent_stays(layout, store):
    put(layout.runs / "one" / "outbox" / ".artifact.partial")
    put(layout.runs / "one" / "outbox" / "checkpoint-00001-0000000.npz")
    assert of_dead_processes(layout) == []
    assert checkpoints(store, every=True) == []


def test_an_environment_goes_by_its_last_use_and_stays_while_a_program_of_it_runs(layout):
    environment = layout.environments / "0123456789ab"
    (environment / "bin").mkdir(parents=True)
    sleep = environment / "bin" / "sleep"
    sleep.symlink_to(shutil.which("sleep"))
    long_ago = time.time() - 40 * 86_400
    os.utime(environment, (long_ago, long_ago))
    with subprocess.Popen([sleep, "60"]) as process:
        while not psutil.Process(process.pid).cmdline():  # empty for a moment while the program is loaded
            time.sleep(0.001)
        assert of_dead_processes(layout) == []
        process.kill()
    [left] = of_dead_processes(layout)
    assert (left.kind, left.why) == ("environment", "not used for 40 days")
    assert of_dead_processes(layout, older_than=50) == []
    assert remove(layout, left)
    assert not environment.exists()


def test_only_checkpoints_of_runs_that_cannot_go_on_are_not_needed(layout, store):

    def run(name, status, reason=None):
        folder, facts = layout.runs / name, {"params": {}, "description": "A run."}
        started = start_run(
            store, experiment="digits", name=name, folder=folder, tags=layout.folder_tags(folder), **facts
        )
        put(folder / "checkpoint-00002-0000000.npz")
        if status != "RUNNING":
            started.finish(status, reason)
        return folder

    over = {run("finished", "FINISHED"), run("pruned", "KILLED", "pruned after epoch 2")}
    rest = {run("stopped", "KILLED", "interrupted: Ctrl-C"), run("failed", "FAILED"), run("dead", "RUNNING")}
    unknown = put(layout.runs / "of another store" / "checkpoint-00001-0000000.npz").parent
    found = checkpoints(store)
    assert {one.path.parent for one in found} == over
    assert {path.parent for path in paths(checkpoints(store, every=True))} == over | rest | {unknown}
    with alone_in(layout.runs / "finished", "run"):
        assert len(checkpoints(store)) == 1
    assert all(remove(layout, one) for one in found)
    assert checkpoints(store) == []


def test_a_retry_that_goes_on_keeps_the_checkpoint_in_the_folder_of_both(layout, store):
    folder = layout.sweeps / "quick" / "0"
    facts = {"params": {}, "description": "A run.", "tags": layout.folder_tags(folder), "folder": folder}
    start_run(store, experiment="digits", name="first", **facts).finish("FINISHED")
    time.sleep(0.01)  # MLflow's clock counts milliseconds
    start_run(store, experiment="digits", name="retry", **facts).finish("KILLED", "interrupted: Ctrl-C")
    put(folder / "checkpoint-00002-0000000.npz")
    assert checkpoints(store) == []
