"""What is stored as a path, by whomever, leads nowhere outside mlruns/: it is refused in one line."""

import json
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from runback.tracking.layout import Layout
from runback.tracking.store import open_store
from runback.tracking.tags import FOLDER_TAG
from runback.tracking.upkeep.moved_artifacts import COLUMNS

TINY = ("data=synthetic", "training.epochs=1", "model.dense_width=8", "model.widths=[4,4]")


@pytest.fixture(autouse=True)
def _no_server(monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "RUNBACK_MLRUNS", "RUNBACK_ROOT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def trained(module_project):
    done = module_project.run("train", *TINY)
    assert done.returncode == 0, done.stderr
    return module_project, done.stdout.split()[-1]


@pytest.fixture
def copy(trained, make_project, tmp_path):
    """A project with one run of its own, which a test may spoil."""
    original, run_id = trained
    shutil.rmtree(tmp_path / "project", ignore_errors=True)
    shutil.copytree(original.folder, tmp_path / "project", symlinks=True)
    project = type(original)(tmp_path / "project")
    places = (original.folder.as_uri(), project.folder.as_uri())
    for table, column in COLUMNS:
        sql(project, f"UPDATE {table} SET {column} = replace({column}, ?, ?)", *places)  # noqa: S608
    return project, run_id


@pytest.fixture
def outside(tmp_path):
    """A folder that is nobody's business, with a file in it."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious").write_text("mine\n")
    return folder


def content(folder):
    return {path.relative_to(folder): path.read_text() for path in folder.rglob("*") if path.is_file()}


def mlruns(project):
    return project.folder / "mlruns"


def sql(project, command, *values):
    with sqlite3.connect(mlruns(project) / "mlflow.db") as connection:
        connection.execute(command, values)
    connection.close()


def refused(project, *arguments, **env):
    done = project.run(*arguments, **env)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done
    assert done.stderr.startswith("runback: ")
    return done.stderr


def killed_run(project, folder):
    """Make a run that says of itself that it could go on in a folder."""
    store = open_store(Layout(project.folder))
    [experiment] = [one for one in store.client.search_experiments() if one.name != "Default"]
    tags = {"runback.kind": "train", FOLDER_TAG: folder}
    run = store.client.create_run(experiment.experiment_id, tags=tags)
    store.client.set_terminated(run.info.run_id, "KILLED")
    return run.info.run_id


TAGS = (
    "../../outside",
    "../outside",
    "{outside}",
    "runs/link",
    "runs/../runs/link",
    ".",
    "",
    "runs/a\x01/../../..",
    "runs/loop",
)


def test_resuming_follows_no_tag_out_of_mlruns(copy, outside):
    project, _ = copy
    (mlruns(project) / "runs" / "link").symlink_to(outside)
    (mlruns(project) / "runs" / "loop").symlink_to("loop")
    (project.folder / "outside").symlink_to(outside)
    runs = [killed_run(project, tag.format(outside=outside)) for tag in TAGS]
    outcomes = project.run_many(*(["train", f"resume={run_id}"] for run_id in runs))
    for tag, (code, _, err) in zip(TAGS, outcomes, strict=True):
        assert (code, err.count("\n")) == (2, 1), (tag, err)
        assert "the folder of run" in err, (tag, err)
    assert content(outside) == {Path("precious"): "mine\n"}


LINKS = (".lock", "metrics.jsonl", "run.json", "outbox", "checkpoint-00001-0000000.npz")


def test_resuming_follows_no_link_in_a_runs_folder(copy, outside):
    project, _ = copy
    runs = []
    for name in LINKS:
        folder = mlruns(project) / "runs" / f"with {name}"
        folder.mkdir()
        (folder / name).symlink_to(outside if name == "outbox" else outside / "precious")
        runs.append(killed_run(project, f"runs/{folder.name}"))
    outcomes = project.run_many(*(["train", f"resume={run_id}"] for run_id in runs))
    for name, (code, _, err) in zip(LINKS, outcomes, strict=True):
        assert (code, err.count("\n")) == (2, 1), (name, err)
        assert f"{name} must lie in" in err
    assert content(outside) == {Path("precious"): "mine\n"}


def test_a_lock_that_is_a_link_empties_nothing(tmp_path, outside):
    from runback.errors import StoreError
    from runback.system.files.folder_lock import alone_in

    (tmp_path / ".lock").symlink_to(outside / "precious")
    with pytest.raises(StoreError, match="cannot write to"), alone_in(tmp_path, "it"):
        pytest.fail("it was held")
    assert content(outside) == {Path("precious"): "mine\n"}


@pytest.mark.parametrize(
    "location", ["file://{outside}", "{outside}", "{mlruns}/../outside", "{mlruns}/link"]
)
def test_no_command_reads_or_writes_artifacts_outside_mlruns(copy, outside, location):
    project, run_id = copy
    artifacts = mlruns(project) / "artifacts"
    [own] = artifacts.glob(f"*/{run_id}/artifacts")
    shutil.copytree(own, outside / "artifacts")
    (project.folder / "outside").symlink_to(outside)
    (mlruns(project) / "artifacts" / "link").symlink_to(outside)
    place = location.format(outside=outside, mlruns=mlruns(project)) + "/artifacts"
    place = place.replace("mlruns/link", "mlruns/artifacts/link")
    sql(project, "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", place, run_id)
    before = set(outside.rglob("*"))
    commands = [
        ["evaluate", run_id],
        ["export", run_id, "bundle.zip"],
        ["reproduce", run_id],
        ["compare", run_id, run_id],
        ["serve", run_id],
    ]
    for arguments, (code, _, err) in zip(commands, project.run_many(*commands), strict=True):
        assert (code, err.count("\n")) == (2, 1), (arguments, err)
        assert "must lie in" in err
    assert set(outside.rglob("*")) == before
    assert not (project.folder / "bundle.zip").exists()


@pytest.mark.parametrize("name", ["config.yaml", "record"])
def test_no_command_reads_through_a_link_among_artifacts(copy, outside, name):
    project, run_id = copy
    [own] = (mlruns(project) / "artifacts").glob(f"*/{run_id}/artifacts")
    (own / name).rename(outside / name)
    (own / name).symlink_to(outside / name)
    commands = [["evaluate", run_id], ["export", run_id, "bundle.zip"], ["reproduce", run_id]]
    for arguments, (code, _, err) in zip(commands, project.run_many(*commands), strict=True):
        if arguments[0] == "evaluate" and name == "record":
            continue  # it reads nothing there
        assert (code, err.count("\n")) == (2, 1), (arguments, err)
        assert "must lie in" in err


@pytest.mark.parametrize("location", ["file://{outside}", "ftp://127.0.0.1:1/x", "http://127.0.0.1:1/x"])
def test_no_training_writes_where_an_experiment_says_outside_mlruns(copy, outside, location):
    project, _ = copy
    where = location.format(outside=outside)
    sql(project, "UPDATE experiments SET artifact_location = ?", where)
    assert "must lie in" in refused(project, "train", *TINY)
    assert content(outside) == {Path("precious"): "mine\n"}


def test_no_model_outside_mlruns_is_written_or_registered(copy, outside):
    project, run_id = copy
    sql(project, "UPDATE logged_models SET artifact_location = ?", f"file://{outside}")
    project.client().set_tag(run_id, "runback.sweep", "s")
    assert "must lie in" in refused(project, "promote", run_id)


def waiting(project, folder, run_id):
    """Let a tag wait in a folder that says it is of this run."""
    from runback.tracking.write.outbox import Outbox

    outbox = Outbox(folder)
    outbox.open()
    outbox.belongs_to(run_id, "")
    outbox.put("tags", {"runback.reason": "not yours"})


def test_a_folder_that_says_it_is_another_runs_delivers_nothing(copy, outside):
    project, run_id = copy
    for folder in (mlruns(project) / "runs" / "strange", outside / "strange"):
        waiting(project, folder, run_id)
        done = project.run("sync", str(folder))
        assert done.returncode == 1
        assert "whose folder is" in done.stdout
    assert "runback.reason" not in project.client().get_run(run_id).data.tags


def test_nothing_is_delivered_through_links(copy, outside):
    project, run_id = copy
    folder = mlruns(project) / project.client().get_run(run_id).data.tags[FOLDER_TAG]
    waiting(project, folder, run_id)
    stolen = folder / "outbox" / f"{1:020d}-artifact"
    stolen.mkdir()
    (stolen / "precious").symlink_to(outside / "precious")
    done = project.run("sync")
    assert done.returncode == 1
    assert "must lie in" in done.stdout
    assert "precious" not in [one.path for one in project.client().list_artifacts(run_id)]


def test_a_folder_of_mlruns_that_is_a_link_is_not_delivered_from(copy, outside):
    project, run_id = copy
    waiting(project, outside / "strange", run_id)
    (mlruns(project) / "runs" / "link").symlink_to(outside / "strange")
    before = content(outside)
    done = project.run("sync")
    assert done.returncode == 1
    assert content(outside) == before
    assert "must lie in" in done.stdout


@pytest.mark.parametrize(
    "location",
    ["{mlruns}", "{mlruns}/artifacts", "{mlruns}/sweeps", "{mlruns}/artifacts/../../outside", "{outside}"],
)
def test_cleaning_deletes_no_more_than_a_deleted_runs_own_artifacts(copy, outside, location):
    project, run_id = copy
    (project.folder / "outside").symlink_to(outside)
    (mlruns(project) / "sweeps" / "s").mkdir(parents=True)
    place = location.format(mlruns=mlruns(project), outside=outside)
    sql(project, "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", place, run_id)
    project.client().delete_run(run_id)
    before = sorted(mlruns(project).rglob("*"))
    done = project.run("clean", "--yes", "--all-checkpoints")
    assert done.returncode == 0, done.stderr
    assert "deleted runs stay" in done.stdout
    gone = {path.name for path in set(before) - set(mlruns(project).rglob("*"))}
    assert not gone - {"mlflow.db-wal", "mlflow.db-shm"}
    assert content(outside) == {Path("precious"): "mine\n"}


@pytest.mark.parametrize("folder", ["runs", "sweeps", "environments", "data", "checkouts"])
def test_cleaning_deletes_nothing_behind_a_folder_that_is_a_link(copy, outside, folder):
    project, _ = copy
    old = outside / "one"
    old.mkdir()
    (old / "checkpoint-00001-0000000.npz").write_text("")
    (old / ".a.partial").write_text("")
    (outside / ".x.y.partial").write_text("")
    os.utime(old, (0, 0))
    shutil.rmtree(mlruns(project) / folder, ignore_errors=True)
    (mlruns(project) / folder).symlink_to(outside)
    before = content(outside)
    assert f"mlruns/{folder} must lie in" in refused(project, "clean", "--yes", "--all-checkpoints")
    assert content(outside) == before
    assert old.is_dir()


def test_a_worktree_that_is_named_elsewhere_is_not_removed(copy, outside):
    """Whoever can write a repository's .git can name any folder as a killed process's worktree."""
    from runback.provenance.code.working_tree import remove_abandoned_worktrees
    from runback.system.files.process_owner import this_process

    project, _ = copy
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(project.folder)]
    for arguments in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run([*git, *arguments], check=True)
    mark = this_process().replace(f" {os.getpid()} ", " 4194303 ")
    tree = ["worktree", "add", "-q", "--detach", "--lock", "--reason", mark, str(outside / "tree")]
    subprocess.run([*git, *tree], check=True)
    (project.folder / ".git" / "worktrees" / "tree" / "gitdir").write_text(f"{outside}/.git\n")
    remove_abandoned_worktrees(project.folder, mlruns(project) / "checkouts")
    assert (outside / "precious").is_file()


def test_a_sweeps_folder_that_leads_out_is_neither_read_nor_written(copy, outside):
    project, _ = copy
    (mlruns(project) / "sweeps").mkdir(exist_ok=True)
    (mlruns(project) / "sweeps" / "quickstart").symlink_to(outside)
    (outside / "study.db").write_text("")
    before = content(outside)
    for arguments in (["best", "quickstart"], ["sweep", "quickstart"], ["compare", "--sweep", "quickstart"]):
        refused(project, *arguments)
    assert project.run("doctor").returncode == 1
    assert content(outside) == before


def test_a_trials_folder_that_leads_out_is_not_written(copy, outside):
    project, _ = copy
    folder = mlruns(project) / "sweeps" / "quickstart"
    folder.mkdir(parents=True)
    (folder / "output").symlink_to(outside)
    assert "must lie in" in refused(project, "sweep", "quickstart")
    assert content(outside) == {Path("precious"): "mine\n"}


def test_cached_images_that_are_links_are_refused(copy, outside):
    project, _ = copy
    images = project.folder / "images"
    import numpy as np
    from PIL import Image

    for name in ("a", "b"):
        (images / name).mkdir(parents=True)
        for number in range(8):
            Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(images / name / f"{number}.png")
    arguments = ("train", *TINY, "data=folder", "data.path=images", "data.height=8", "data.width=8")
    assert project.run(*arguments).returncode == 0
    [entry] = (mlruns(project) / "data").glob("folder-train-*")
    entry.rename(outside / "entry")
    entry.symlink_to(outside / "entry")
    assert "no ordinary files" in refused(project, *arguments)


def test_mlruns_itself_may_be_a_link_or_elsewhere(copy, tmp_path):
    project, run_id = copy
    (tmp_path / "disk").mkdir()
    mlruns(project).rename(tmp_path / "disk" / "kept")
    mlruns(project).symlink_to(tmp_path / "disk" / "kept")
    assert project.run("doctor", "--fix").returncode in (0, 1)
    for env in ({}, {"RUNBACK_MLRUNS": str(tmp_path / "disk" / "kept")}):
        done = project.run("evaluate", run_id, "--json", **env)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["run"] == run_id
    done = project.run("train", *TINY)
    assert done.returncode == 0, done.stderr


def test_the_images_cache_is_refused_as_a_link_only_where_it_is_needed(copy, outside):
    project, run_id = copy
    shutil.rmtree(mlruns(project) / "data", ignore_errors=True)
    (mlruns(project) / "data").symlink_to(outside)
    compared, exported, diagnosed, trained = project.run_many(
        ("compare", run_id), ("export", run_id, "run.zip"), ("doctor",), ("train", *TINY, "data=digits")
    )
    assert (compared[0], exported[0]) == (0, 0)
    assert diagnosed[0] in (0, 1)
    assert trained[0] == 2
    assert trained[2].startswith("runback: mlruns/data must lie in")
    assert content(outside) == {Path("precious"): "mine\n"}


@pytest.mark.parametrize("form", ["{mlruns}/artifacts/x/%2e%2e", "file://{mlruns}/artifacts/x/%252e%252e"])
def test_a_location_that_is_encoded_twice_leads_nowhere(copy, outside, form):
    project, run_id = copy
    step = form.rpartition("/")[2]
    place = "/".join([form.format(mlruns=mlruns(project)), *[step] * 3, "outside", run_id, "artifacts"])
    [real] = (mlruns(project) / "artifacts").glob(f"*/{run_id}/artifacts")
    shutil.copytree(real, outside / run_id / "artifacts")
    for one in (place, unquote(place)):
        Path(one.removeprefix("file://")).mkdir(parents=True, exist_ok=True)
    sql(project, "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", place, run_id)
    before = sorted(outside.rglob("*"))
    commands = ("evaluate", "reproduce", "export", "serve")
    more = {"export": ("run.zip",)}
    outcomes = project.run_many(*((one, run_id, *more.get(one, ())) for one in commands))
    for command, (code, _, err) in zip(commands, outcomes, strict=True):
        assert (code, err.count("\n")) == (2, 1), (command, err)
        assert "must lie in" in err, (command, err)
    project.client().delete_run(run_id)
    done = project.run("clean", "--yes", "--all-checkpoints")
    assert "deleted runs stay" in done.stdout, done
    assert sorted(outside.rglob("*")) == before
