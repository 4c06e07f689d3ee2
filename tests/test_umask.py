"""New files get the permissions that the umask leaves, whoever writes them: Python, SQLite, MLflow, Keras."""

import os
import stat
import subprocess
import sys

import pytest

TINY = ("data=synthetic", "model.dense_width=8", "model.widths=[4,4]", "training.epochs=2")

SWEEP = """# @package _global_
# Enough trials for pictures, and a confirm stage.
#   runback sweep tiny
defaults:
  - override /data: synthetic
model:
  widths: [4, 4]
  dense_width: 8
training:
  epochs: 2
  checkpoint:
    every: 1
hydra:
  sweeper:
    n_trials: 5
    n_workers: 2
    confirm: {top: 1, seeds: 2}
    params:
      optimizer.learning_rate: choice(0.001, 0.01)
      model.dense_width: choice(4, 8)
"""


def odd(top, mask):
    """Return the files and folders below `top` whose permissions are not those that the umask leaves."""
    found = {}
    for path in [top, *top.rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        wanted = (0o777 if path.is_dir() else 0o666) & ~mask
        if mode != wanted and not path.is_symlink():
            found[path.relative_to(top).as_posix()] = oct(mode)
    return found


@pytest.mark.parametrize("mask", [0o027, pytest.param(0o002, marks=pytest.mark.slow)])
def test_all_that_training_and_sweeping_write_follows_the_umask(project, mask):
    project.own_sweeps(tiny=SWEEP)

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "runback", *arguments],
            cwd=project.folder,
            env=project.environment(),
            umask=mask,
            capture_output=True,
            text=True,
            check=False,
        )

    trained = run("train", *TINY, "training.checkpoint.every=1")
    assert trained.returncode == 0, trained.stderr
    run_id = trained.stdout.split()[-1]
    for arguments in (("sweep", "tiny"), ("evaluate", run_id), ("export", run_id, "mlruns/bundle.zip")):
        done = run(*arguments)
        assert done.returncode == 0, done.stderr
    mlruns = project.folder / "mlruns"
    names = {path.name for path in mlruns.rglob("*")}
    assert {"mlflow.db", "study.db", "report.html", "best_config.yaml", "output.log", "bundle.zip"} <= names
    assert odd(mlruns, mask) == {}


def test_files_beside_an_open_database_follow_the_umask(tmp_path):
    from runback.tracking.layout import Layout
    from runback.tracking.sqlite.sqlite_file import back_up, connected
    from runback.tracking.store import open_store

    before = os.umask(0o002)
    try:
        layout = Layout(tmp_path)
        store = open_store(layout)
        store.client.create_experiment("one")
        with connected(layout.database) as connection:
            connection.execute("BEGIN IMMEDIATE")
            back_up(layout.database, "copy")
            names = {path.name for path in layout.mlruns.iterdir()}
            assert {"mlflow.db-wal", "mlflow.db-shm", "mlflow.db.copy.bak"} <= names
            assert odd(layout.mlruns, 0o002) == {}
            connection.execute("ROLLBACK")
    finally:
        os.umask(before)
