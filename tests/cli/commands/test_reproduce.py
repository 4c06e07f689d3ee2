"""`runback reproduce` on real projects: real git repositories, real trainings, real stores."""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[3]

NETS = """import keras


def build(input_shape: tuple[int, ...], num_classes: int, width: int = 16) -> keras.Model:
    image = keras.Input(input_shape)
    hidden = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    hidden = keras.layers.Dropout(0.1)(keras.layers.Dense(width, "relu")(hidden))
    return keras.Model(image, keras.layers.Dense(num_classes, "softmax")(hidden))
"""

SLOWLY = """import os
import time
import zipfile

import nets

time.sleep(float(os.environ.get("SECONDS", "0")))
build = nets.build
"""

PYPROJECT = '[tool.runback]\nmodules = ["nets", "slowly"]\n'

SWEEP = """# @package _global_
# A sweep for tests: what hardly learns is pruned.
defaults:
  - override /augmentation: shift
  - override /hydra/sweeper/sampler: grid
  - override /hydra/sweeper/pruner: threshold
model:
  dense_width: 16
  conv_dropout: 0.1
training:
  epochs: 3
hydra:
  sweeper:
    threads: 1
    pruner:
      n_warmup_steps: 2
      lower: 0.4
    params:
      optimizer: choice(rmsprop, adam)
      optimizer.learning_rate: choice(1.0e-6, 0.01)
"""


@dataclass(frozen=True)
class Repository:
    """A project within a git repository."""

    top: Path
    project: object
    """The project, which is in a folder of the repository, with a space in its name."""

    @property
    def folder(self) -> Path:
        return self.project.folder

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        done = subprocess.run(
            ["git", "-C", str(self.top), *who, *arguments],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},  # `git status` would write the index
        )
        return done.stdout

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "A change")
        return self.git("rev-parse", "HEAD").strip()

    def state(self) -> dict[str, object]:
        """Return all that a reproduction must leave as it is."""
        names = ("status --porcelain", "branch --all", "stash list", "worktree list", "rev-parse HEAD")
        index = hashlib.sha256((self.top / ".git" / "index").read_bytes()).hexdigest()
        return {"index": index, **{name: self.git(*name.split()) for name in names}}

    def leftovers(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("mlruns/checkouts/*"))


def new_repository(top: Path, make_project) -> Repository:
    project = make_project(top)
    for name in ("conf", "sweeps"):
        (project.folder / name).unlink()
        shutil.copytree(ROOT / name, project.folder / name)
    (top / ".gitignore").write_text("mlruns/\n__pycache__/\npictures/\n")
    repository = Repository(top, project)
    repository.git("init", "--quiet", "--initial-branch=trunk")
    return repository


def draw_pictures(folder: Path) -> None:
    """Make 2 classes of 16 pictures of 8 x 8 grey pixels."""
    for label, name in enumerate(("dark", "light")):
        (folder / name).mkdir(parents=True)
        for number in range(16):
            pixels = np.random.default_rng([label, number]).integers(label * 60, 200 + label * 50, (8, 8))
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")


def run_id_in(printed: str) -> str:
    return [line for line in printed.splitlines() if line.startswith("run ")][-1].removeprefix("run ")


@dataclass(frozen=True)
class Recorded:
    """A run of a commit with uncommitted changes, in a checkout that has moved on since."""

    repository: Repository
    own: str
    """The run of the project's own, uncommitted code."""

    @property
    def project(self):
        return self.repository.project


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, make_project) -> Recorded:
    repository = new_repository(tmp_path_factory.mktemp("own") / "a repository", make_project)
    folder = repository.folder
    draw_pictures(folder / "pictures")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "nets.py").write_text(NETS)
    repository.commit()
    (folder / "nets.py").write_text(NETS.replace("relu", "tanh"))
    (folder / "slowly.py").write_text(SLOWLY)
    (folder / "conf" / "model" / "own.yaml").write_text("_target_: slowly.build\nwidth: 16\n")
    pictures = ("data=folder", "data.path=pictures", "data.height=8", "data.width=8", "data.channels=1")
    trained = repository.project.run(
        "train", "model=own", *pictures, "data.validation_fraction=0.25", *EPOCHS
    )
    assert trained.returncode == 0, trained.stderr
    (folder / "nets.py").write_text(NETS.replace("0.1", "0.3"))
    (folder / "slowly.py").write_text("from nets import build\n")
    repository.commit()
    repository.git("checkout", "--quiet", "--detach")
    (folder / "staged.py").write_text("")
    repository.git("stash", "push", "--quiet", "--include-untracked")
    (folder / "staged.py").write_text("staged = True\n")
    repository.git("add", "--all")
    (folder / "nets.py").write_text(NETS.replace("relu", "selu"))
    return Recorded(repository, run_id_in(trained.stdout))


