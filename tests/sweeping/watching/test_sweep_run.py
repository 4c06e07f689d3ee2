"""A sweep's run whose coordinator was killed: what the next one writes of its trials, in a real store."""

import contextlib
import shutil
import subprocess
import sys

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from runback.errors import InputError, StoreAway
from runback.sweeping.space.search_identity import Search
from runback.sweeping.space.search_space import Space
from runback.sweeping.study.attributes import ENDED_BY, FAILURE
from runback.sweeping.study.study_store import close_study, keep_names, open_study
from runback.sweeping.study.trial_label import trial_label
from runback.sweeping.sweep_settings import SweeperSettings
from runback.sweeping.trials import messages
from runback.sweeping.trials.events import PartEnded, TrialRecovered
from runback.sweeping.watching import sweep_run as module
from runback.sweeping.watching.sweep_run import SweepRun
from runback.tracking.layout import Layout
from runback.tracking.read.find_runs import last_metrics
from runback.tracking.store import open_store
from runback.tracking.tags import SWEEP_TAG
from runback.tracking.write.run_writer import start_run


@pytest.fixture
def opened(tmp_path, fresh_database, monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "RUNBACK_ROOT"):
        monkeypatch.delenv(name, raising=False)
    layout = Layout(tmp_path / "project")
    folder = layout.sweep("digits")
    folder.mkdir(parents=True)
    shutil.copy(fresh_database, layout.database)
    study = open_study(folder, "digits", Search(("maximize",), (), {}, {}))
    keep_names(study, ["val_accuracy"])
    sweep_run = begin(study, folder, layout)
    yield study, sweep_run, open_store(layout), folder
    close_study(study)


def begin(study, folder, layout, objective="val_accuracy"):
    settings = SweeperSettings(
        experiment="e",
        objective=objective,
        sampler={"_target_": "optuna.samplers.TPESampler"},
    )
    return SweepRun.open(study, folder.name, settings, Space((), ()), folder, [], layout)


def add_trial(study, store, folder, parent, *, value=None, state=None, **attributes):
    """Add an ended trial whose run is left RUNNING, and return that run's ID."""
    trial = create_trial(state=state, value=value, user_attrs=attributes)
    study.add_trial(trial)
    label = trial_label(study.trials[-1])
    tags = {SWEEP_TAG: "digits", **label.tags}
    run = start_run(
        store,
        experiment="e",
        name=label.name,
        folder=folder / label.folder,
        params={},
        tags=tags,
        description="",
        parent=parent,
    )
    run.close()
    return run.id


