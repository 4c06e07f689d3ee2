"""What doctor says of studies and of the runs of their trials."""

import sqlite3

import pytest
from optuna.trial import TrialState

from runback.housekeeping import store_checks as checks
from runback.housekeeping.leftovers import checkpoints
from runback.sweeping.space.search_identity import Search
from runback.sweeping.space.search_space import parse
from runback.sweeping.study.study_store import TrialEntry, close_study, open_study
from runback.tracking.read.find_runs import find_run
from runback.tracking.tags import FOLDER_TAG, SWEEP_TAG
from runback.tracking.write.run_writer import start_run


def trial(store, study, state, run_status, **attributes):
    """Put a trial into a study, with a run in MLflow, a folder and a checkpoint."""
    asked = study.ask()
    name = f"sweeps/{study.study_name}/{asked.number}"
    folder = store.layout.mlruns / name
    tags = {FOLDER_TAG: name, SWEEP_TAG: study.study_name}
    run = start_run(
        store, experiment="digits", name=name, folder=folder, tags=tags, params={}, description="A trial."
    )
    run.finish(*run_status)
    (folder / "checkpoint-00001-0000000.npz").write_bytes(b"state")
    entry = TrialEntry(study, study.get_trials(deepcopy=False)[asked.number])
    for key, value in {"run_id": run.id, "parts": [[asked.number, 0]], **attributes}.items():
        entry.note(key, value)
    if state == "paused":
        entry.note("paused_at", 1)
        entry.wait()
    else:
        study.tell(asked.number, 0.5 if state == "complete" else None, state=STATES[state])
    return run.id


STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "fail": TrialState.FAIL}


@pytest.fixture
def study(layout):
    folder = layout.sweeps / "quick"
    folder.mkdir(parents=True)
    space = parse({"x": "interval(0, 1)"}, [], None)
    made = open_study(folder, "quick", Search.of(space, ["maximize"], {}))
    yield made
    close_study(made)


def told(layout):
    return {one.name: one for one in checks.store_checks(layout)}


def study_line(layout):
    [line] = [one for name, one in told(layout).items() if name.endswith("study.db")]
    return line


@pytest.mark.parametrize("ended_by", ["diverged", "out_of_memory"])
def test_a_failed_trials_checkpoint_is_no_left_one_because_its_run_may_go_on(store, study, ended_by):
    trial(store, study, "complete", ("FINISHED",))
    failed = ("FAILED", f"{ended_by}: the loss is nan")
    trial(store, study, "pruned", failed, ended_by=ended_by, failure=f"{ended_by}: the loss is nan")
    line = study_line(store.layout)
    assert line.state == "warning"
    assert line.found == "1 ended trial with checkpoints (0)"
    assert [one.path.parent.name for one in checkpoints(store)] == ["0"]


def test_what_clean_removes_is_what_doctor_counts(store, study):
    trial(store, study, "complete", ("FINISHED",))
    trial(store, study, "pruned", ("KILLED", "pruned after epoch 1"))
    trial(store, study, "fail", ("FAILED", "code: x"), ended_by="code", failure="code: x")
    assert study_line(store.layout).found == "2 ended trials with checkpoints (0, 1)"
    for one in checkpoints(store):
        one.path.unlink()
    assert study_line(store.layout).state == "ok"


@pytest.mark.parametrize("damage", ["locked", "damaged", "of another sweep"])
def test_paused_runs_of_a_study_that_cannot_be_read_are_left_alone(store, study, damage):
    run = trial(store, study, "paused", ("SCHEDULED", "paused after epoch 1"))
    assert told(store.layout)["paused runs"].state == "ok"
    close_study(study)
    database = store.layout.sweeps / "quick" / "study.db"
    with sqlite3.connect(database, isolation_level=None) as other:
        if damage == "locked":
            other.execute("BEGIN EXCLUSIVE")
        elif damage == "damaged":
            database.write_bytes(b"no database" * 1000)
        else:
            other.execute("UPDATE studies SET study_name = 'other'")
        assert study_line(store.layout).state == "problem"
        assert "paused runs" not in told(store.layout)
    other.close()
    assert find_run(store, run).info.status == "SCHEDULED"


def test_paused_runs_of_a_sweep_that_is_gone_are_closed(store, study):
    run = trial(store, study, "paused", ("SCHEDULED", "paused after epoch 1"))
    close_study(study)
    (store.layout.sweeps / "quick" / "study.db").unlink()
    line = told(store.layout)["paused runs"]
    assert line.state == "problem"
    assert line.fix() == "1 run closed as KILLED"
    assert find_run(store, run).info.status == "KILLED"
