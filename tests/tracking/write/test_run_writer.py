import json
import logging
import math
import shutil
import sqlite3
import subprocess
import sys
import time

import pytest
from matplotlib.figure import Figure
from PIL import Image

from runback.errors import Stopped, StoreError, TrialPruned
from runback.tracking.read.find_runs import artifacts, read_text
from runback.tracking.write.run_writer import REASON_TAG, RunWriter, recording, reopen_run, start_run


def _data(run):
    return run.store.client.get_run(run.id).data


def _info(run):
    return run.store.client.get_run(run.id).info


def _curve(run, name):
    return [(point.step, point.value) for point in run.store.client.get_metric_history(run.id, name)]


def _mirror(run):
    lines = (run.store.layout.runs / "one" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_run_starts_with_what_the_ui_shows(store):
    parent = start_run(
        store,
        experiment="digits",
        name="p",
        folder=store.layout.runs / "p",
        params={},
        tags={},
        description="",
    )
    run = start_run(
        store,
        experiment="digits",
        name="trial 3",
        folder=store.layout.runs / "c",
        params={"optimizer.learning_rate": 1e-3, "model.name": "deep_cnn", "training.threads": None},
        tags={"runback.sweep": "quick", "mlflow.source.name": "runback train"},
        description="Tries **adam**.",
        parent=parent.id,
    )
    assert _data(run).params == {
        "optimizer.learning_rate": "0.001",
        "model.name": "deep_cnn",
        "training.threads": "None",
    }
    tags = _data(run).tags
    assert tags["mlflow.note.content"] == "Tries **adam**."
    assert tags["mlflow.parentRunId"] == parent.id
    assert tags["mlflow.source.name"] == "runback train"
    assert tags["runback.sweep"] == "quick"
    assert tags["mlflow.user"]
    assert (_info(run).run_name, _info(run).status) == ("trial 3", "RUNNING")


def test_a_run_is_not_adopted_from_the_environment(store, run, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", run.id)
    other = start_run(
        store,
        experiment="digits",
        name="o",
        folder=store.layout.runs / "o",
        params={},
        tags={},
        description="",
    )
    other.log_epoch(1, {"loss": 0.5})
    assert other.id != run.id
    assert _curve(run, "loss") == []


def test_more_params_and_tags_than_one_call_takes_are_all_logged(run):
    run.log_params({f"p{number}": number for number in range(250)})
    run.set_tags({f"t{number}": str(number) for number in range(250)})
    assert len(_data(run).params) == 250
    assert sum(name.startswith("t") for name in _data(run).tags) == 250


def test_what_is_too_long_for_mlflow_is_cut_visibly(run):
    run.log_params({"exact": "x" * 6000, "long": "x" * 6001})
    run.set_tags({"exact": "y" * 8000, "long": "y" * 8001})
    assert _data(run).params == {"exact": "x" * 6000, "long": "x" * 5999 + "…"}
    assert (_data(run).tags["exact"], _data(run).tags["long"]) == ("y" * 8000, "y" * 7999 + "…")


def test_params_that_mlflow_refuses_leave_no_run(store):
    with pytest.raises(StoreError, match="cannot store params"):
        start_run(
            store,
            experiment="digits",
            name="bad",
            folder=store.layout.runs / "bad",
            params={"a@b": 1},
            tags={},
            description="",
        )
    experiment = store.client.get_experiment_by_name("digits").experiment_id
    assert store.client.search_runs([experiment]) == []


def test_an_epochs_metrics_are_in_the_store_and_in_the_file_at_once(run):
    before = time.time()
    run.log_epoch(1, {"loss": 2.5, "val_accuracy": 0.25})
    run.log_epoch(2, {"loss": math.nan, "val_accuracy": 0.5})
    assert _curve(run, "val_accuracy") == [(1, 0.25), (2, 0.5)]
    assert math.isnan(_curve(run, "loss")[1][1])
    first, second = _mirror(run)
    assert (first["step"], first["metrics"]) == (1, {"loss": 2.5, "val_accuracy": 0.25})
    assert before <= first["time"] <= second["time"] <= time.time()
    assert run.last_step == 2


def test_a_metric_name_that_mlflow_refuses_is_written_another_way(run):
    run.log_metrics({"recall@5 (top/5)": 0.5}, step=3)
    assert _curve(run, "recall_5 _top_5_") == [(3, 0.5)]


def _break(run):
    _execute(run, "ALTER TABLE metrics RENAME TO metrics_away")


def _wait_for(condition):
    deadline = time.monotonic() + 600
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


def _repair(run):
    _execute(run, "ALTER TABLE metrics_away RENAME TO metrics")


def _execute(run, statement):
    connection = sqlite3.connect(run.store.layout.database)
    connection.execute(statement)
    connection.close()


def test_metrics_wait_for_a_store_that_fails_and_go_out_with_a_later_epochs(run, caplog, capfd):
    run.log_epoch(1, {"loss": 3.0})
    _break(run)
    with caplog.at_level(logging.WARNING):
        for epoch in (2, 3, 4):
            run.log_epoch(epoch, {"loss": 1.0 / epoch})
    _repair(run)
    run.log_epoch(5, {"loss": 0.5})
    _wait_for(lambda: len(_curve(run, "loss")) == 5)
    assert _curve(run, "loss") == [(1, 3.0), (2, 1 / 2), (3, 1 / 3), (4, 1 / 4), (5, 0.5)]
    assert [line["step"] for line in _mirror(run)] == [1, 2, 3, 4, 5]
    (warning,) = caplog.messages
    assert f"the store is away; run {run.id} goes on, what it records waits in" in warning
    assert "no such table: main.metrics" in warning or "no such table: metrics" in warning
    assert "\n" not in warning
    assert "Traceback" not in capfd.readouterr().err


def test_metrics_that_wait_go_out_at_the_end(run):
    _break(run)
    run.log_epoch(1, {"loss": 3.0})
    _repair(run)
    run.finish("FINISHED")
    assert _curve(run, "loss") == [(1, 3.0)]
    assert _info(run).status == "FINISHED"


def test_deliver_tells_that_the_store_is_away(run):
    _break(run)
    run.log_metrics({"loss": 3.0})
    with pytest.raises(StoreError, match="cannot store metrics"):
        run.deliver()
    _repair(run)
    run.deliver()
    assert _curve(run, "loss") == [(0, 3.0)]


def test_points_sent_twice_are_stored_once(run, monkeypatch):
    sent = []
    log_batch = run.store.client.log_batch

    def send_then_lose_the_answer(run_id, metrics=(), **options):
        log_batch(run_id, metrics=metrics, **options)
        if not sent:
            sent.extend(metrics)
            from mlflow.exceptions import MlflowException

            raise MlflowException("the answer got lost")

    monkeypatch.setattr(run.store.client, "log_batch", send_then_lose_the_answer)
    run.log_epoch(1, {"loss": 3.0, "accuracy": math.nan})
    run.deliver()
    assert sent
    assert _curve(run, "loss") == [(1, 3.0)]
    assert len(_curve(run, "accuracy")) == 1


def test_artifacts_of_every_kind_are_stored(run, tmp_path):
    figure = Figure()
    figure.add_subplot().plot([1, 2])
    file = tmp_path / "notes.md"
    file.write_text("# notes")
    run.log_text("a: 1\n", "config.yaml")
    run.log_figure(figure, "curves.png")
    run.log_image(Image.new("RGB", (4, 4)), "preview.png")
    run.log_file(file)
    run.log_file(file, "code")
    assert artifacts(run.store, run.id) == ["code", "config.yaml", "curves.png", "notes.md", "preview.png"]
    assert artifacts(run.store, run.id, "code") == ["code/notes.md"]
    assert read_text(run.store, run.id, "config.yaml") == "a: 1\n"


def test_an_artifact_that_cannot_be_stored_is_told(run, tmp_path):
    with pytest.raises(StoreError, match=r"cannot store missing\.txt"):
        run.log_file(tmp_path / "missing.txt")


def test_a_body_that_ends_finishes_the_run(run):
    with recording(run):
        assert _info(run).status == "RUNNING"
    assert _info(run).status == "FINISHED"
    assert _info(run).end_time
    assert REASON_TAG not in _data(run).tags


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (TrialPruned("by asha"), "KILLED", "pruned after epoch 2"),
        (KeyboardInterrupt(), "KILLED", "interrupted: Ctrl-C"),
        (Stopped("SIGTERM"), "KILLED", "interrupted: SIGTERM"),
        (ValueError("no such thing\nmore lines"), "FAILED", "ValueError: no such thing"),
        (MemoryError(), "FAILED", "MemoryError: "),
        (SystemExit(3), "FAILED", "SystemExit: 3"),
    ],
)
def test_a_body_that_raises_leaves_its_true_status_and_reason(run, error, status, reason):
    run.log_epoch(2, {"loss": 1.0})
    with pytest.raises(type(error)), recording(run):
        raise error
    assert _info(run).status == status
    assert _data(run).tags[REASON_TAG] == reason.strip()
    assert ("traceback.txt" in artifacts(run.store, run.id)) == (status == "FAILED")


