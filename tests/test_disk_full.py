"""A disk that is really full: a small one of its own, where this machine lets a process mount it."""

import json
import subprocess
import sys

import pytest

IN_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c"]

TINY = ("data=synthetic", "model.widths=[4,4]", "model.dense_width=8")

SCRIPT = """
import contextlib, json, os, sqlite3, subprocess, sys, time
from pathlib import Path

disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(disk)], check=True)
os.environ["RUNBACK_MLRUNS"] = str(disk / "mlruns")
both = "import json, sys; from runback.__main__ import main; exit([*map(main, json.load(sys.stdin))][-1])"
pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
process = subprocess.Popen([sys.executable, "-c", both], text=True, **pipes)
process.stdin.write(sys.stdin.read())
process.stdin.close()
process.stdin = None

def lines():
    return sum(file.read_text().count("\\n") for file in disk.rglob("metrics.jsonl"))

while lines() < 12 and process.poll() is None:
    time.sleep(0.05)
with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
    while True:
        filler.write(bytes(4096))
out, err = process.communicate()

from mlflow import MlflowClient
client = MlflowClient(f"sqlite:///{disk}/mlruns/mlflow.db")
runs = client.search_runs(["1"], order_by=["attributes.start_time ASC"])
told = {"code": process.returncode, "err": err}
told["runs"] = [[run.info.status, run.data.tags.get("runback.reason")] for run in runs]
told["losses"] = len(client.get_metric_history(runs[0].info.run_id, "loss"))
told["artifacts"] = len(client.list_artifacts(runs[0].info.run_id))
told["checks"] = []
for database in disk.rglob("*.db"):
    with contextlib.closing(sqlite3.connect(database)) as connection:
        told["checks"] += connection.execute("PRAGMA integrity_check").fetchone()
print(json.dumps(told))
"""


def after_block(out):
    """Return what was printed besides what it would have trained on."""
    return "".join(line for line in out.splitlines(True) if not line.startswith(("data: ", "  ")))


@pytest.fixture(scope="module")
def _can_mount(tmp_path_factory):
    mount = (
        "import subprocess, sys; subprocess.run([*'mount -t tmpfs tmpfs'.split(), sys.argv[1]], check=True)"
    )
    try:
        subprocess.run(
            [*IN_NAMESPACE, mount, str(tmp_path_factory.mktemp("disk"))],
            capture_output=True, timeout=60, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"this machine lets nobody mount a small disk: {error}")


def fill(project, tmp_path, command):
    """Train a first run, then run a command on whose disk the last byte is taken while it trains."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        [*IN_NAMESPACE, SCRIPT, str(disk)],
        input=json.dumps([["train", *TINY, "training.epochs=2"], command]),
        cwd=project.folder, env=project.environment(), capture_output=True, text=True,
        timeout=1200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def check_first(told):
    """The run before is as it was, and no database is damaged."""
    assert (told["runs"][0], told["losses"], told["artifacts"]) == (["FINISHED", None], 2, 8)
    assert set(told["checks"]) == {"ok"}


def in_one_line(told):
    assert (told["code"], told["err"].count("\n")) == (1, 1), told["err"]
    return told["err"].startswith("runback: the disk is full: cannot")


@pytest.mark.slow
@pytest.mark.usefixtures("_can_mount")
def test_a_training_that_finds_its_disk_full_fails_with_that_reason(project, tmp_path):
    told = fill(project, tmp_path, ["train", *TINY, "training.epochs=20000"])
    assert in_one_line(told)
    _, (status, reason) = told["runs"]
    assert status == "FAILED"
    assert reason.startswith("the disk is full: cannot")
    check_first(told)


@pytest.mark.slow
@pytest.mark.usefixtures("_can_mount")
def test_a_sweep_that_finds_its_disk_full_says_so_in_one_line(project, tmp_path):
    sweep = ["train", "-m", *TINY, "training.epochs=20000", "optimizer=sgd,adam", "hydra.sweeper.n_workers=2"]
    told = fill(project, tmp_path, sweep)
    assert in_one_line(told)
    assert "FAILED" in [status for status, reason in told["runs"] if reason and "the disk is full" in reason]
    check_first(told)


@pytest.mark.usefixtures("_can_mount")
def test_a_network_that_the_disk_has_no_space_for_is_refused_before_it_is_trained(project, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    train = "from runback.__main__ import main; exit(main(sys.argv[2:]))"
    script = f"""
import os, subprocess, sys
subprocess.run([*"mount -t tmpfs -o size=12m tmpfs".split(), sys.argv[1]], check=True)
os.environ["RUNBACK_MLRUNS"] = sys.argv[1] + "/mlruns"
{train}
"""
    done = subprocess.run(
        [*IN_NAMESPACE, script, str(disk), "train", "data.limit=100", "model.dense_width=4000"],
        cwd=project.folder, env=project.environment(), capture_output=True, text=True,
        timeout=1200, check=False,
    )  # fmt: skip
    assert (done.returncode, after_block(done.stdout), done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert "no space for the network: it takes 4." in done.stderr
