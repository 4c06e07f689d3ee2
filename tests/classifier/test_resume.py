"""`runback train resume=RUN`: runs that are really stopped and killed, and end as if they had not been."""

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runback.tracking.layout import Layout
from runback.tracking.store import open_store
from runback.tracking.write.delivery import deliver_folder

TINY = (
    "training.epochs=8",
    "training.batch_size=16",
    "training.threads=1",
    "training.checkpoint.every=1",
    "model.widths=[4,8]",
    "model.dense_width=16",
    "augmentation=shift",
)

STRONG = (
    "experiment=cifar10_fast",
    "data=digits",
    "model.widths=[4,6,8]",
    "training.epochs=8",
    "training.batch_size=16",
    "training.threads=1",
    "tracking.experiment=runback",
)

FORKING = """
import runback.tracking.mlflow_settings
import json, os, sys, time
import keras, tensorflow
import runback.classifier.augmentation.preview, runback.classifier.augmentation.stack
import runback.runs.resume, runback.tracking.write.network_artifacts
import runback.tracking.write.system_metrics, runback.classifier.training.curves_figure
from runback.classifier.training import recorded_training as fit
from runback.__main__ import main

def signal_self(phase, call, signum, note):
    compile_model = fit.compile_model

    def compiled(*parts):
        model, name, calls = compile_model(*parts), f"{phase}_function", 0
        make = getattr(model, f"make_{name}")

        def counting(run):
            def counted(batches):
                nonlocal calls
                calls += 1
                if calls == call:
                    with open(note, "w") as file:
                        file.write(repr(time.time()))
                    os.kill(os.getpid(), signum)
                return run(batches)

            return counted

        def making(force=False):  # as often as Keras needs it anew
            if force or getattr(model, name) is None:
                make(force)
                setattr(model, name, counting(getattr(model, name)))

        setattr(model, f"make_{name}", making)
        return model

    fit.compile_model = compiled

def forked(job):
    os.setsid()
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{job['log']}.{name}", os.O_WRONLY | os.O_CREAT), descriptor)
    os.environ.update(job["env"])
    if job["stop"]:
        signal_self(*job["stop"], job["log"])
    try:
        return main(job["arguments"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()

for line in sys.stdin:
    job = json.loads(line)
    if isinstance(job, int):
        print(os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]), flush=True)
        continue
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            code = forked(job)
        finally:
            os._exit(code)
    print(pid, flush=True)
"""


@dataclass(frozen=True)
class Command:
    """A `runback` command in a process forked from one that has imported TensorFlow."""

    pid: int
    log: Path
    server: subprocess.Popen[str]
    running: set[int]

    def kill(self, signum: signal.Signals = signal.SIGKILL) -> tuple[int, str, str]:
        os.kill(self.pid, signum)
        return self.wait()

    def wait(self) -> tuple[int, str, str]:
        """Return its exit code (below 0: the signal it died of) and what it printed."""
        print(self.pid, file=self.server.stdin, flush=True)
        code = int(self.server.stdout.readline())
        self.running.remove(self.pid)
        return code, self.text("out"), self.text("err")

    def text(self, stream: str) -> str:
        return Path(f"{self.log}.{stream}").read_text()