def test_a_failures_traceback_is_kept_without_passwords(run):
    with pytest.raises(RuntimeError), recording(run):
        raise RuntimeError("cannot reach postgresql://me:secret@host/db")
    text = read_text(run.store, run.id, "traceback.txt")
    assert "test_a_failures_traceback" in text
    assert "postgresql://***@host/db" in text
    assert "secret" not in text.replace('me:secret@host/db")', "")  # the source line is quoted
    assert "secret" not in _data(run).tags[REASON_TAG]


def test_the_first_end_of_a_run_counts(run):
    run.finish("FAILED", "first")
    run.finish("FINISHED")
    with recording(run):
        pass
    assert _info(run).status == "FAILED"
    assert _data(run).tags[REASON_TAG] == "first"


def test_a_run_that_is_taken_up_again_is_running_without_its_reason(run):
    run.log_epoch(1, {"loss": 1.0})
    run.finish("KILLED", "interrupted: Ctrl-C")
    again = reopen_run(run.store, run.id, run.store.layout.runs / "one")
    assert _info(again).status == "RUNNING"
    assert REASON_TAG not in _data(again).tags
    again.log_epoch(2, {"loss": 0.5})
    again.finish("FINISHED")
    assert _curve(run, "loss") == [(1, 1.0), (2, 0.5)]
    assert [line["step"] for line in _mirror(run)] == [1, 2]