EPOCHS = ("training.epochs=3", "training.threads=1")


def test_a_run_of_uncommitted_code_reproduces_from_a_checkout_that_has_moved_on(recorded):
    repository, project = recorded.repository, recorded.project
    before, count = repository.state(), len(project.runs())
    done = project.run("reproduce", recorded.own, "--json", PYTHONPATH=str(project.folder))
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["verdict"], facts["run"], facts["differences"]) == ("bit-identical", recorded.own, [])
    assert "4 tensors" in facts["explanation"][0]
    assert "predictions" in facts["explanation"][0]
    assert repository.state() == before
    assert repository.leftovers() == []
    assert len(project.runs()) == count + 1
    # What differs is said before the training, and its progress goes where no JSON is.
    lines = done.stderr.splitlines()
    told = [line.split()[:2] for line in lines[: next(i for i, x in enumerate(lines) if "training in" in x)]]
    assert ["code", "commit"] in told
    assert ["code", "untracked"] in told
    assert any(line.startswith("code     a project/nets.py") for line in lines)
    assert sum(line.startswith("epoch ") for line in lines) == 3


def test_both_runs_link_to_each_other_and_the_verdict_is_an_artifact(recorded):
    project, client = recorded.project, recorded.project.client()
    reproductions = [r for r in project.runs() if r.data.tags.get("runback.reproduces") == recorded.own]
    first = reproductions[0]
    assert first.info.status == "FINISHED"
    assert first.data.tags["runback.verdict"] == "bit-identical"
    assert first.info.run_id in client.get_run(recorded.own).data.tags["runback.reproduced_by"].split()
    facts = json.loads(Path(client.download_artifacts(first.info.run_id, "reproduction.json")).read_text())
    assert facts["reproduction"] == first.info.run_id
    page = Path(client.download_artifacts(first.info.run_id, "reproduction.html")).read_text()
    assert "bit-identical" in page
    assert recorded.own in page


CHANGED_IMAGES = """
import io, json, sys
from contextlib import redirect_stdout, redirect_stderr
from pathlib import Path

import numpy as np
from PIL import Image

from runback.__main__ import main


def reproduce():
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["reproduce", sys.argv[1], "--in-place"])
    return code, out.getvalue(), err.getvalue()


results = [reproduce()]
for name in sorted(Path("pictures").glob("dark/*.png")):  # until one is of the training images
    whole = name.read_bytes()
    pixels = np.asarray(Image.open(name)).copy()
    pixels[3, 4] ^= 1
    Image.fromarray(pixels).save(name)
    code, out, err = reproduce()
    name.write_bytes(whole)
    if "train content" in err:
        results.append((code, out, err))
        break
name.rename("pictures/light/dark.png")
results.append(reproduce())
Path("pictures/light/dark.png").rename(name)
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def in_place(recorded):
    """Reproduce with the code that is here now: with the same images, another pixel, and another label."""
    project, before = recorded.project, len(recorded.project.runs())
    done = subprocess.run(
        [sys.executable, "-c", CHANGED_IMAGES, recorded.own],
        cwd=project.folder,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(project.runs()) == before + 1
    return dict(zip(("same", "pixel", "label"), json.loads(done.stdout.splitlines()[-1]), strict=True))


def test_other_code_gives_a_different_result_and_the_verdict_names_where(in_place):
    code, printed, _ = in_place["same"]
    assert code == 1
    lines = printed.splitlines()
    assert lines[-1] == "different"
    assert any(line.startswith("first difference: epoch 1, loss: ") for line in lines)
    assert any(line.startswith("first tensor that differs: 000 ") for line in lines)
    assert any("may explain it: commit" in line for line in lines)


@pytest.mark.parametrize("what", ["pixel", "label"])
def test_one_flipped_pixel_or_one_changed_label_is_refused_before_training(in_place, what):
    code, printed, told = in_place[what]
    assert code == 2
    assert "epoch" not in printed
    [line] = told.splitlines()
    assert line.startswith("runback: the images or labels are not those that the run was trained on: ")
    assert "train content: recorded " in line


def copied(project, run_id: str, *, status="FINISHED", tags=None, without=(), instead=None) -> str:
    """Copy a run in the store, but for the artifacts in `without` and those given `instead`."""
    client = project.client()
    run = client.get_run(run_id)
    kept = {k: v for k, v in run.data.tags.items() if k not in ("runback.folder", "runback.reproduced_by")}
    made = client.create_run(run.info.experiment_id, tags={**kept, **(tags or {})})
    files = Path(client.download_artifacts(run_id, ""))
    there = Path(made.info.artifact_uri.removeprefix("file://").replace("%20", " "))
    shutil.copytree(files, there, dirs_exist_ok=True)
    for name in without:
        (there / name).unlink()
    for name, text in (instead or {}).items():
        (there / name).write_text(text)
    if status != "RUNNING":
        client.set_terminated(made.info.run_id, status)
    return made.info.run_id


def twin(recorded, run_id: str) -> str:
    """Copy a run's row under an ID that begins the same."""
    other = run_id[:8] + ("f" * 24 if run_id[8:] != "f" * 24 else "0" * 24)
    with sqlite3.connect(recorded.project.folder / "mlruns" / "mlflow.db") as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(runs)") if row[1] != "run_uuid"]
        names = ", ".join(columns)
        database.execute(
            f"INSERT INTO runs (run_uuid, {names}) SELECT ?, {names} FROM runs WHERE run_uuid = ?",  # noqa: S608
            (other, run_id),
        )
    return other


