"""`runback clean` on real projects, with real runs, and processes that are really at work."""

import json
import shutil
from pathlib import Path

import pytest

from runback.system.files.folder_lock import alone_in
from runback.tracking.layout import Layout
from runback.tracking.server.ui_server import HOST, choose_port, serving
from runback.tracking.store import open_store
from runback.tracking.write.run_writer import start_run


@pytest.fixture
def layout(project, fresh_database, monkeypatch) -> Layout:
    """A project's mlruns/ with a database, in which no run is."""
    for name in ("MLFLOW_TRACKING_URI", "RUNBACK_MLRUNS", "RUNBACK_ROOT"):
        monkeypatch.delenv(name, raising=False)
    layout = Layout(project.folder)
    layout.mlruns.mkdir()
    shutil.copy(fresh_database, layout.database)
    return layout


@pytest.fixture
def start(layout):
    """Records runs that have an artifact, a folder, and a checkpoint of a megabyte in it."""
    store = open_store(layout)

    def start(folder: str, status: str, reason: str | None = None, **tags: str):
        path = layout.mlruns / folder
        own = layout.folder_tags(path) | {f"runback.{key}": value for key, value in tags.items()}
        facts = {"params": {}, "description": "A run."}
        run = start_run(store, experiment="digits", name=path.name, folder=path, tags=own, **facts)
        run.log_text("here", "note.txt")
        run.log_epoch(1, {"loss": 1.0})
        (path / "checkpoint-00001-0000000.npz").write_bytes(b"x" * 1_000_000)
        run.finish(status, reason)
        return run.id, path

    return start


def has_checkpoint(path: Path) -> bool:
    return any(path.glob("*.npz"))


def test_in_a_fresh_project_there_is_nothing_to_delete(project):
    done = project.run("clean", "--yes")
    assert (done.returncode, done.stdout, done.stderr) == (0, "nothing to delete\n", "")
    assert not (project.folder / "mlruns").exists()


@pytest.mark.parametrize("days", ["-1", "nan", "inf", "soon"])
def test_a_bad_number_of_days_is_refused_in_one_line(project, days):
    done = project.run("clean", f"--older-than={days}")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--older-than" in done.stderr


def test_nothing_is_deleted_before_it_was_shown_and_agreed_to(project, start):
    _, over = start("runs/over", "FINISHED")
    _, pruned = start("sweeps/quick/0", "KILLED", "pruned after epoch 1", sweep="quick")
    _, stopped = start("runs/stopped", "KILLED", "interrupted: Ctrl-C")
    [shown, again, done, after, rest] = project.run_many(
        ["clean"], ["clean"], ["clean", "--yes"], ["clean"], ["clean", "--json"]
    )
    assert (shown[0], shown[2]) == (0, "")
    assert "mlruns/runs/over/checkpoint-00001-0000000.npz" in shown[1]
    assert shown[1].endswith("2.0 MB in 2 places; `runback clean --yes` deletes them\n")
    assert again == shown
    assert done[1].endswith("2.0 MB freed\n")
    assert after[1] == "nothing to delete\n"
    assert json.loads(rest[1]) == {"dry": True, "items": [], "notes": []}
    assert [has_checkpoint(path) for path in (over, pruned, stopped)] == [False, False, True]
    assert (over / "metrics.jsonl").exists()

    report = json.loads(project.run("clean", "--yes", "--all-checkpoints", "--json").stdout)
    assert [(item["kind"], item["bytes"], item["done"]) for item in report["items"]] == [
        ("checkpoint", 1_000_000, "deleted")
    ]
    assert not has_checkpoint(stopped)


@pytest.mark.slow
def test_what_was_deleted_in_mlflow_is_gone_for_good_with_its_folder(project, start, layout):
    gone, gone_folder = start("runs/gone", "FINISHED")
    kept, kept_folder = start("runs/kept", "FINISHED")
    first, shared = start("sweeps/quick/0", "FAILED", sweep="quick")
    retry, _ = start("sweeps/quick/0", "FINISHED", sweep="quick")
    parent, whole = start("sweeps/slow", "FINISHED", sweep="slow", kind="sweep")
    trial, _ = start("sweeps/slow/0", "FINISHED", sweep="slow")
    outside, waiting = start("runs/waiting", "FINISHED")
    (waiting / "outbox").mkdir()
    (waiting / "outbox" / "1.json").write_text("{}")
    for run_id in (gone, first, parent, trial, outside):
        project.client().delete_run(run_id)

    with alone_in(gone_folder, "its process"):
        done = project.run("clean", "--yes")
    assert f"deleted runs stay: run {gone} was deleted, and its process still trains" in done.stdout
    assert project.client().get_run(gone).info.lifecycle_stage == "deleted"
    assert (gone_folder / "metrics.jsonl").exists()

    [done, again] = project.run_many(["clean", "--yes"], ["clean", "--yes"])
    assert (done[0], done[2]) == (0, "")
    assert again == (0, "nothing to delete\n", "")
    assert {run.info.run_id for run in project.runs()} == {kept, retry}
    assert not gone_folder.exists()
    assert not whole.exists()
    assert kept_folder.exists()
    assert shared.exists()
    assert (waiting / "outbox" / "1.json").exists()
    left = {path.parent.name for path in layout.artifacts.glob("digits/*/artifacts")}
    assert left == {kept, retry}


def test_a_copy_of_a_project_never_deletes_the_originals_artifacts(project, start, layout):
    run_id, _ = start("runs/one", "FINISHED")
    copy = type(project)(project.folder.with_name("copy"))
    shutil.copytree(project.folder, copy.folder, symlinks=True)
    copy.client().delete_run(run_id)
    done = copy.run("clean", "--yes")
    assert done.returncode == 0
    assert "artifacts of deleted runs lie outside" in done.stdout
    assert (layout.artifacts / "digits" / run_id / "artifacts" / "note.txt").exists()


def test_files_of_dead_processes_go_and_those_at_work_stay(project, layout):
    for name in ("dead", "alive"):
        (layout.runs / name).mkdir(parents=True)
        (layout.runs / name / ".checkpoint-00001-0000000.npz.partial").write_bytes(b"half")
    with alone_in(layout.runs / "alive", "its process"):
        assert "1 partial file," in project.run("doctor").stdout
        done = project.run("clean", "--yes")
    assert done.returncode == 0
    left = [path.parent.name for path in layout.runs.rglob("*.partial")]
    assert left == ["alive"]


@pytest.mark.slow
def test_on_a_server_only_files_of_this_machine_are_deleted(project, start, layout):
    _, over = start("runs/over", "FINISHED")
    deleted, _ = start("runs/deleted", "FINISHED")
    project.client().delete_run(deleted)
    port = choose_port(None, default=5999)
    with serving(open_store(layout), port, token=None):
        uri = f"http://{HOST}:{port}"
        told = project.run("doctor", MLFLOW_TRACKING_URI=uri)
        done = project.run("clean", "--yes", MLFLOW_TRACKING_URI=uri)
    assert told.returncode == 0, told.stdout
    assert f"{uri} answers" in told.stdout
    assert done.returncode == 0, done.stderr
    assert f"in {uri} nothing is deleted: `mlflow gc` does that" in done.stdout
    assert not has_checkpoint(over)
    assert project.client().get_run(deleted).info.lifecycle_stage == "deleted"