ENDS = {
    "done": (TrialState.COMPLETE, 0.5, {}, ("FINISHED", None, None)),
    "pruned": (TrialState.PRUNED, None, {}, ("KILLED", "pruned", None)),
    "stopped": (
        TrialState.FAIL,
        None,
        {FAILURE: "stopped: killed by somebody", ENDED_BY: "stopped"},
        ("KILLED", "killed by somebody", None),
    ),
    "code": (
        TrialState.FAIL,
        None,
        {FAILURE: "code: ValueError: no", ENDED_BY: "code"},
        ("FAILED", "ValueError: no", "code"),
    ),
    "diverged": (
        TrialState.PRUNED,
        None,
        {FAILURE: "diverged: the loss is nan", ENDED_BY: "diverged"},
        ("FAILED", "the loss is nan", "diverged"),
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_trials_run_that_was_left_running_ends_as_the_trial_did(opened, name):
    study, sweep_run, store, folder = opened
    state, value, attributes, expected = ENDS[name]
    run_id = add_trial(study, store, folder, sweep_run.id, state=state, value=value, **attributes)
    assert sweep_run.close_ended()
    sweep_run.flush()
    run = store.client.get_run(run_id)
    tags = run.data.tags
    assert (run.info.status, tags.get("runback.reason"), tags.get("runback.failure")) == expected


def test_the_best_value_is_logged_where_the_store_lacks_it_and_once(opened):
    study, sweep_run, store, _ = opened
    for value in (0.5, 0.75, 0.25):
        study.add_trial(create_trial(value=value))
    assert sweep_run.close_ended()
    sweep_run.run.deliver()
    assert last_metrics(store, sweep_run.id) == {"best_val_accuracy": 0.75}
    assert sweep_run.close_ended()
    sweep_run.run.deliver()
    [point] = store.client.get_metric_history(sweep_run.id, "best_val_accuracy")
    assert point.step == 3


def test_a_worse_value_that_was_logged_before_is_replaced(opened):
    study, sweep_run, store, _ = opened
    study.add_trial(create_trial(value=0.5))
    sweep_run.run.log_metrics({"best_val_accuracy": 0.5}, step=1)
    sweep_run.run.deliver()
    study.add_trial(create_trial(value=0.75))
    assert sweep_run.close_ended()
    sweep_run.run.deliver()
    assert last_metrics(store, sweep_run.id) == {"best_val_accuracy": 0.75}


def test_a_failed_trial_without_a_run_gets_one(opened):
    study, sweep_run, store, _ = opened
    failure = {FAILURE: "data: no images", ENDED_BY: "data"}
    study.add_trial(create_trial(state=TrialState.FAIL, user_attrs=failure))
    for _ in range(2):
        assert sweep_run.close_ended()
        sweep_run.flush()
        [run] = store.client.search_runs([sweep_run.run.experiment_id()], "tags.`runback.trial` = '0'")
        assert run.info.status == "FAILED"
        assert run.data.tags["runback.reason"] == "no images"
        assert run.data.tags["runback.failure"] == "data"


def test_a_trial_whose_process_still_runs_is_left_and_told_of(opened, monkeypatch, caplog):
    study, sweep_run, store, folder = opened
    run_id = add_trial(study, store, folder, sweep_run.id, state=TrialState.COMPLETE, value=0.5)
    monkeypatch.setattr(module, "LEAVING", 0.1)
    with held_by_another_process(folder / "0"):
        assert not sweep_run.close_ended()
    assert "its process still runs" in caplog.text
    sweep_run.flush()
    assert store.client.get_run(run_id).info.status == "RUNNING"
    assert sweep_run.close_ended()
    sweep_run.flush()
    assert store.client.get_run(run_id).info.status == "FINISHED"


@contextlib.contextmanager
def held_by_another_process(folder):
    code = "import sys; from pathlib import Path; from runback.system.files.folder_lock import alone_in\n"
    code += "with alone_in(Path(sys.argv[1]), 'a trial'): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield
        process.stdin.close()


def test_what_cannot_be_written_is_not_called_so(opened, monkeypatch, caplog):
    _, sweep_run, _, _ = opened

    def fail(self):
        raise StoreAway("it does not answer")

    monkeypatch.setattr(module._Tracked, "running_trials", fail)
    assert not sweep_run.close_ended()
    assert "it does not answer" in caplog.text


def test_a_deleted_experiment_is_refused_with_the_key_of_any_app(opened):
    _, sweep_run, store, folder = opened
    store.client.delete_experiment(sweep_run.run.experiment_id())
    study = optuna.create_study()
    with pytest.raises(InputError, match=r"with hydra\.sweeper\.experiment=NAME, restore it with `"):
        begin(study, folder.with_name("other"), store.layout)
    assert not study.user_attrs


def test_an_objective_is_found_by_the_name_that_it_is_stored_by(opened):
    _, _, store, folder = opened
    study = optuna.create_study(direction="maximize")
    keep_names(study, ["val/accuracy"])
    sweep_run = begin(study, folder.with_name("other"), store.layout, "val/accuracy")
    study.add_trial(create_trial(value=0.5))
    for _ in range(2):
        assert sweep_run._log_missing_best(sweep_run._tracked) is None
        sweep_run.run.deliver()
    assert last_metrics(store, sweep_run.id) == {"best_val_accuracy": 0.5}
    assert len(store.client.get_metric_history(sweep_run.id, "best_val_accuracy")) == 1


def test_a_run_whose_process_was_interrupted_while_it_paused_is_paused_and_then_pruned(opened):
    study, sweep_run, store, folder = opened
    run_id = add_trial(study, store, folder, sweep_run.id, state=TrialState.WAITING, paused_at=3, run_id="")
    store.client.set_tag(run_id, "runback.reason", "interrupted: stopped by SIGTERM")
    store.client.set_terminated(run_id, "KILLED")
    trial = study.get_trials()[0]
    trial.user_attrs["run_id"] = run_id
    ends = []
    for event in (PartEnded(trial, is_process_lost=True), TrialRecovered(trial, messages.Pruned())):
        sweep_run.observe(event)
        sweep_run.flush()
        run = store.client.get_run(run_id)
        ends.append((run.info.status, run.data.tags["runback.reason"]))
    assert ends == [("SCHEDULED", "paused after epoch 3"), ("KILLED", "pruned")]


def test_a_finished_run_stays_so_whatever_its_trial_came_to(opened):
    study, sweep_run, store, folder = opened
    run_id = add_trial(study, store, folder, sweep_run.id, state=TrialState.WAITING, paused_at=3)
    store.client.set_terminated(run_id, "FINISHED")
    trial = study.get_trials()[0]
    trial.user_attrs["run_id"] = run_id
    sweep_run.observe(PartEnded(trial, is_process_lost=True))
    sweep_run.flush()
    assert store.client.get_run(run_id).info.status == "FINISHED"
