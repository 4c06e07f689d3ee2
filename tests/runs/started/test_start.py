"""`runback.start` in scripts and Hydra apps of a person's own: recorded, stopped, resumed and reproduced."""

import json
import re
import signal

import pytest

from runback.errors import InputError
from runback.runs.started.start import start

BODY = """
        rng = np.random.default_rng(run.seed)
        x, y = run.data((rng.normal(size=(50, 3)), rng.normal(size=50)), name="train")
        w = np.zeros(3)
        if run.state:
            w, rng = run.state["w"], run.state["rng"]
        for epoch in run.epochs(run.params["epochs"]):
            w = w - run.params["lr"] * (x.T @ (x @ w - y) / len(y) + 0.01 * rng.normal(size=3))
            time.sleep(run.params["wait"])
            if run.params["fail"]:
                raise ValueError("oops")
            run.log(loss=np.mean((x @ w - y) ** 2))
            run.checkpoint({"w": w, "rng": rng})
        run.result(weights=w)
"""

PLAIN = f"""
import argparse
import sys
import time

import numpy as np

import runback

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--epochs", type=int, default=4)
parser.add_argument("--wait", type=float, default=0.0)
parser.add_argument("--fail", action="store_true")
parser.add_argument("--token", default="")
parser.add_argument("--end", default=None)
options = parser.parse_args()
if True:
    with runback.start(options, objective="loss") as run:{BODY}
        if options.end is not None:
            sys.exit(int(options.end))
print("the last line")
"""

APP = f"""
import time

import hydra
import numpy as np

import runback


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg):
    with runback.start(cfg, objective="loss") as run:{BODY}
        (run.folder / "mine.txt").write_text("x")
    return run.best("loss")


if __name__ == "__main__":
    main()
"""

CONFIG = "lr: 0.1\nepochs: 4\nwait: 0.0\nfail: false\n"


def write(own_folder, **others):
    (own_folder.folder / "plain.py").write_text(PLAIN)
    (own_folder.folder / "app.py").write_text(APP)
    (own_folder.folder / "conf").mkdir()
    (own_folder.folder / "conf" / "config.yaml").write_text(CONFIG)
    for name, text in others.items():
        (own_folder.folder / f"{name}.py").write_text(text)


def run_id(out):
    return re.findall(r"^run ([0-9a-f]{32})$", out, re.MULTILINE)[-1]


def tags(run):
    return {name.removeprefix("runback."): value for name, value in run.data.tags.items()}


def test_a_plain_script_has_a_run_with_params_curves_record_and_datasets(own_folder):
    write(own_folder)
    done = own_folder.python("plain.py", "--lr", "0.2", "--epochs=3")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "the last line"
    [run] = own_folder.runs()
    assert (run.info.status, run.info.run_id) == ("FINISHED", run_id(done.stdout))
    params = own_folder.params(run.info.run_id)
    assert {key: params[key] for key in ("lr", "epochs", "run.seed")} == {
        "lr": "0.2", "epochs": "3", "run.seed": "0"
    }  # fmt: skip
    assert int(params["run.threads"]) >= 1
    assert (tags(run)["objective"], tags(run)["direction"], tags(run)["task"]) == (
        "loss",
        "minimize",
        "plain",
    )
    assert run.data.metrics["best_loss"] == run.data.metrics["loss"]
    assert tags(run)["folder"].startswith("runs/")
    [x, y] = sorted(run.inputs.dataset_inputs, key=lambda one: one.dataset.name)
    assert (x.dataset.name, y.dataset.name) == ("train.0", "train.1")
    whole = json.loads(x.dataset.profile)["sha256"]
    assert len(whole) == 64
    assert x.dataset.digest == whole[:36]
    assert json.loads(x.dataset.source)["sha256"] == whole
    assert json.loads(x.dataset.profile)["num_rows"] == 50


def test_a_hydra_apps_run_is_in_hydras_folder_and_has_its_config(own_folder):
    write(own_folder)
    done = own_folder.python("app.py", "lr=0.3", "epochs=2")
    assert (done.returncode, done.stderr) == (0, "")
    [mine] = own_folder.folder.glob("outputs/*/*/mine.txt")
    assert (mine.parent / ".hydra" / "config.yaml").is_file()
    [run] = own_folder.runs()
    assert (run.info.status, run.info.run_name) == ("FINISHED", "app lr=0.3 epochs=2")
    assert own_folder.params(run.info.run_id)["lr"] == "0.3"
    moved = own_folder.python("app.py", "hydra.job.chdir=true", "epochs=2")
    assert moved.returncode == 0, moved.stderr
    assert len(own_folder.runs()) == 2  # in the same project's store


