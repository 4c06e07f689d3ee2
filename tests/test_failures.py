"""Each kind of failure, provoked for real in real sweeps: its kind, its retries, its run, how it counts."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import TrialState

from runback.sweeping.study.study_store import read_study

FAULTS = """
import ctypes, itertools, os, resource, threading, time
from pathlib import Path

import keras
import numpy as np
from keras import layers
from runback.classifier.data.dataset import Dataset
from runback.sweeping import report
from runback.sweeping.trials.trial import current

HERE = Path(__file__).parent


def files(split, *, cache: Path, part: int = 0):
    archive = np.load(HERE / f"{part}.npz")
    return Dataset(archive["images"], archive["labels"], ("a", "b"))


def net(input_shape, num_classes, *, fault: int = 0, bug_between: int = 0, crashes: bool = False):
    width = FAULTS[fault]() or 8
    if 0 < bug_between < 100:
        bug()
    if crashes:
        threading.Thread(target=crash_once_after_three_epochs, daemon=True).start()
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(width),
            layers.Dense(width),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


def leave_memory(megabytes):
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (megabytes << 20),) * 2)


def sound(): ...


def too_big():
    leave_memory(200)
    np.ones(1 << 30)


def too_wide():
    leave_memory(200)
    return 20_000


def cpp_allocation():
    leave_memory(200)
    ctypes.CDLL("libstdc++.so.6")._Znwm(ctypes.c_size_t(1 << 40))  # operator new


def no_stack_for_a_thread():
    leave_memory(1)
    for _ in range(10):
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()


def exit_once():
    sign = HERE / "has exited"
    if not sign.exists():
        sign.touch()
        os._exit(3)


def hang_in_c():
    ctypes.PyDLL(None).sleep(600)  # it keeps Python's lock


def never_end():
    for step in itertools.count(1):
        report(0.0, step)
        time.sleep(0.1)


def segfault():
    ctypes.string_at(0)


def bug():
    return [].pop()


def impossible():
    raise ValueError("no network of this size")


FAULTS = [
    sound, too_big, cpp_allocation, no_stack_for_a_thread, exit_once, hang_in_c, never_end, sound, segfault,
    sound, sound, bug, impossible, sound, sound, too_wide, sound,
]


def crash_once_after_three_epochs():
    curves, sign = current().trial.folder / "metrics.jsonl", HERE / "has crashed"
    while not (curves.exists() and curves.read_text().count("\\n") >= 3):
        time.sleep(0.005)
    if not sign.exists():
        sign.touch()
        segfault()
"""

CONFIG = {
    "pyproject.toml": '[tool.runback]\nmodules = ["faults"]\n',
    "faults.py": FAULTS,
    "conf/model/faulty.yaml": "_target_: faults.net\nfault: 0\nbug_between: 0\ncrashes: false\n",
    "conf/data/parts.yaml": "defaults: [_split, _self_]\n_target_: faults.files\npart: 0\n",
    "sweeps/faults.yaml": """# @package _global_
defaults:
  - override /model: faulty
  - override /data: parts
  - override /optimizer: sgd
training:
  epochs: 1
data:
  part: ${model.fault}
hydra:
  sweeper:
    n_workers: 2