@dataclass(frozen=True)
class Workplace:
    """A project in which commands start in a second, not in ten."""

    project: Any
    server: subprocess.Popen[str]
    logs: Path
    running: set[int]
    """The processes of commands that nobody has waited for."""

    def start(self, *arguments: str, stop: tuple[str, int, int] | None = None, **env: str) -> Command:
        """Start a command; `stop`: it sends itself a signal in the n-th (from 1) step of train or test."""
        log = self.logs / str(len(list(self.logs.iterdir())))
        job = {"arguments": arguments, "log": str(log), "stop": stop, "env": env}
        print(json.dumps(job), file=self.server.stdin, flush=True)
        pid = int(self.server.stdout.readline())
        self.running.add(pid)
        return Command(pid, log, self.server, self.running)

    def run(self, *arguments: str, **env: str) -> tuple[int, str, str]:
        return self.start(*arguments, **env).wait()

    def train(
        self, *arguments: str, base: tuple[str, ...] = TINY, **options: Any
    ) -> tuple[Command, str, Path]:
        """Start a training; return also its run ID and its folder, once its record is written."""
        known = {run.info.run_id for run in self.project.runs()}
        command = self.start("train", *base, *arguments, **options)
        new: list[Any] = []

        def is_recorded() -> bool:
            new[:] = [run for run in self.project.runs() if run.info.run_id not in known]
            return bool(new) and (self.artifacts(new[0].info.run_id) / "record" / "record.json").exists()

        wait_until(is_recorded)
        return command, new[0].info.run_id, self.folder(new[0].info.run_id)

    def folder(self, run_id: str) -> Path:
        return self.project.folder / "mlruns" / self.run_of(run_id).data.tags["runback.folder"]

    def artifacts(self, run_id: str) -> Path:
        return self.project.folder / "mlruns" / "artifacts" / "runback" / run_id / "artifacts"

    def run_of(self, run_id: str) -> Any:
        return self.project.client().get_run(run_id)

    def result(self, run_id: str) -> dict[str, Any]:
        return json.loads((self.artifacts(run_id) / "record" / "result.json").read_text())

    def curve(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        return [(p.step, p.value) for p in self.project.client().get_metric_history(run_id, metric)]

    def database(self) -> Counter[str]:
        """Return the statements that would write the store again."""
        with contextlib.closing(sqlite3.connect(self.project.folder / "mlruns" / "mlflow.db")) as database:
            return Counter(database.iterdump())


def wait_until(condition: Callable[[], Any], seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.0005)


def epochs_logged(folder: Path) -> int:
    mirror = folder / "metrics.jsonl"
    return mirror.read_text().count("\n") if mirror.exists() else 0


def checkpoints(folder: Path) -> list[tuple[int, int]]:
    """Return epoch and step of each checkpoint, the oldest first."""
    names = sorted(path.stem.split("-") for path in folder.glob("checkpoint-*.npz"))
    return [(int(epoch), int(step)) for _, epoch, step in names]


def is_writing_a_checkpoint(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(entry.name.endswith(".npz.partial") for entry in entries)


@pytest.fixture(scope="module")
def place(module_project, tmp_path_factory) -> Iterator[Workplace]:
    with subprocess.Popen(
        [sys.executable, "-c", FORKING],
        cwd=module_project.folder,
        env=module_project.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        yield Workplace(module_project, server, tmp_path_factory.mktemp("logs"), set())
        server.stdin.close()


@pytest.fixture(autouse=True)
def no_other_command(place) -> Iterator[None]:
    """Kill what a test that failed left running: it would change the store of the next one."""
    yield
    for pid in place.running:
        os.kill(pid, signal.SIGKILL)
    place.running.clear()


@dataclass(frozen=True)
class Reference:
    """The run that nothing interrupted."""

    run_id: str
    result: dict[str, Any]
    params: dict[str, str]
    accuracy: list[tuple[int, float]]
    epoch_seconds: float


@pytest.fixture(scope="module")
def reference(place) -> Reference:
    code, out, err = place.run("train", *TINY)
    assert (code, err) == (0, "")
    run_id = out.split()[-1]
    seconds = [value for _, value in place.curve(run_id, "epoch_seconds")]
    return Reference(
        run_id,
        place.result(run_id),
        place.run_of(run_id).data.params,
        place.curve(run_id, "val_accuracy"),
        sorted(seconds)[len(seconds) // 2],
    )


def kill_at(place: Workplace, reference: Reference, moment: float, *arguments: str) -> tuple[str, Path]:
    """Start a training, or go on with one, and kill it so many epochs after its beginning.

    One that comes to its end first, on a machine that has become faster meanwhile, is started anew.
    """
    while True:
        if arguments:
            run_id = arguments[-1].removeprefix("resume=")
            command, folder = place.start(*arguments), place.folder(run_id)
        else:
            command, run_id, folder = place.train()
        wait_until(lambda folder=folder: epochs_logged(folder) >= int(moment))
        time.sleep(moment % 1 * epoch_seconds(folder, reference))
        code, _, err = command.kill()
        if code == -signal.SIGKILL:
            return run_id, folder
        assert (code, arguments) == (0, ()), err
        place.project.client().delete_run(run_id)


def epoch_seconds(folder: Path, reference: Reference) -> float:
    """Return how long the last epoch has taken, that of the reference before the first is done."""
    mirror = folder / "metrics.jsonl"
    lines = mirror.read_text().splitlines() if mirror.exists() else []
    return json.loads(lines[-1])["metrics"].get("epoch_seconds", 0.0) if lines else reference.epoch_seconds


def assert_as_if_uninterrupted(place: Workplace, run_id: str, reference: Reference) -> None:
    run = place.run_of(run_id)
    assert place.result(run_id) == reference.result
    assert run.info.status == "FINISHED"
    assert run.data.params == reference.params
    assert "runback.resumed" in run.data.tags
    assert "runback.reason" not in run.data.tags
    for metric in run.data.metrics:
        steps = Counter(step for step, _ in place.curve(run_id, metric))
        assert max(steps.values()) == 1, (metric, steps)
    assert place.curve(run_id, "val_accuracy") == reference.accuracy
    lines = [json.loads(line) for line in (place.folder(run_id) / "metrics.jsonl").read_text().splitlines()]
    epochs = [line["step"] for line in lines if "best_epoch" not in line["metrics"]]
    assert sorted(epochs) == list(range(1, 9))


def resume(place: Workplace, run_id: str, reference: Reference) -> str:
    """Go on with a run to its end and compare; return what it said on stderr."""
    code, out, err = place.run("train", f"resume={run_id}")
    assert code == 0, err
    assert out.splitlines()[-1] == f"run {run_id}"
    assert_as_if_uninterrupted(place, run_id, reference)
    return err


@pytest.mark.parametrize("seed", [1, 2])
def test_a_killed_run_goes_on_in_the_same_run_and_ends_with_the_same_bits(place, reference, seed):
    known = len(place.project.runs())
    run_id, _ = kill_at(place, reference, random.Random(seed).uniform(1, 8))  # noqa: S311
    assert place.run_of(run_id).info.status == "RUNNING"
    assert resume(place, run_id, reference) == ""
    assert len(place.project.runs()) == known + 1


def test_a_run_killed_before_its_first_checkpoint_begins_again_and_may_be_killed_again(place, reference):
    run_id, folder = kill_at(place, reference, 0.5)
    assert checkpoints(folder) == []
    kill_at(place, reference, 3.3, "train", f"resume={run_id}")
    [_, (newest, _)] = checkpoints(folder)
    resume(place, run_id, reference)
    told = place.run_of(run_id).data.tags["runback.resumed"]
    assert told == f"its beginning; epoch {newest}, step 0"


def test_a_run_killed_while_its_network_is_stored_has_one_network(place, reference):
    command, run_id, _ = place.train()
    wait_until(lambda: place.run_of(run_id).outputs.model_outputs)
    assert command.kill()[0] == -signal.SIGKILL
    resume(place, run_id, reference)
    [stored] = place.run_of(run_id).outputs.model_outputs
    assert place.project.client().get_logged_model(stored.model_id).status == "READY"


STEPS = 72  # of 16 images, an epoch of 1,149


IN_AN_EPOCH = ("train", 2 * STEPS + 40, (2, 40))
IN_VALIDATION = ("test", 2 * 2 + 1, (2, STEPS))


@pytest.mark.parametrize(
    ("signum", "code", "phase", "call", "at"),
    [
        (signal.SIGTERM, 143, *IN_AN_EPOCH),
        (signal.SIGINT, 130, *IN_VALIDATION),
        pytest.param(signal.SIGINT, 130, *IN_AN_EPOCH, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, *IN_VALIDATION, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 129, *IN_AN_EPOCH, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_run_saves_its_running_step(place, reference, signum, code, phase, call, at):
    command, run_id, folder = place.train(stop=(phase, call, signum))
    ended = command.wait()
    assert ended[0] == code
    assert time.time() - float(command.log.read_text()) < 10
    assert ended[2].count("\n") == 1
    assert checkpoints(folder)[-1] == at
    run = place.run_of(run_id)
    assert run.info.status == "KILLED"
    assert run.data.tags["runback.reason"].startswith("interrupted: ")
    resume(place, run_id, reference)
    assert place.run_of(run_id).data.tags["runback.resumed"] == f"epoch {at[0]}, step {at[1]}"


def test_a_strong_start_killed_and_then_stopped_in_an_epoch_ends_with_the_same_bits(place):
    code, out, err = place.run("train", *STRONG)
    assert code == 0, err
    whole = out.split()[-1]
    command, run_id, folder = place.train(base=STRONG)
    wait_until(lambda: epochs_logged(folder) >= 3)
    assert command.kill()[0] == -signal.SIGKILL
    assert place.start("train", f"resume={run_id}", stop=("train", 40, signal.SIGTERM)).wait()[0] == 143
    assert checkpoints(folder)[-1][1] > 0
    code, _, err = place.run("train", f"resume={run_id}")
    assert code == 0, err
    assert place.result(run_id) == place.result(whole)
    for metric in ("loss", "val_loss", "val_accuracy", "learning_rate"):
        assert place.curve(run_id, metric) == place.curve(whole, metric)
    code, out, err = place.run("reproduce", run_id, "--in-place")
    assert (code, out.splitlines()[-1]) == (0, "bit-identical"), err


@pytest.mark.slow
def test_a_run_of_the_installed_command_that_a_scheduler_stopped_goes_on_elsewhere(place, reference):
    process = place.project.start("train", *TINY)
    assert process.stdout.readline().startswith("epoch 1/8")
    told = time.monotonic()
    place.project.interrupt(process, signal.SIGTERM)
    process.communicate()
    assert process.returncode == 143
    assert time.monotonic() - told < 10
    run_id = place.project.runs()[-1].info.run_id
    assert (1, 0) <= checkpoints(place.folder(run_id))[-1] < (8, 0)
    resume(place, run_id, reference)


def test_a_run_stopped_while_it_is_taken_up_says_so(place, reference):
    run_id, _ = kill_at(place, reference, 2.0)
    command = place.start("train", f"resume={run_id}")
    wait_until(lambda: "runback.resumed" in place.run_of(run_id).data.tags)
    assert command.kill(signal.SIGTERM)[0] == 143
    run = place.run_of(run_id)
    assert run.info.status == "KILLED"
    assert run.data.tags["runback.reason"] == "interrupted: stopped by SIGTERM"
    resume(place, run_id, reference)


def test_a_torn_checkpoint_is_passed_over_and_told(place, reference):
    run_id, folder = kill_at(place, reference, 3.5)
    older, newest = sorted(folder.glob("checkpoint-*.npz"))
    os.truncate(newest, newest.stat().st_size // 2)
    err = resume(place, run_id, reference)
    assert newest.name in err
    assert f"falling back to the one before, {older.name}" in err


WIDE = ("data=synthetic", "model.widths=[4,4]", "model.dense_width=400000", "training.epochs=2")


def test_a_full_disk_ends_the_run_with_that_reason_and_it_goes_on_when_there_is_room(place):
    project = place.project
    done = subprocess.run(
        [sys.executable, "-m", "runback", "train", *WIDE, "training.checkpoint.every=1"],
        cwd=project.folder,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
        # The network has 34 MB and fits, its checkpoint has three times that and does not.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (48 << 20, 48 << 20)),
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "the disk is full" in done.stderr
    run = project.runs()[-1]
    assert run.info.status == "FAILED"
    assert "the disk is full" in run.data.tags["runback.reason"]
    again = project.run("train", f"resume={run.info.run_id}")
    assert again.returncode == 0, again.stderr
    assert project.runs()[-1].info.status == "FINISHED"


def test_metrics_that_the_store_lacks_come_back_from_the_file_and_from_the_checkpoint(place, reference):
    run_id, folder = kill_at(place, reference, 4.5)
    assert checkpoints(folder)[-1][0] >= 4
    lines = (folder / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_bytes(b"".join(lines[:3]) + b"\0" * 300)  # what a power failure leaves
    with contextlib.closing(sqlite3.connect(place.project.folder / "mlruns" / "mlflow.db")) as database:
        database.execute("DELETE FROM metrics WHERE run_uuid = ? AND step > 1", [run_id])
        database.commit()
    resume(place, run_id, reference)


@pytest.mark.slow
def test_a_trial_of_a_killed_sweep_goes_on_by_its_run_id(place, reference):
    sweep = (
        "hydra.sweeper.name=killed",
        "hydra.sweeper.n_workers=1",
        "hydra.sweeper.start_method=forkserver",
    )
    process = place.project.start("train", "--multirun", "seed=0,1", *TINY, *sweep)
    folder = place.project.folder / "mlruns" / "sweeps" / "killed" / "0"
    wait_until(lambda: epochs_logged(folder) >= 3)
    place.project.interrupt(process, signal.SIGKILL)
    process.communicate()
    [run] = [run for run in place.project.runs() if run.data.tags.get("runback.sweep") == "killed"
             and "runback.trial" in run.data.tags]  # fmt: skip
    wait_until(lambda: "already running" not in place.run("train", f"resume={run.info.run_id}")[2])
    assert_as_if_uninterrupted(place, run.info.run_id, reference)


# ---- what cannot go on: one line, exit code 2, nothing changed in the store


@pytest.fixture(scope="module")
def unfinished(place, reference) -> str:
    """A run that was killed in its third epoch, of which the store has what was still on its way there."""
    run_id, folder = kill_at(place, reference, 2.5)
    deliver_folder(open_store(Layout(place.project.folder)), folder)
    return run_id


def refused(place: Workplace, *arguments: str) -> str:
    before = place.database()
    code, out, err = place.run("train", *arguments)
    assert (code, out) == (2, ""), err
    assert err.startswith("runback: ")
    assert err.count("\n") == 1, err
    after = place.database()
    assert (after - before, before - after) == (Counter(), Counter())
    return err


def test_a_finished_run_is_refused(place, reference):
    assert "is FINISHED: there is nothing left to train" in refused(place, f"resume={reference.run_id}")


@pytest.mark.parametrize("unknown", ["0" * 32, "0123456", "abc", "", "best:nothing", "no/where"])
def test_an_unknown_run_is_refused(place, unfinished, unknown):
    assert unknown.removeprefix("best:") in refused(place, f"resume={unknown}")


@pytest.mark.parametrize("other", ["training.epochs=9", "--multirun", "--help", "epochs"])
def test_another_override_is_refused(place, unfinished, other):
    assert f"resume=RUN stands alone, a run goes on with the config it began with; got '{other}'" in refused(
        place, f"resume={unfinished}", other
    )


def test_two_runs_are_refused(place, unfinished, reference):
    assert reference.run_id in refused(place, f"resume={unfinished}", f"resume={reference.run_id}")


def test_a_run_that_still_trains_is_refused(place):
    command, run_id, folder = place.train("training.epochs=1000")
    wait_until(lambda: epochs_logged(folder) >= 1)
    code, _, err = place.run("train", f"resume={run_id}")
    assert code == 2
    assert f"run {run_id} is already running (process {command.pid})" in err
    command.kill()
    assert epochs_logged(folder) >= 1


def test_a_run_whose_folder_is_gone_is_refused(place, unfinished):
    folder = place.folder(unfinished)
    folder.rename(folder.with_name("elsewhere"))
    assert f"its folder {folder} is gone" in refused(place, f"resume={unfinished}")
    folder.with_name("elsewhere").rename(folder)


@pytest.mark.parametrize("name", ["config.yaml", "record/record.json", "overrides.yaml"])
def test_a_run_whose_artifact_is_gone_is_refused(place, unfinished, name):
    file = place.artifacts(unfinished) / name
    file.rename(file.with_name("elsewhere"))
    assert name in refused(place, f"resume={unfinished}")
    file.with_name("elsewhere").rename(file)


def test_a_bundle_is_refused(place, reference):
    bundle = place.project.folder / "bundle.zip"
    assert place.run("export", reference.run_id, str(bundle))[0] == 0
    assert "a bundle cannot be resumed" in refused(place, f"resume={bundle}")


def test_a_checkpoint_of_another_network_is_refused(place, reference, unfinished):
    folder, kept = place.folder(unfinished), place.folder(unfinished).with_name("kept")
    command, _, other = place.train("model.dense_width=8")
    wait_until(lambda: checkpoints(other))
    command.kill()
    folder.rename(kept)
    shutil.copytree(other, folder)
    shutil.copyfile(kept / "run.json", folder / "run.json")
    assert "was made by another training" in refused(place, f"resume={unfinished}")
    shutil.rmtree(folder)
    kept.rename(folder)


def test_other_data_is_refused_down_to_a_pixel(place, tmp_path):
    for label, number in [(label, number) for label in ("cat", "dog") for number in range(20)]:
        (tmp_path / label).mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(tmp_path / label / f"{number}.png")
    size = ("data.height=8", "data.width=8", "training.epochs=1000")
    command, run_id, folder = place.train("data=folder", f"data.path='{tmp_path}'", *size)
    wait_until(lambda: epochs_logged(folder) >= 2)
    assert command.kill(signal.SIGTERM)[0] == 143
    image = np.full((8, 8, 3), 7, np.uint8)
    image[3, 4, 1] += 1
    for label in ("cat", "dog"):  # one of them at least is no test image
        Image.fromarray(image).save(tmp_path / label / "7.png")
    assert "the images or labels are not those that the run was trained on" in refused(
        place, f"resume={run_id}"
    )
    assert place.run_of(run_id).info.status == "KILLED"


# ---- the same, many times over


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_runs_of_twenty_killed_at_random_end_with_the_same_bits(place, reference):
    moments = random.Random(3)  # noqa: S311
    torn = 0
    for number in range(20):
        if number % 4 == 3:
            command, run_id, folder = place.train()
            wait_until(lambda folder=folder, epoch=number // 3: epochs_logged(folder) >= epoch)
            wait_until(lambda folder=folder: is_writing_a_checkpoint(folder))
            assert command.kill()[0] == -signal.SIGKILL
            torn += is_writing_a_checkpoint(folder)
        else:
            run_id, _ = kill_at(place, reference, moments.uniform(0, 8))
        resume(place, run_id, reference)
    assert torn >= 1


@pytest.mark.slow
def test_metrics_that_a_locked_store_never_got_are_stored_in_the_end(place, reference):
    command, run_id, folder = place.train()
    wait_until(lambda: epochs_logged(folder) >= 2)
    path = place.project.folder / "mlruns" / "mlflow.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN EXCLUSIVE")
        wait_until(lambda: epochs_logged(folder) >= 5)  # MLflow waits 20 s for the first of them
        command.kill()
        other.rollback()
    assert "metrics wait for the store" in command.text("err")
    assert len(place.curve(run_id, "loss")) < 5
    resume(place, run_id, reference)


def test_a_run_killed_before_its_record_was_complete_is_closed(place, unfinished):
    client, folder = place.project.client(), place.folder(unfinished)
    tags = {"runback.kind": "train", "runback.folder": f"{folder.parent.name}/never begun"}
    killed = client.create_run(client.get_run(unfinished).info.experiment_id, tags=tags).info.run_id
    folder.with_name("never begun").mkdir()
    code, _, err = place.run("train", f"resume={killed}")
    assert code == 2
    assert "it was killed before its first epoch, train it anew" in err
    assert client.get_run(killed).info.status == "KILLED"