def _take_up(run):
    return reopen_run(run.store, run.id, run.store.layout.runs / "one")


def test_metrics_that_only_the_file_has_are_stored_when_a_run_is_taken_up(run):
    run.log_epoch(1, {"loss": 1.0, "accuracy": math.nan})
    _break(run)
    run.log_epoch(2, {"loss": 0.5})
    _repair(run)
    again = _take_up(run)
    assert _curve(run, "loss") == [(1, 1.0), (2, 0.5)]
    assert len(_curve(run, "accuracy")) == 1
    assert again.last_step == 2


def test_a_step_done_again_is_no_second_point(run):
    for step in (1, 2):
        run.log_epoch(step, {"loss": 1.0 / step})
    again = _take_up(run)
    for step in (1, 2, 3):
        again.log_epoch(step, {"loss": 1.0 / step, "learning_rate": 0.1})
    assert _curve(run, "loss") == [(1, 1.0), (2, 1 / 2), (3, 1 / 3)]
    assert [step for step, _ in _curve(run, "learning_rate")] == [1, 2, 3]
    assert again.last_step == 3
    mirrored = [(line["step"], name) for line in _mirror(run) for name in line["metrics"]]
    assert len(mirrored) == len(set(mirrored)) == 6


def test_a_step_done_again_is_no_second_point_where_the_file_is_gone(run):
    run.log_epoch(1, {"loss": 1.0})
    (run.store.layout.runs / "one" / "metrics.jsonl").unlink()
    again = _take_up(run)
    again.log_epoch(1, {"loss": 1.0})
    again.log_epoch(2, {"loss": 0.5})
    assert _curve(run, "loss") == [(1, 1.0), (2, 0.5)]


@pytest.mark.parametrize("cut", [b'{"step": 3, "ti', b"\0\0\0\0", b"\xff\xfe"])
def test_a_last_line_that_a_crash_cut_off_is_removed(run, cut):
    run.log_epoch(1, {"loss": 1.0})
    with (run.store.layout.runs / "one" / "metrics.jsonl").open("ab") as file:
        file.write(cut)
    again = _take_up(run)
    again.log_epoch(2, {"loss": 0.5})
    assert [line["step"] for line in _mirror(run)] == [1, 2]
    assert _curve(run, "loss") == [(1, 1.0), (2, 0.5)]