""",
}

DAMAGED = 13
"""The trial whose images cannot be read; nothing else is wrong with it."""

EXPECTED = {
    1: ("out_of_memory", "the network's weights do not fit into memory", {"out_of_memory": 1}),
    2: ("out_of_memory", "SIGABRT: what():  std::bad_alloc", {"out_of_memory": 1}),
    3: ("out_of_memory", "can't start new thread", {"out_of_memory": 1}),
    5: ("timeout", "it said nothing for more than 10 s", {}),
    6: ("timeout", "it ran for more than 15 s", {}),
    8: ("lost", "killed by SIGSEGV", {"lost": 2}),
    11: ("code", "IndexError: pop from empty list", {}),
    12: ("input", "no network of this size", {}),
    DAMAGED: ("data", "data: faults.files: ", {}),
}
"""Trials that fail for good: the kind, part of the reason, and after which failures they were tried again."""


def own(project):
    """Give a project the faulty model, its images and a sweep of its own."""
    shutil.copytree(project.folder / "conf", project.folder / "copied")
    for name in ("conf", "sweeps"):
        (project.folder / name).unlink()
    (project.folder / "copied").rename(project.folder / "conf")
    (project.folder / "sweeps").mkdir()
    for name, text in CONFIG.items():
        (project.folder / name).write_text(text)
    images = np.random.default_rng(0).integers(0, 256, (80, 8, 8, 1), np.uint8)
    for part in range(17):
        np.savez(project.folder / f"{part}.npz", images=images, labels=np.arange(80) % 2)
    damage(project.folder / f"{DAMAGED}.npz")
    return project


def damage(file: Path):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.fixture(scope="module")
def swept(module_project):
    """Sweep over all faults once. Both ends of the range, which a sweep checks beforehand, are sound."""
    own(module_project)
    done = module_project.run(
        "sweep", "faults", "model.fault=range(0,15)",
        "hydra.sweeper.trial_timeout=15", "hydra.sweeper.stall_timeout=10",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return module_project, done.stdout


def study_of(project, name="faults"):
    return read_study(project.folder / "mlruns" / "sweeps" / name, name)


def runs_of(project, number):
    return [run for run in project.runs() if run.data.tags.get("runback.trial") == str(number)]


@pytest.mark.parametrize("number", EXPECTED)
def test_a_failure_has_its_kind_its_retries_and_its_run(swept, number):
    project, printed = swept
    kind, reason, attempts = EXPECTED[number]
    trial = study_of(project).trials[number]
    assert trial.user_attrs["failure"].startswith(f"{kind}: ")
    assert reason in trial.user_attrs["failure"]
    assert trial.user_attrs.get("attempts", {}) == attempts
    is_bad = kind in ("input", "out_of_memory")
    assert trial.state == (TrialState.PRUNED if is_bad else TrialState.FAIL)
    assert printed.count(f"trial {number:>3}  {kind}: ") == sum(attempts.values())  # each try again is shown
    assert printed.count(f"trial {number:>3}  failed  {kind}: ") == 1
    [run] = runs_of(project, number)
    assert run.info.status == "FAILED"
    assert run.data.tags["runback.failure"] == kind
    assert reason in run.data.tags["runback.reason"]
    assert run.data.params["model.fault"] == str(number)


def test_a_trial_whose_process_ended_once_is_tried_again_in_another_run(swept):
    project, printed = swept
    trial = study_of(project).trials[4]
    assert trial.state == TrialState.COMPLETE
    assert trial.user_attrs["attempts"] == {"lost": 1}
    first, again = runs_of(project, 4)
    assert (first.info.status, first.data.tags["runback.failure"]) == ("FAILED", "lost")
    assert first.data.tags["runback.reason"] == "its process ended with exit code 3"
    assert again.info.status == "FINISHED"
    assert again.data.tags["runback.retry_of"] == first.info.run_id
    assert "trial   4  lost: its process ended with exit code 3; to be tried again" in printed


def test_a_bug_leaves_its_traceback_as_an_artifact(swept):
    project, _ = swept
    [run] = runs_of(project, 11)
    client = project.client()
    text = Path(client.download_artifacts(run.info.run_id, "traceback.txt")).read_text()
    assert text.startswith("Traceback (most recent call last)")
    assert "return [].pop()" in text


def test_sound_trials_beside_faulty_ones_finish(swept):
    project, _ = swept
    done = [t.number for t in study_of(project).trials if t.state == TrialState.COMPLETE]
    assert done == [number for number in range(15) if number not in EXPECTED]
    statuses = {runs_of(project, number)[-1].info.status for number in done}
    assert statuses == {"FINISHED"}


def test_the_summary_counts_failures_by_kind(swept):
    _, printed = swept
    [line] = [line for line in printed.splitlines() if " failed (" in line]
    counts = "1 code, 1 data, 1 input, 1 lost, 3 out_of_memory, 2 timeout"
    assert line.startswith(f"6 done · 0 pruned · 9 failed ({counts}) · ")


@pytest.mark.slow
def test_training_failures_lose_no_epoch_and_an_absurd_learning_rate_is_a_bad_region(project):
    own(project)
    done = project.run(
        "sweep", "faults", "optimizer.learning_rate=choice(0.01,1e30)", "model.crashes=true",
        "training.epochs=15", "training.checkpoint.every=1",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 done · 0 pruned · 1 failed (1 diverged)" in done.stdout

    crashed, diverged = study_of(project).trials
    assert crashed.state == TrialState.COMPLETE
    assert crashed.user_attrs["attempts"] == {"lost": 1}
    assert "trial   0  lost: its process was killed by SIGSEGV; to be tried again" in done.stdout
    [run] = runs_of(project, 0)  # it went on in its run
    assert run.info.status == "FINISHED"
    assert "runback.failure" not in run.data.tags
    resumed_at = int(run.data.tags["runback.resumed"].removeprefix("epoch ").split(",")[0])
    assert resumed_at >= 2
    points = project.client().get_metric_history(run.info.run_id, "loss")
    assert [point.step for point in points] == list(range(1, 16))

    assert diverged.state == TrialState.PRUNED  # finished, and worse than every completed one
    assert "attempts" not in diverged.user_attrs
    assert diverged.user_attrs["ended_by"] == "diverged"
    [run] = runs_of(project, 1)
    assert (run.info.status, run.data.tags["runback.failure"]) == ("FAILED", "diverged")
    assert "loss is" in run.data.tags["runback.reason"]


@pytest.mark.slow
def test_a_sweep_whose_first_trials_all_die_of_one_bug_stops(project):
    own(project)
    done = project.run(
        "sweep", "faults", "model.bug_between=int(interval(0,100))", "hydra.sweeper.n_trials=50"
    )
    assert done.returncode == 1
    message = "3 trials in a row failed, the last one with: IndexError: pop from empty list"
    assert done.stderr.splitlines() == [f"runback: {message}"]
    assert len(study_of(project).trials) <= 4  # the one beside the third is stopped
    assert "RUNNING" not in {run.info.status for run in project.runs()}


def test_damaged_data_and_a_bug_everywhere_are_found_before_the_first_trial(project):
    own(project)
    damage(project.folder / "0.npz")
    unreadable, buggy = project.run_many(
        ["sweep", "faults", "seed=choice(1,2)"],
        ["sweep", "faults", "seed=choice(1,2)", "data.part=1", "model.bug_between=5"],
    )
    assert unreadable[0] == 2
    assert unreadable[2].startswith("runback: data: faults.files: ")
    assert unreadable[2].count("\n") == 1
    assert buggy[0] == 1
    assert "return [].pop()" in buggy[2]
    assert project.runs() == []


@pytest.mark.slow
def test_tensorflow_without_memory_is_tried_again_alone(project):
    # It waits ten seconds for others to let go of memory, each time.
    own(project)
    done = project.run("sweep", "faults", "model.fault=range(14,17)")
    assert done.returncode == 0, done.stdout + done.stderr
    trial = study_of(project).trials[1]
    assert trial.user_attrs["failure"].startswith("out_of_memory: ")
    assert (trial.state, trial.user_attrs["attempts"]) == (TrialState.PRUNED, {"out_of_memory": 1})