ENDS = {
    ("--fail",): (1, "FAILED", "ValueError: oops"),
    ("--end=0",): (0, "FINISHED", None),
    ("--end=3",): (3, "FAILED", "SystemExit: 3"),
}


@pytest.mark.parametrize("arguments", ENDS)
def test_the_status_is_true_however_the_block_ends(own_folder, arguments):
    write(own_folder)
    code, status, reason = ENDS[arguments]
    assert own_folder.python("plain.py", *arguments).returncode == code
    [run] = own_folder.runs()
    assert (run.info.status, tags(run).get("reason")) == (status, reason)


@pytest.mark.parametrize(
    ("script", "signum"),
    [
        ("plain.py", signal.SIGINT),
        ("app.py", signal.SIGTERM),
        pytest.param("plain.py", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("app.py", signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_run_is_killed_and_goes_on(own_folder, script, signum):
    write(own_folder)
    slow = ["--wait=0.3"] if script == "plain.py" else ["wait=0.3"]
    stopped = own_folder.killed(script, "epoch 2", *slow, signum=signum)
    [run] = own_folder.runs()
    assert run.info.status == "KILLED"
    assert tags(run)["reason"].startswith("interrupted: ")
    resumed = own_folder.runback("train", f"resume={stopped}")
    assert resumed.returncode == 0, resumed.stderr
    assert re.search(r"^going on from epoch [12],", resumed.stdout, re.MULTILINE)
    assert [run.info.status for run in own_folder.runs()] == ["FINISHED"]


@pytest.mark.parametrize("script", ["plain.py", "app.py", "module"])
def test_a_killed_run_goes_on_and_is_reproduced_bit_for_bit(own_folder, script):
    write(own_folder)
    if script == "module":
        done = own_folder.python("-m", "app", "lr=0.2")
        assert done.returncode == 0, done.stderr
        killed = run_id(done.stdout)
    else:
        killed = own_folder.killed(
            script, "epoch 2", *(["--wait=0.3"] if script == "plain.py" else ["wait=0.3"])
        )
        assert own_folder.runs()[0].info.status == "RUNNING"
        resumed = own_folder.runback("train", f"resume={killed}")
        assert resumed.returncode == 0, resumed.stderr
        if script == "app.py":  # its own folder is the first one
            assert len([*own_folder.folder.glob("outputs/*/*/mine.txt")]) == 1
    again = own_folder.runback("reproduce", killed, "--in-place", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["verdict"] == "bit-identical"
    new, old = own_folder.runs()
    assert (new.info.status, old.info.run_id) == ("FINISHED", killed)
    assert tags(new)["reproduces"] == killed
    finished = own_folder.runback("train", f"resume={killed}")
    assert (finished.returncode, finished.stderr.count("\n")) == (2, 1)
    assert "is FINISHED: there is nothing left to train" in finished.stderr


def test_a_swept_apps_runs_are_its_trials_and_can_be_run_back(own_folder):
    write(own_folder)
    settings = ["hydra/sweeper=runback", "hydra.sweeper.experiment=mine", "hydra.sweeper.name=s"]
    space = ["lr=0.1,0.3", "epochs=2", "hydra.sweep.dir=mlruns/sweeps/s"]
    done = own_folder.python("app.py", "--multirun", *settings, *space, "hydra.sweeper.direction=minimize")
    assert done.returncode == 0, done.stderr
    runs = own_folder.runs()
    [parent] = [run for run in runs if tags(run).get("kind") == "sweep"]
    trials = [run for run in runs if run is not parent]
    assert {trial.data.tags["mlflow.parentRunId"] for trial in trials} == {parent.info.run_id}
    assert {trial.info.status for trial in trials} == {"FINISHED"}
    assert len(trials) == 2
    note = parent.data.tags["mlflow.note.content"]
    assert "python app.py --multirun" in note
    assert "runback reproduce" in note
    assert "evaluate" not in note
    assert "train --config" not in note
    best = own_folder.runback("best", "s").stdout.strip()
    again = own_folder.runback("reproduce", best, "--in-place")
    assert again.returncode == 0, again.stderr
    assert again.stdout.endswith("bit-identical\n")
    table = json.loads(own_folder.runback("compare", "--sweep", "s", "--json").stdout)
    assert table["sorted_by"] == "best_loss"
    values = [run["best_loss"] for run in table["runs"]]
    assert values == sorted(values)


def test_a_sweep_in_the_wrong_direction_is_refused_by_its_first_trials(own_folder):
    write(own_folder)
    done = own_folder.python(
        "app.py", "--multirun", "hydra/sweeper=runback", "lr=0.1,0.2,0.3", "hydra.sweep.dir=s"
    )
    assert done.returncode != 0
    assert "objective loss: the sweep would maximize it" in done.stdout + done.stderr


BAD = {
    "runback.start(3)": "takes a config of Hydra, a dict, a dataclass or an argparse.Namespace; got a int",
    "runback.start({'x': object()})": "x is a object: leave it out of the config",
    "runback.start({'run': 3})": "the config's key run holds run.seed",
    "runback.start({'run': {'seed': -1}})": "run.seed must lie in [0, 4294967295]; got -1",
    "runback.start({'a (b)': 1})": "cannot be stored: MLflow takes params of letters",
    "runback.start({}, objective='loss', direction='up')": "direction must be maximize or minimize",
    "runback.start({}, direction='min')": "one for each objective",
    "runback.start({'a': '${b}'})": "b",
}


def test_bad_input_is_one_line_and_leaves_no_run(own_folder):
    script = own_folder.folder / "bad.py"
    for call, message in BAD.items():
        script.write_text(f"import runback\n\nwith {call} as run:\n    run.log(loss=1.0)\n")
        done = own_folder.python("bad.py")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), (call, done.stderr)
        assert message in done.stderr, (call, done.stderr)
    assert not (own_folder.folder / "mlruns" / "mlflow.db").exists()


def test_secrets_of_a_command_line_are_in_no_record_and_keep_the_run_from_being_run_back(own_folder):
    write(own_folder)
    done = own_folder.python("plain.py", "--epochs=2", "--token", "s3cr3t-of-mine-1234")
    assert done.returncode == 0, done.stderr
    for file in own_folder.folder.rglob("*"):
        if file.is_file() and file.suffix != ".pyc":
            assert b"s3cr3t-of-mine-1234" not in file.read_bytes(), file
    again = own_folder.runback("reproduce", run_id(done.stdout), "--in-place")
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "was written without its secrets" in again.stderr


SEVERAL = """
import runback

for fold in range(3):
    with runback.start({"fold": fold}, objective="loss") as run:
        for epoch in run.epochs(2):
            run.log(loss=1.0 / (fold + epoch + 1))
"""


def test_several_runs_of_a_script_are_runs_and_the_first_can_be_run_back(own_folder):
    write(own_folder, several=SEVERAL)
    done = own_folder.python("several.py")
    assert done.returncode == 0, done.stderr
    first, second, _ = re.findall(r"^run ([0-9a-f]{32})$", done.stdout, re.MULTILINE)
    assert own_folder.runback("reproduce", first, "--in-place").returncode == 0
    assert len(own_folder.runs()) == 4  # nothing but the first one was done again
    refused = own_folder.runback("reproduce", second, "--in-place")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "is number 2 of those that its script started" in refused.stderr


def test_a_run_of_an_interactive_session_is_recorded_and_refused_in_one_line(own_folder):
    text = "import runback\nwith runback.start({'a': 1}) as run:\n    run.log(loss=1.0)\n"
    done = own_folder.python("-c", text)
    assert done.returncode == 0, done.stderr
    again = own_folder.runback("reproduce", run_id(done.stdout), "--in-place")
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "there is no script to start again" in again.stderr


def test_other_data_is_refused_before_the_training_is_done_again(own_folder):
    write(own_folder, read=(
        "import numpy as np\nimport runback\n\nwith runback.start({'a': 1}) as run:\n"
        "    x = np.loadtxt(run.data('x.txt'))\n    for epoch in run.epochs(2):\n"
        "        run.log(loss=x.sum())\n"
    ))  # fmt: skip
    (own_folder.folder / "x.txt").write_text("1 2 3")
    done = own_folder.python("read.py")
    assert done.returncode == 0, done.stderr
    (own_folder.folder / "x.txt").write_text("1 2 4")
    again = own_folder.runback("reproduce", run_id(done.stdout), "--in-place")
    assert again.returncode == 2
    assert "data content: recorded" in again.stderr
    assert "Traceback" not in again.stderr
    assert len(own_folder.runs()) == 1


def test_an_interrupt_is_one_line_and_its_exit_code(own_folder):
    send = (
        "import os, signal, runback\nwith runback.start() as run:\n    os.kill(os.getpid(), signal.SIGINT)\n"
    )
    (own_folder.folder / "sent.py").write_text(send)
    done = own_folder.python("sent.py")
    assert (done.returncode, done.stderr) == (130, "runback: interrupted\n")
    assert own_folder.runs() == []


def test_a_name_that_is_no_text_is_refused():
    with pytest.raises(InputError, match="name must be a text; got 3"), start({}, name=3):
        raise AssertionError
