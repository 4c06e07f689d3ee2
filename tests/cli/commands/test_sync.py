import shutil

import pytest

from runback.cli.commands import sync
from runback.errors import InputError
from runback.system.files.folder_lock import alone_in
from runback.tracking.layout import Layout
from runback.tracking.store import open_store
from runback.tracking.write.run_writer import start_run


@pytest.fixture
def layout(tmp_path, monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "RUNBACK_MLRUNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RUNBACK_ROOT", str(tmp_path))
    return Layout(tmp_path)


@pytest.fixture
def left(layout, fresh_database):
    """Runs of processes that are gone: what they had logged last is on the disk only."""
    layout.mlruns.mkdir()
    shutil.copy(fresh_database, layout.database)
    store = open_store(layout)
    runs = []
    for folder in (
        layout.runs / "single",
        layout.sweep("s"),
        layout.sweep("s") / "0",
        layout.sweep("s") / "1",
    ):
        run = start_run(store, experiment="e", name="r", folder=folder, params={}, tags={}, description="")
        (folder / "metrics.jsonl").write_text('{"step": 1, "time": 1.5, "metrics": {"loss": 0.5}}\n')
        runs.append(run.id)
    return store, runs


def _losses(store, runs):
    return [store.client.get_run(run).data.metrics.get("loss") for run in runs]


def test_all_that_waits_is_delivered_once(left, capsys):
    store, runs = left
    assert sync.main([]) == 0
    assert _losses(store, runs) == [0.5] * 4
    single, parent, *trials = [f"run {run} is stored whole" for run in runs]
    assert capsys.readouterr().out.splitlines() == [single, *trials, parent, "4 delivered"]
    assert sync.main([]) == 0
    assert capsys.readouterr().out == "nothing waits\n"


def test_one_sweep_or_one_run_is_delivered_by_its_name_or_folder(left, layout):
    store, runs = left
    assert sync.main([str(layout.runs / "single")]) == 0
    assert _losses(store, runs) == [0.5, None, None, None]
    assert sync.main([str(layout.sweep("s") / "1")]) == 0
    assert _losses(store, runs) == [0.5, None, None, 0.5]
    assert sync.main(["s"]) == 0
    assert _losses(store, runs) == [0.5] * 4


def test_a_run_whose_process_runs_is_left_alone(left, layout, capsys):
    store, runs = left
    with alone_in(layout.runs / "single", "it"):
        assert sync.main([]) == 1
    assert _losses(store, runs) == [None, 0.5, 0.5, 0.5]
    out = capsys.readouterr().out.splitlines()
    assert f"run {runs[0]} waits: run {runs[0]} is already running" in out[0]
    assert out[-1] == "3 delivered, 1 still waiting"


def test_a_server_that_is_away_is_told_and_everything_still_waits(left, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    assert sync.main([]) == 1
    out = capsys.readouterr().out
    assert out.startswith("the store is away: cannot use the store http://***@127.0.0.1:9")
    assert out.splitlines()[-1] == "0 delivered, 4 still waiting"
    assert "secret" not in out


def test_a_run_of_another_store_says_where_it_was_begun(
    left, layout, fresh_database, monkeypatch, tmp_path, capsys
):
    store, runs = left
    shutil.copy(fresh_database, tmp_path / "other.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    assert sync.main([str(layout.runs / "single")]) == 1
    assert f"(it was begun in {store})" in capsys.readouterr().out
    assert _losses(store, runs[:1]) == [None]


@pytest.mark.parametrize("named", ["nope", "/nowhere", "../elsewhere"])
def test_what_is_no_run_and_no_sweep_is_refused(layout, named):
    with pytest.raises(InputError, match="expected the folder of a run, or a sweep of"):
        sync.main([named])
