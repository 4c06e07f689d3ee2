"""`runback doctor` on real projects: moved, damaged, and with processes that were really killed."""

import contextlib
import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from runback.system.files.folder_lock import is_held

TINY = ("data=synthetic", "model.dense_width=8", "model.widths=[4,4]", "training.threads=1")
SWEEP = ("sweep", "quickstart", *TINY, "hydra.sweeper.n_workers=1")
LONG = ("training.epochs=500", "training.checkpoint.every=1")


def lines(done) -> dict[str, str]:
    """Return the report by what was checked: the state, and what is told."""
    found = [re.fullmatch(r"(\w+) +(\S+) +(.*)", line) for line in done.stdout.splitlines()]
    return {match[2]: f"{match[1]}: {match[3]}" for match in found}


def wait_for(what, process, seconds=600):
    """Wait until something is there that a process makes."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def kill(process):
    """Kill a command and all that it started, as a power failure does."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def statuses(project):
    return sorted(run.info.status for run in project.runs())


def test_a_fresh_project_is_fine_and_stays_untouched(project):
    done = project.run("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    report = lines(done)
    assert {"python", "tensorflow", "mlflow", "optuna", "disk", "memory", "cpu", "gpu"} <= report.keys()
    assert report["mlruns/mlflow.db"] == "ok: not there yet: no run was recorded"
    assert report["leftovers"] == "ok: none"
    assert not (project.folder / "mlruns").exists()


def test_a_report_for_programs_holds_what_a_person_is_told(project):
    done = project.run("doctor", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["problems"]) == (0, 0)
    assert {"check", "state", "found", "advice", "fixable"} == report["checks"][0].keys()
    assert [check["check"] for check in report["checks"]] == list(lines(project.run("doctor")))


def test_any_folder_is_a_project_where_nothing_was_recorded_yet(tmp_path, project):
    done = subprocess.run(
        [sys.executable, "-m", "runback", "doctor"],
        cwd=tmp_path, env=project.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "mlruns/mlflow.db  not there yet: no run was recorded" in done.stdout
    assert not list(tmp_path.glob("mlruns"))


@pytest.fixture
def recorded(project, fresh_database):
    """A project with a database, in which no run is."""
    database = project.folder / "mlruns" / "mlflow.db"
    database.parent.mkdir()
    database.write_bytes(fresh_database.read_bytes())
    return project, database


def test_a_sound_store_is_told_of_without_importing_what_takes_long(recorded):
    project, _ = recorded
    code = "import sys\nfrom runback.__main__ import main\nmain(['doctor'])\nprint(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.folder, env=project.environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "sound, " in done.stdout
    assert not {"tensorflow", "keras", "mlflow", "optuna", "hydra"} & set(done.stdout.split("\n")[-2].split())


def test_a_damaged_database_is_a_problem(recorded):
    project, database = recorded
    with database.open("r+b") as file:
        file.seek(database.stat().st_size // 2)
        file.write(b"\xff" * 20_000)
    done = project.run("doctor", "--fix")
    assert done.returncode == 1
    told = lines(done)["mlruns/mlflow.db"]
    assert told.startswith("problem: ")
    assert "damaged" in told
    assert "backup" in told
    assert "runs" not in lines(done)


def test_what_is_no_database_is_a_problem(recorded):
    project, database = recorded
    database.write_text("no database\n" * 1000)
    done = project.run("doctor")
    assert done.returncode == 1
    assert "damaged or no SQLite database" in lines(done)["mlruns/mlflow.db"]


def test_a_database_of_a_newer_mlflow_is_a_problem(recorded):
    project, database = recorded
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'fromthefuture'")
    done = project.run("doctor")
    assert done.returncode == 1
    assert "has schema fromthefuture" in lines(done)["mlruns/mlflow.db"]


def test_a_locked_database_is_told_soon(recorded):
    project, database = recorded
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = project.run("doctor")
    assert done.returncode == 1
    assert "locked by another program (waited 2 s)" in lines(done)["mlruns/mlflow.db"]


@pytest.fixture
def no_log(recorded):
    """A project whose database keeps no write-ahead log: a warning that can be mended."""
    project, database = recorded
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    return project


def test_a_write_ahead_log_that_is_off_is_turned_on(no_log):
    project = no_log
    done = project.run("doctor")
    assert (done.returncode, lines(done)["mlruns/mlflow.db"][:7]) == (0, "warning")
    assert lines(project.run("doctor", "--fix"))["mlruns/mlflow.db"].startswith("fixed: ")
    assert lines(project.run("doctor"))["mlruns/mlflow.db"].startswith("ok: sound")


@pytest.mark.parametrize(("answer", "state"), [("y", "ok"), ("n", "warning"), ("", "warning")])
def test_on_a_terminal_it_offers_to_mend(no_log, answer, state):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "runback", "doctor"],
        cwd=no_log.folder, env=no_log.environment(), stdin=theirs, stdout=theirs,
    )  # fmt: skip
    os.close(theirs)
    told = b""
    while b"[y/N]" not in told:
        told += os.read(ours, 4096)
    os.write(ours, f"{answer}\n".encode())
    with contextlib.suppress(OSError):  # how a terminal's end is told
        while os.read(ours, 4096):
            pass
    assert process.wait(60) == 0
    os.close(ours)
    assert lines(no_log.run("doctor"))["mlruns/mlflow.db"].startswith(f"{state}: ")


def test_a_damaged_study_is_a_problem(project):
    study = project.folder / "mlruns" / "sweeps" / "mine" / "study.db"
    study.parent.mkdir(parents=True)
    study.write_text("no database\n" * 1000)
    done = project.run("doctor")
    assert done.returncode == 1
    assert "damaged or no SQLite database" in lines(done)["mine/study.db"]


def test_a_server_that_is_away_is_a_problem_told_without_its_password(project):
    done = project.run("doctor", MLFLOW_TRACKING_URI="http://me:secret@127.0.0.1:9")
    assert done.returncode == 1
    assert lines(done)["server"].startswith("problem: cannot use the store http://***@127.0.0.1:9")
    assert "secret" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_sweep_that_is_killed_and_then_moved_goes_on_where_it_was(project):
    command = (*SWEEP, *LONG, "hydra.sweeper.n_trials=1")
    process = project.start(*command)
    try:
        before = project.folder / "mlruns" / "sweeps" / "quickstart"
        wait_for(lambda: list(before.glob("0/checkpoint-*.npz")), process)
        done = project.run("doctor")
        assert (done.returncode, done.stderr) == (0, "")
        assert lines(done)["runs"] == "ok: 2 RUNNING, each with its process"
    finally:
        kill(process)
    moved = type(project)(project.folder.rename(project.folder.with_name("moved away")))
    done = moved.run("doctor")
    assert done.returncode == 1
    assert "2 runs RUNNING whose process is gone: " in lines(done)["runs"]
    assert statuses(moved) == ["RUNNING", "RUNNING"]

    done = moved.run("doctor", "--fix")
    assert done.returncode == 0
    assert lines(done)["artifacts"].startswith("fixed: ")
    assert lines(done)["runs"].startswith("fixed: 2 runs closed as KILLED; `runback sweep NAME` takes")
    told = lines(done)["quickstart/study.db"]
    assert told.startswith(
        "warning: 1 trial RUNNING (0) and no process of the sweep lives: `runback sweep qui"
    )
    assert statuses(moved) == ["KILLED", "KILLED"]
    assert {run.data.tags["runback.reason"] for run in moved.runs()} == {"its process is gone"}

    process = moved.start(*command)
    try:
        folder = moved.folder / "mlruns" / "sweeps" / "quickstart"
        wait_for(lambda: "going on from epoch" in (folder / "0" / "output.log").read_text(), process)
        wait_for(lambda: is_held(folder / "0", folder), process)
        assert statuses(moved) == ["RUNNING", "RUNNING"]
    finally:
        kill(process)
    assert not before.exists()


@pytest.mark.slow
def test_a_moved_project_is_mended_and_its_runs_are_as_good_as_before(project):
    done = project.run(*SWEEP, "training.epochs=1", "data.limit=60", "hydra.sweeper.n_trials=1")
    assert done.returncode == 0, done.stderr
    best = project.run("best", "quickstart").stdout.strip()
    before = project.folder
    moved = type(project)(before.rename(before.with_name("moved away")))

    done = moved.run("doctor")
    assert done.returncode == 1
    told = lines(done)["artifacts"]
    assert f"still name {before / 'mlruns'}: `runback doctor --fix` rewrites them" in told
    done = moved.run("clean")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "call `runback doctor --fix` first" in done.stderr

    done = moved.run("doctor", "--fix")
    assert done.returncode == 0
    assert lines(done)["artifacts"].startswith("fixed: ")
    assert len(list((moved.folder / "mlruns").glob("mlflow.db.*.bak"))) == 1
    assert lines(moved.run("doctor"))["artifacts"].startswith("ok: ")

    assert Path(moved.client().download_artifacts(best, "model.keras")).stat().st_size
    assert moved.run("best", "quickstart").stdout.strip() == best
    [again, evaluated] = moved.run_many(["reproduce", best, "--in-place"], ["evaluate", best])
    assert again[0] == 0, again
    assert "bit-identical" in again[1]
    assert evaluated[0] == 0, evaluated
    assert not before.exists()