@pytest.mark.parametrize(
    "line", [b"\0\0\0", b"\xff", b"[]", b'{"step": 1}', b'{"step": 1, "metrics": [2]}', b"7"]
)
def test_a_damaged_line_is_passed_over(run, line, caplog):
    run.log_epoch(1, {"loss": 1.0})
    with (run.store.layout.runs / "one" / "metrics.jsonl").open("ab") as file:
        file.write(line + b"\n")
    run.log_epoch(2, {"loss": 0.5})
    _take_up(run)
    assert _curve(run, "loss") == [(1, 1.0), (2, 0.5)]
    assert "a damaged line" in caplog.text


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from runback.errors import DiskFull
from runback.tracking.layout import Layout
from runback.tracking.write.run_writer import RunWriter
from runback.tracking.store import open_store

layout = Layout(Path(sys.argv[1]))
folder = layout.runs / "one"
run = RunWriter(open_store(layout), sys.argv[2], folder)
run.log_epoch(1, {"loss": 1.0})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
full = (folder / "metrics.jsonl").stat().st_size + 20, resource.RLIM_INFINITY
resource.setrlimit(resource.RLIMIT_FSIZE, full)
try:
    run.log_epoch(2, {"loss": 0.5})
except DiskFull as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
run.log_epoch(3, {"loss": 0.25})
run.deliver()
"""


def test_a_line_that_does_not_fit_on_the_disk_is_told_and_left_out_whole(run):
    code = [sys.executable, "-c", FULL_DISK, str(run.store.layout.root), run.id]
    done = subprocess.run(code, capture_output=True, text=True, timeout=1200, check=True)
    mirror = run.store.layout.runs / "one" / "metrics.jsonl"
    assert done.stdout == f"the disk is full: cannot write {mirror}\n"
    assert [line["step"] for line in _mirror(run)] == [1, 3]
    assert _curve(run, "loss") == [(1, 1.0), (2, 0.5), (3, 0.25)]


def test_a_run_whose_folder_is_gone_can_be_taken_up(run):
    run.log_epoch(1, {"loss": 1.0})
    shutil.rmtree(run.store.layout.runs / "one")
    again = _take_up(run)
    again.log_epoch(2, {"loss": 0.5})
    assert _curve(run, "loss") == [(1, 1.0), (2, 0.5)]


def test_a_run_that_does_not_exist_cannot_be_taken_up(store):
    with pytest.raises(StoreError, match="run 0123"):
        reopen_run(store, "0123", store.layout.runs / "x")


KILLED = """
import os, signal, sys
from pathlib import Path
from runback.tracking.layout import Layout
from runback.tracking.write.run_writer import RunWriter, recording
from runback.tracking.store import open_store

layout = Layout(Path(sys.argv[1]))
run = RunWriter(open_store(layout), sys.argv[2], layout.runs / "one")
with recording(run):
    for epoch in range(1, 6):
        run.log_epoch(epoch, {"loss": 1.0 / epoch})
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_every_epoch_it_logged(run):
    killed = subprocess.run([sys.executable, "-c", KILLED, str(run.store.layout.root), run.id], timeout=1200)
    assert killed.returncode == -9
    assert [step for step, _ in _curve(run, "loss")] == [1, 2, 3, 4, 5]
    assert [line["step"] for line in _mirror(run)] == [1, 2, 3, 4, 5]


def test_a_folder_that_is_gone_does_not_stop_training(store, tmp_path, caplog):
    folder = tmp_path / "gone"
    run = start_run(store, experiment="digits", name="g", folder=folder, params={}, tags={}, description="")
    shutil.rmtree(folder)
    run.log_epoch(1, {"loss": 1.0})
    assert "cannot write" in caplog.text
    run.log_text("a: 1", "config.yaml")
    run.finish("FINISHED")
    assert _curve(run, "loss") == [(1, 1.0)]
    assert artifacts(run.store, run.id) == ["config.yaml"]
    assert _info(run).status == "FINISHED"


def test_a_run_without_a_folder_writes_no_file(run):
    before = set(run.store.layout.runs.iterdir())
    RunWriter(run.store, run.id).log_metrics({"test_loss": 0.5})
    assert set(run.store.layout.runs.iterdir()) == before
    assert _curve(run, "test_loss") == [(0, 0.5)]
