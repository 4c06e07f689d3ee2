"""What SLURM is asked for, and what its silence means; with commands that stand for SLURM's."""

import os

import pytest

from runback.errors import InputError, TrainingError
from runback.sweeping.engine_settings import remote_settings
from runback.sweeping.trials.remote import slurm_jobs, slurm_workers
from runback.sweeping.trials.remote.slurm_jobs import WORKERS, SlurmSettings
from runback.sweeping.trials.remote.slurm_workers import SlurmWorkers


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Return a function that puts commands in the place of SLURM's, as shell scripts."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(slurm_jobs, "STARTING", 0.0)

    def put(**scripts):
        for name, script in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)

    return put


AWAY = "echo 'Unable to contact slurm controller' >&2; exit 1"


def test_a_time_limit_within_which_nobody_could_leave_is_refused():
    too_long = (
        r"^hydra.sweeper.engine.leave_seconds=120 must be less than the time limit, minutes=2 \(120 s\)$"
    )
    with pytest.raises(InputError, match=too_long):
        remote_settings({"name": "slurm", "minutes": 2, "leave_seconds": 120})


def test_no_second_array_is_submitted_where_nobody_knows_of_the_first(tmp_path, commands):
    commands(squeue=AWAY, sbatch="echo submitted >&2; exit 3")
    slurm_jobs.write_jobs(tmp_path, WORKERS, ["17"])
    with pytest.raises(InputError, match="SLURM's controller does not answer"):
        SlurmWorkers(SlurmSettings()).start(tmp_path, 2)


def test_memory_is_asked_for_in_whole_units(tmp_path, commands, monkeypatch):
    commands(squeue="exit 0", sbatch="exit 0")
    asked = {}
    monkeypatch.setattr(slurm_jobs, "submit", lambda *_, **given: asked.update(given) or "18")
    SlurmWorkers(SlurmSettings(memory_gb=1.5)).start(tmp_path, 1)
    assert asked["mem"] == "1536M"


def test_jobs_are_not_forgotten_that_nobody_has_cancelled(tmp_path, commands, capsys):
    commands(scancel=AWAY, squeue="echo RUNNING")
    slurm_jobs.write_jobs(tmp_path, WORKERS, ["17"])
    workers = SlurmWorkers(SlurmSettings())
    workers.start(tmp_path, 1)
    workers.close()
    assert "warning: SLURM does not answer: its jobs 17 may be left" in capsys.readouterr().out
    assert slurm_jobs.read_jobs(tmp_path, WORKERS) == ["17"]
    commands(
        scancel="echo 'scancel: error: Kill job error on job id 17: Invalid job id specified' >&2; exit 1"
    )
    workers.close()
    assert slurm_jobs.read_jobs(tmp_path, WORKERS) == []


def test_the_controller_is_not_asked_at_every_turn(tmp_path, commands):
    asked = tmp_path / "asked"
    commands(squeue=f"echo x >> {asked}; echo PENDING", scontrol=f"echo x >> {asked}; echo JobState=RUNNING")
    slurm_jobs.write_jobs(tmp_path, WORKERS, ["17"])
    workers = SlurmWorkers(SlurmSettings())
    workers.start(tmp_path, 1)
    for _ in range(20):
        workers.check(is_any_there=True)
        assert workers.fate("17_0.0") is None
    assert len(asked.read_text().splitlines()) == 4


@pytest.fixture
def two_workers(tmp_path, commands, monkeypatch):
    """Return two workers that run, and the numbers of those that are submitted in the place of others."""
    monkeypatch.setattr(slurm_workers, "CHECKING_AGAIN", 0.0)
    numbers = []
    monkeypatch.setattr(slurm_jobs, "submit", lambda *given, **_: numbers.append(len(given[2])) or "18")
    commands(squeue="echo RUNNING; echo RUNNING", scontrol="exit 0")
    slurm_jobs.write_jobs(tmp_path, WORKERS, ["17"])
    workers = SlurmWorkers(SlurmSettings())
    workers.start(tmp_path, 2)
    workers.check(is_any_there=True)
    assert numbers == []
    return workers, numbers


def test_another_worker_comes_in_the_place_of_one_that_has_ended(two_workers, commands):
    workers, numbers = two_workers
    commands(squeue="echo RUNNING", scontrol="echo JobId=18 ArrayTaskId=1 JobState=OUT_OF_MEMORY")
    workers.check(is_any_there=True)
    assert numbers == [1]


def test_none_comes_in_the_place_of_one_that_somebody_has_cancelled(two_workers, commands):
    workers, numbers = two_workers
    commands(squeue="echo RUNNING", scontrol="echo JobId=18 ArrayTaskId=0-0%2 JobState=CANCELLED")
    workers.check(is_any_there=True)
    workers.check(is_any_there=True)
    assert numbers == []
    commands(squeue="exit 0", scontrol="echo JobId=18 ArrayTaskId=0,1 JobState=CANCELLED")
    with pytest.raises(TrainingError, match="what they printed is in"):
        workers.check(is_any_there=False)


def test_workers_that_all_end_before_they_find_their_coordinator_end_the_sweep(
    two_workers, commands, tmp_path
):
    workers, numbers = two_workers
    commands(squeue="exit 0", scontrol="echo JobId=18 ArrayTaskId=0 JobState=FAILED")
    for _ in range(4):
        workers.check(is_any_there=False)
    with pytest.raises(TrainingError, match=f"what they printed is in {tmp_path}/slurm"):
        workers.check(is_any_there=False)
    assert numbers == [2] * 4


def test_a_number_of_workers_that_cannot_be_had_is_not_taken_over(two_workers, commands):
    workers, numbers = two_workers
    commands(squeue=AWAY)
    with pytest.raises(InputError, match="does not answer"):
        workers.start(workers._folder, 8)
    commands(squeue="echo RUNNING; echo RUNNING")
    workers.check(is_any_there=True)
    assert numbers == []
