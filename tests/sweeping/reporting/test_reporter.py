"""The reporter with a real run in a real store, on studies as sweeps leave them."""

import logging
import shutil
import signal
import threading
import time

import pytest
from omegaconf import OmegaConf

from runback.errors import StoreError
from runback.sweeping.reporting import reporter as module
from runback.sweeping.reporting.follow_up_commands import AppCommands
from runback.sweeping.reporting.reporter import Reporter
from runback.sweeping.reporting.sweep_note import RunLinks
from runback.sweeping.space.search_identity import Search
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.study_store import close_study, open_study
from runback.sweeping.trials import messages
from runback.sweeping.trials.events import Idle, TrialEnded
from runback.tracking.layout import Layout
from runback.tracking.read.find_runs import artifacts, read_text
from runback.tracking.store import open_store
from runback.tracking.write.run_writer import start_run

DONE = messages.Completed((0.5,))


@pytest.fixture
def place(tmp_path, fresh_database, monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "RUNBACK_ROOT"):
        monkeypatch.delenv(name, raising=False)
    layout = Layout(tmp_path / "project")
    monkeypatch.setenv("RUNBACK_ROOT", str(layout.root))
    layout.mlruns.mkdir(parents=True)
    shutil.copy(fresh_database, layout.database)
    folder = layout.sweep("digits")
    folder.mkdir(parents=True)
    return open_store(layout), folder


@pytest.fixture
def make_reporter(place, make_study):
    store, folder = place
    opened = []

    def make(count):
        study = open_study(folder, "digits", Search(("maximize",), (), {}, {}))
        opened.append(study)
        study.add_trials(make_study(count).trials)
        run = start_run(
            store, experiment="e", name="digits", folder=folder, params={}, tags={}, description="begun"
        )
        hydra = {"overrides": {"hydra": [], "task": []}, "runtime": {"choices": {"sweeps": "digits"}}}
        config = OmegaConf.create({"hydra": {**hydra, "job": {"config_name": "train"}}})
        where = RunLinks(run.experiment_id(), run.id)
        made = Reporter(
            *(study, run, where, Budget(20, None, 2), config, folder),
            lambda params, about: f"# {about}\n",
            AppCommands(("runback", "train"), is_evaluated=True, overrides=lambda params: []),
        )
        return made, run

    yield make
    for study in opened:
        close_study(study)


def wait_for(condition):
    deadline = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def described(run):
    return run.store.client.get_run(run.id).data.tags["mlflow.note.content"]


@pytest.mark.slow
def test_a_sweep_ends_with_note_table_config_and_plots(make_reporter):
    reporter, run = make_reporter(8)
    with reporter.keeping():
        pass
    run.finish("FINISHED")
    assert {"report.html", "trials.csv", "best_config.yaml"} <= set(artifacts(run.store, run.id))
    assert len(run.store.client.list_artifacts(run.id, "plots")) == 7
    assert "/artifacts/report.html)" in described(run)
    assert "runback sweep digits hydra.sweeper.n_trials=20" in described(run)
    assert read_text(run.store, run.id, "best_config.yaml").startswith("# The best of sweep digits: trial ")
    assert not list(reporter.folder.glob(".drawing-*"))


def test_an_interrupted_sweep_has_a_report_and_stays_interrupted(make_reporter):
    reporter, run = make_reporter(2)  # too few for plots
    with pytest.raises(KeyboardInterrupt), reporter.keeping():
        raise KeyboardInterrupt
    assert reporter.is_written
    assert "trials.csv" in artifacts(run.store, run.id)
    assert "report.html" not in described(run)


@pytest.mark.parametrize("error", [OSError("no"), KeyboardInterrupt()])
def test_a_report_that_cannot_be_written_is_not_called_so(make_reporter, monkeypatch, error):
    reporter, run = make_reporter(2)

    def fail(*arguments):
        raise error

    monkeypatch.setattr(run, "log_text", fail)
    with reporter.keeping():
        pass
    assert not reporter.is_written


def test_while_trials_run_the_note_is_rewritten_now_and_then(make_reporter, monkeypatch):
    reporter, run = make_reporter(3)
    reporter.observe(TrialEnded(reporter.study.trials[0], DONE))
    assert described(run) == "begun"
    monkeypatch.setattr(module, "WRITE_SECONDS", 0.0)
    reporter.observe(TrialEnded(reporter.study.trials[0], DONE))
    wait_for(lambda: described(run) != "begun")
    monkeypatch.setattr(module, "WRITE_SECONDS", 600.0)
    first = described(run)
    reporter.study.add_trial(reporter.study.trials[0])
    reporter.observe(TrialEnded(reporter.study.trials[3], DONE))
    reporter.observe(Idle())
    assert described(run) == first
    monkeypatch.setattr(module, "WRITE_SECONDS", 0.0)
    reporter.observe(Idle())
    wait_for(lambda: described(run) != first)


@pytest.mark.slow
def test_while_trials_run_plots_are_drawn_beside_them(make_reporter, monkeypatch):
    monkeypatch.setattr(module, "DRAW_SECONDS", 0.0)
    reporter, run = make_reporter(8)
    reporter.observe(Idle())
    assert list(reporter.folder.glob(".drawing-*"))  # it has returned while they are drawn

    def is_drawn():
        reporter.observe(Idle())
        return "report.html" in artifacts(run.store, run.id)

    wait_for(is_drawn)
    reporter.observe(Idle())
    assert not list(reporter.folder.glob(".drawing-*"))  # the next one is not due


def test_a_report_that_fails_is_one_line_and_no_error(make_reporter, caplog, monkeypatch):
    reporter, run = make_reporter(3)

    def refuse(*_):
        raise StoreError("no room for https://me:hunter2@host")

    monkeypatch.setattr(run, "describe", refuse)
    monkeypatch.setattr(module, "WRITE_SECONDS", 0.0)
    with caplog.at_level(logging.WARNING), reporter.keeping():
        reporter.observe(TrialEnded(reporter.study.trials[0], DONE))
        reporter.observe(TrialEnded(reporter.study.trials[1], DONE))
        assert len(caplog.records) == 1
    assert "the sweep's report is not whole: StoreError: no room" in caplog.text
    assert "hunter2" not in caplog.text


def test_ctrl_c_while_the_last_plots_are_drawn_gives_them_up_and_no_more(make_reporter, caplog):
    reporter, run = make_reporter(8)
    timer = threading.Timer(1.0, signal.raise_signal, [signal.SIGINT])
    with caplog.at_level(logging.WARNING), reporter.keeping():
        timer.start()
    timer.join()
    assert "drawing was interrupted" in caplog.text
    assert "trials.csv" in artifacts(run.store, run.id)
    assert not list(reporter.folder.glob(".drawing-*"))