@pytest.fixture(scope="module")
def refused(recorded, tmp_path_factory):
    """Ask for what cannot be reproduced, in one process; return what each attempt printed."""
    client, folder = recorded.project.client(), recorded.project.folder
    experiment = client.get_run(recorded.own).info.experiment_id
    foreign = client.create_run(experiment).info.run_id
    sweep = client.create_run(experiment, tags={"runback.kind": "sweep"}).info.run_id
    epochless = copied(recorded.project, recorded.own, status="KILLED", without=["record/result.json"])
    ambiguous = copied(recorded.project, recorded.own)
    twin(recorded, ambiguous)
    gone = {
        name: copied(recorded.project, recorded.own, without=[name])
        for name in ("config.yaml", "overrides.yaml", "record/record.json", "record/untracked.zip")
    }
    config = Path(client.download_artifacts(recorded.own, "config.yaml")).read_text()
    no_data = copied(
        recorded.project, recorded.own, instead={"config.yaml": config.replace("pictures", "no/such")}
    )
    foreign_target = copied(
        recorded.project, recorded.own, instead={"config.yaml": config.replace("slowly.build", "os.system")}
    )
    damaged = copied(recorded.project, recorded.own, instead={"record/record.json": '{"format": '})
    other_form = copied(
        recorded.project, recorded.own, instead={"record/record.json": '{"format": "runback-2"}'}
    )
    running = copied(recorded.project, recorded.own, status="RUNNING", tags={"runback.folder": "runs/held"})
    (folder / "mlruns" / "runs" / "held").mkdir()
    asked = {
        "unknown ID": (["0123456789abcdef0123456789abcdef"], "no run '0123456789abcdef0123456789abcdef'"),
        "unknown prefix": (["012345"], "no run '012345'"),
        "short prefix": (["01234"], "the first 6 or more characters"),
        "ambiguous prefix": ([ambiguous[:8]], "2 runs' IDs begin with"),
        "wild card": (["______"], "a run is named by its ID"),
        "address": (["http://localhost:5000/#/experiments/1"], "expected the address of a run's page"),
        "very long": (["a" * 5000], "no run"),
        "sweep": (["best:nothing"], "unknown sweep 'nothing'"),
        "a sweep's own run": ([sweep], "is a whole sweep: name one of its trials"),
        "foreign": ([foreign], f"run {foreign} is no training by runback"),
        "no epoch": ([epochless], "completed no epoch"),
        "running": ([running], f"run {running} is already running (process {os.getpid()})"),
        **{f"no {name}": ([run], f"run {run} has no artifact '{name}'") for name, run in gone.items()},
        "damaged record": ([damaged], f"record/record.json of run {damaged} is damaged"),
        "other record": ([other_form], f"record/record.json of run {other_form} cannot be used: format"),
        "no data": ([no_data, "--in-place", "--yes"], "no/such, which is no folder"),
        "no bundle": (["not there.zip"], "not there.zip is not there"),
        "no zip": (["nets.py"], "the file is no zip"),
        "threads": ([recorded.own, "--threads=0"], "--threads must be at least 1; got 0"),
        "tolerance": ([recorded.own, "--tolerance=2"], "--tolerance must lie in [0, 1); got 2.0"),
        "both": ([recorded.own, "--in-place", "--checkout"], "not allowed with argument"),
        "target": ([foreign_target, "--in-place"], "'os.system' is not allowed"),
    }
    before = left_behind(recorded)
    with (folder / "mlruns" / "runs" / "held" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        print(os.getpid(), file=lock, flush=True)
        results = recorded.project.run_many(*(["reproduce", *words] for words, _ in asked.values()))
    assert left_behind(recorded) == before
    return {
        name: (*result, wanted) for (name, (_, wanted)), result in zip(asked.items(), results, strict=True)
    }


def left_behind(recorded) -> dict[str, object]:
    folder = recorded.project.folder
    return {
        "runs": len(recorded.project.runs()),
        "folders": sorted(path.name for path in (folder / "mlruns" / "runs").iterdir()),
        "worktrees": recorded.repository.git("worktree", "list"),
        "top": sorted(path.name for path in (folder / "mlruns").iterdir()),
    }


REFUSED = (
    *("unknown ID", "unknown prefix", "short prefix", "ambiguous prefix", "wild card", "address"),
    *("very long", "sweep", "a sweep's own run", "foreign", "no epoch", "running", "no config.yaml"),
    *("no overrides.yaml", "no record/record.json", "no record/untracked.zip", "damaged record"),
    *("other record", "no data", "no bundle", "no zip", "threads", "tolerance", "both", "target"),
)


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_one_line_and_exit_code_2(refused, name):
    code, printed, told, wanted = refused[name]
    assert code == 2
    [line] = told.splitlines()
    assert line.startswith("runback: ")
    assert wanted in line
    assert "epoch 1/" not in printed


def test_every_refusal_is_looked_at(refused):
    assert set(refused) == set(REFUSED)


def planted(recorded, mark: Path) -> str:
    """Copy the run with one more untracked file, which Python imports at its start, and all sums right."""
    run = copied(recorded.project, recorded.own)
    folder = Path(recorded.project.client().get_run(run).info.artifact_uri.removeprefix("file://"))
    record = Path(str(folder).replace("%20", " ")) / "record"
    code = f"open({str(mark)!r}, 'w').close()\n".encode()
    name = f"{recorded.project.folder.relative_to(recorded.repository.top).as_posix()}/sitecustomize.py"
    with zipfile.ZipFile(record / "untracked.zip", "a") as archive:
        archive.writestr(name, code)
    facts = json.loads((record / "record.json").read_text())
    facts["code"]["untracked"][name] = hashlib.sha256(code).hexdigest()
    (record / "record.json").write_text(json.dumps(facts))
    return run


def test_a_run_that_somebody_has_changed_in_the_store_is_asked_about_before_its_code_runs(recorded, tmp_path):
    mark = tmp_path / "mark"
    run = planted(recorded, mark)
    for flags in ([], ["--in-place"]):
        asked = recorded.project.run("reproduce", run, *flags)
        assert asked.returncode == 2
        assert "This run, which you did not record, brings what is not yours" in asked.stdout
        assert "say --yes to run it" in asked.stderr
    shown = recorded.project.run("reproduce", run, "--show")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "sitecustomize.py" in shown.stdout
    assert not mark.exists()
    assert recorded.repository.leftovers() == []


def elsewhere(recorded, folder: Path) -> Path:
    """Copy the project without its repository and its runs."""
    ignored = shutil.ignore_patterns("mlruns", ".git", "__pycache__")
    return shutil.copytree(recorded.project.folder, folder / "copy", ignore=ignored)


def test_without_the_repository_other_code_is_refused(recorded, tmp_path):
    moved = type(recorded.project)(elsewhere(recorded, tmp_path))
    mlruns = str(recorded.project.folder / "mlruns")
    done = moved.run("reproduce", recorded.own, RUNBACK_MLRUNS=mlruns)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "is not in a git repository (any more)" in line


def test_a_commit_that_this_repository_does_not_know_is_refused(recorded, tmp_path):
    moved = type(recorded.project)(elsewhere(recorded, tmp_path))
    other = Repository(moved.folder, moved)
    other.git("init", "--quiet")
    other.commit()
    done = moved.run("reproduce", recorded.own, RUNBACK_MLRUNS=str(recorded.project.folder / "mlruns"))
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "is unknown to" in line
    assert "git fetch" in line


def test_a_worktree_that_cannot_be_made_is_refused(recorded):
    in_the_way = recorded.project.folder / "mlruns" / "checkouts"
    in_the_way.write_text("")
    before = recorded.repository.state()
    try:
        done = recorded.project.run("reproduce", recorded.own)
    finally:
        in_the_way.unlink()
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "cannot make a worktree of commit" in line
    assert recorded.repository.state() == before


@pytest.mark.slow
def test_ctrl_c_ends_a_reproduction_in_a_checkout_and_leaves_no_worktree(recorded):
    told = stopped(recorded, lambda process: recorded.project.interrupt(process))
    assert told == [(130, "runback: interrupted\n")]


@pytest.mark.slow
def test_two_reproductions_of_a_run_go_on_at_once_and_end_cleanly_when_stopped(recorded):
    told = stopped(recorded, *[lambda process: process.send_signal(signal.SIGTERM)] * 2)
    assert told == [(143, "runback: stopped by SIGTERM\n")] * 2


def stopped(recorded, *stops) -> list[tuple[int, str]]:
    """Start a reproduction for each of `stops`, call these when all train; return exit codes and errors."""
    repository, project = recorded.repository, recorded.project
    before = repository.state()
    processes = [project.start("reproduce", recorded.own, SECONDS="300") for _ in stops]
    try:
        for process in processes:
            wait_for_line(process, "training 3 of 3 epochs")
        assert len(repository.leftovers()) == len(stops)
        for stop, process in zip(stops, processes, strict=True):
            stop(process)
        told = [(process, process.communicate(timeout=300)[1]) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert repository.state() == before
    assert repository.leftovers() == []
    return [(process.returncode, errors) for process, errors in told]


def wait_for_line(process: subprocess.Popen[str], beginning: str) -> None:
    for line in process.stdout:
        if line.startswith(beginning):
            time.sleep(1)  # into the network's factory, which sleeps
            return
    raise AssertionError(process.stderr.read())


@pytest.fixture(scope="module")
def swept(tmp_path_factory, make_project):
    """Sweep, prune, and run every trial back in one process."""
    repository = new_repository(tmp_path_factory.mktemp("swept"), make_project)
    (repository.folder / "sweeps" / "tiny.yaml").write_text(SWEEP)
    repository.commit()
    done = repository.project.run("sweep", "tiny")
    assert done.returncode == 0, done.stderr
    trials = [run for run in repository.project.runs() if run.data.tags["runback.kind"] == "train"]
    names = [*(run.info.run_id for run in trials), "best:tiny", killed(repository.project, trials)]
    # Each trial by another of the names that a run can have.
    address = f"http://127.0.0.1:5000/#/experiments/1/runs/{names[1]}?compare=1"
    asked = [names[0], address, names[2][:6].upper(), *names[3:]]
    results = repository.project.run_many(*(["reproduce", name] for name in asked))
    return repository.project, trials, dict(zip([*names[:-1], "killed"], results, strict=True))


def killed(project, trials) -> str:
    """Make the run that a finished trial would have been, had its process died in the third epoch."""
    [trial, *_] = [run.info.run_id for run in trials if run.info.status == "FINISHED"]
    run_id = copied(project, trial, status="RUNNING", without=["record/result.json"])
    for metric in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"):
        for point in project.client().get_metric_history(trial, metric)[:2]:
            project.client().log_metric(run_id, metric, point.value, step=point.step)
    return run_id


def test_every_trial_of_a_sweep_reproduces_bit_identically_the_pruned_ones_included(swept):
    _, trials, results = swept
    assert sorted(run.info.status for run in trials) == ["FINISHED", "FINISHED", "KILLED", "KILLED"]
    for run in trials:
        code, printed, told = results[run.info.run_id]
        assert (code, printed.splitlines()[-1], told) == (0, "bit-identical", ""), printed
        assert "code, packages, Python, hardware, threads and data are those of the recorded run" in printed
        last = 3 if run.info.status == "FINISHED" else 2
        assert f"training {last} of 3 epochs of {run.info.run_id}" in printed
        assert f"5 metrics of epochs 1 to {last}, 8 tensors, predictions" in printed


@pytest.mark.slow
def test_a_run_that_stopped_early_reproduces_with_its_best_weights(project):
    # Nothing is learned: the second epoch is no better, and the weights are those of the first.
    [(code, printed, err)] = project.run_many(
        [
            "train",
            "data=synthetic",
            "training.patience=1",
            "training.epochs=5",
            "optimizer.learning_rate=1e-9",
        ]
    )
    assert code == 0, err
    assert "epoch 2/5" in printed
    assert "epoch 3/5" not in printed
    [(code, printed, err)] = project.run_many(["reproduce", run_id_in(printed)])
    assert (code, printed.splitlines()[-1]) == (0, "bit-identical"), printed + err


def test_the_best_trial_reproduces_by_the_name_of_its_sweep(swept):
    project, trials, results = swept
    code, printed, _ = results["best:tiny"]
    assert (code, printed.splitlines()[-1]) == (0, "bit-identical")
    best = max(trials, key=lambda run: run.data.metrics["val_accuracy"])
    reproduced = project.client().get_run(run_id_in(printed)).data.tags["runback.reproduces"]
    metrics = project.client().get_run(reproduced).data.metrics
    assert metrics["val_accuracy"] == best.data.metrics["val_accuracy"]


def test_a_killed_run_reproduces_up_to_its_last_epoch(swept):
    code, printed, _ = swept[-1]["killed"]
    assert (code, printed.splitlines()[-1]) == (0, "bit-identical")
    assert "5 metrics of epochs 1 to 2, weights (not recorded, so not compared)" in printed
    assert "epoch 2/3" in printed
    assert "epoch 3/3" not in printed


def test_another_number_of_threads_is_within_tolerance_and_the_table_says_so(swept):
    done = swept[0].run("reproduce", "best:tiny", "--threads=2")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "within tolerance"
    assert lines[0].split() == ["differs", "recorded", "now"]
    assert lines[1].split() == ["threads", "threads", "1", "2"]
    assert lines[2].startswith("training 3 of 3 epochs")
    assert any("95 % Wilson interval, n = 288" in line for line in lines)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_trial_of_the_quickstart_reproduces_bit_identically(tmp_path, make_project):
    repository = new_repository(tmp_path, make_project)
    repository.commit()
    assert repository.project.run("sweep", "quickstart").returncode == 0
    trials = [run for run in repository.project.runs() if run.data.tags["runback.kind"] == "train"]
    assert len(trials) == 16
    assert {run.info.status for run in trials} == {"FINISHED", "KILLED"}
    verdicts = {}
    for run in trials:
        done = repository.project.run("reproduce", run.info.run_id, "--json")
        verdicts[run.info.run_id] = (done.returncode, json.loads(done.stdout)["verdict"])
    assert set(verdicts.values()) == {(0, "bit-identical")}, verdicts


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_with_a_lock_file_the_packages_are_the_runs_own(tmp_path, make_project):
    """Needs uv, and PyPI or uv's cache."""
    repository = new_repository(tmp_path, make_project)
    folder = repository.folder
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "uv.lock", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder / name)
    repository.commit()
    trained = repository.project.run("train", "model.dense_width=16", *EPOCHS)
    assert trained.returncode == 0, trained.stderr
    (folder / "new.py").write_text("")
    for _ in range(2):  # the second time with the environment that is there
        done = repository.project.run("reproduce", run_id_in(trained.stdout), "--json", timeout=900)
        assert done.returncode == 0, done.stderr
        facts = json.loads(done.stdout)
        assert facts["verdict"] == "bit-identical"
        # What no lock file has: pip and uv themselves may be missing, the extras that were installed are not.
        assert {one["what"] for one in facts["differences"]} <= {"pip", "uv", "setuptools", "wheel"}
    assert len(list((folder / "mlruns" / "environments").iterdir())) == 1
    assert repository.leftovers() == []
