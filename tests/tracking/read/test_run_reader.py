"""Many runs at once: straight from the database and through MLflow, which must tell the same."""

import contextlib
import math
import sqlite3
from dataclasses import fields, replace

import numpy as np
import pytest

from runback.errors import InputError, StoreError
from runback.tracking.layout import Layout
from runback.tracking.read import store_reader
from runback.tracking.read.run_reader import open_reader
from runback.tracking.read.store_reader import StoreReader
from runback.tracking.write.run_writer import start_run


def begin(store, number, *, sweep="s", params=None, **tags):
    return start_run(
        store,
        experiment="digits",
        name=f"trial {number}",
        folder=store.layout.sweep(sweep) / f"{number} {len(tags)}",
        params=params or {},
        tags={
            "runback.sweep": sweep,
            "runback.kind": "train",
            "runback.trial": str(number),
            **{f"runback.{name}": value for name, value in tags.items()},
        },
        description="",
    )


@pytest.fixture
def sweep(store):
    """Record a sweep whose runs differ in whatever can differ; return those that count, by name."""
    whole = begin(store, 0, params={"optimizer.name": "sgd", "optimizer.momentum": 0.9})
    whole.log_epoch(1, {"loss": 2.0, "val_accuracy": 0.5})
    whole.log_epoch(2, {"loss": 1.0, "val_accuracy": 0.25})
    whole.log_metrics({"test_accuracy": 0.5})
    store.client.log_metric(whole.id, "system/cpu", 50.0, step=7)
    whole.finish("FINISHED")
    lost = begin(store, 1, params={"optimizer.name": "adam"})
    lost.finish("FAILED", "it was killed")
    again = begin(store, 1, params={"optimizer.name": "adam"}, retry_of=lost.id)
    again.log_epoch(1, {"loss": math.nan, "val_accuracy": 0.125})
    again.finish("KILLED", "pruned after epoch 1")
    running = begin(store, 2)
    deleted = begin(store, 3)
    store.client.delete_run(deleted.id)
    begin(store, 0, sweep="another")
    begin(store, 0, kind="sweep")
    return {
        "whole": whole.id,
        "again": again.id,
        "running": running.id,
        "lost": lost.id,
        "deleted": deleted.id,
    }


@pytest.fixture(params=["database", "mlflow"])
def reader(request, store):
    if request.param == "mlflow":
        yield StoreReader(store)
    else:
        with open_reader(store.layout) as found:
            yield found


def test_a_sweeps_runs_are_one_a_trial_without_deleted_ones(reader, sweep):
    assert set(reader.of_sweep("s")) == {sweep["whole"], sweep["again"], sweep["running"]}
    assert reader.of_sweep("none") == []


def test_what_a_run_has_is_in_its_place_and_the_rest_is_none(reader, sweep):
    runs = reader.runs([sweep["again"], sweep["whole"], sweep["running"]])
    assert runs.ids == [sweep["again"], sweep["whole"], sweep["running"]]
    assert runs.statuses == ["KILLED", "FINISHED", "RUNNING"]
    assert runs.params == {"optimizer.name": ["adam", "sgd", None], "optimizer.momentum": [None, "0.9", None]}
    assert runs.param("no.such") == [None, None, None]
    assert runs.tag("runback.reason") == ["pruned after epoch 1", None, None]
    assert runs.epochs == [1, 2, None]
    assert runs.metrics["val_accuracy"] == [0.125, 0.25, None]
    assert runs.metrics["test_accuracy"] == [None, 0.5, None]
    assert math.isnan(runs.metrics["loss"][0])
    assert [end is None for end in runs.ends] == [False, False, True]


def test_curves_hold_each_epoch_and_neither_the_machine_nor_the_test(reader, sweep):
    curves = reader.curves([sweep["again"], sweep["running"], sweep["whole"]])
    assert curves.runs.tolist() == [0, 2, 2]
    assert curves.epochs.tolist() == [1, 1, 2]
    assert set(curves.metrics) == {"loss", "val_accuracy"}
    np.testing.assert_array_equal(curves.metrics["loss"], [math.nan, 2.0, 1.0])
    np.testing.assert_array_equal(curves.metrics["val_accuracy"], [0.125, 0.5, 0.25])
    assert reader.curves([sweep["running"]]).metrics == {}


def test_a_run_is_found_by_the_beginning_of_its_id(reader, sweep):
    assert reader.find(f" {sweep['whole'][:8].upper()}") == sweep["whole"]
    with pytest.raises(InputError, match="no run '0123456789'"):
        reader.find("0123456789")
    with pytest.raises(InputError, match=f"run {sweep['deleted']} was deleted: restore it with `"):
        reader.find(sweep["deleted"])
    with pytest.raises(InputError, match="a run is named by its ID"):
        reader.find("ab%")


def test_both_ways_tell_the_same(store, sweep):
    with open_reader(store.layout) as database:
        through = StoreReader(store)
        ids = database.of_sweep("s")
        ours, theirs = database.runs(ids), through.runs(ids)
    for field in fields(ours):
        if field.name != "metrics":
            assert getattr(ours, field.name) == getattr(theirs, field.name), field.name
    assert repr(sorted(ours.metrics.items())) == repr(sorted(theirs.metrics.items()))


def test_of_two_values_for_an_epoch_the_later_counts(reader, sweep, store):
    store.client.log_metric(sweep["whole"], "loss", 9.0, step=2, timestamp=2_000_000_000_000)
    assert reader.curves([sweep["whole"]]).metrics["loss"].tolist() == [2.0, 9.0]


def test_reading_does_not_wait_for_a_writer(store, sweep):
    with (
        contextlib.closing(sqlite3.connect(store.layout.database, isolation_level=None)) as writer,
        open_reader(store.layout) as reader,
    ):
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE runs SET status = 'FAILED'")
        assert reader.runs([sweep["whole"]]).statuses == ["FINISHED"]
        writer.execute("ROLLBACK")


def test_a_store_without_a_database_has_no_runs(tmp_path):
    layout = Layout(tmp_path)
    with (
        pytest.raises(InputError, match=r"no runs yet: mlruns/mlflow\.db does not exist"),
        open_reader(layout),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_database_is_told(store):
    layout = replace(store.layout, root=store.layout.root / "other")
    layout.mlruns.mkdir(parents=True)
    layout.database.write_bytes(b"no database at all, but longer than the header of one" * 100)
    with pytest.raises(StoreError, match="damaged or no SQLite database"), open_reader(layout) as reader:
        reader.of_sweep("s")


FORGED = (
    ("UPDATE latest_metrics SET value = ?", "many"),
    ("UPDATE latest_metrics SET step = ?", 2**62),
    ("UPDATE latest_metrics SET step = ?", "x"),
    ("UPDATE params SET value = ?", b"x"),
    ("UPDATE tags SET value = ?", b"x"),
    ("UPDATE runs SET start_time = ?", 2**60),
    ("UPDATE runs SET end_time = ?", "soon"),
    ("UPDATE runs SET name = ?", b"x"),
    ("UPDATE runs SET artifact_uri = ?", b"x"),
    ("UPDATE metrics SET value = ?", b"x"),
    ("UPDATE metrics SET step = step + ?", 2**62),
)


@pytest.mark.parametrize(("change", "value"), FORGED)
def test_what_mlflow_never_puts_in_a_column_is_told(store, sweep, change, value):
    with contextlib.closing(sqlite3.connect(store.layout.database)) as connection, connection:
        connection.execute(change, [value])
    with open_reader(store.layout) as reader:
        read = reader.curves if "UPDATE metrics" in change else reader.runs
        with pytest.raises(StoreError, match=r"mlflow.db is damaged: expected a"):
            read([sweep["whole"]])


def test_more_points_than_one_call_returns_are_asked_for_in_parts(store, sweep, monkeypatch):
    ids = [sweep[name] for name in ("whole", "again", "running")]
    whole = StoreReader(store).curves(ids)
    monkeypatch.setattr(store_reader, "HISTORY_LIMIT", 1)
    monkeypatch.setattr(store_reader, "HISTORY_RUNS", 2)
    parts = StoreReader(store).curves(ids)
    assert parts.runs.tolist() == whole.runs.tolist() == [0, 0, 1]
    assert parts.metrics.keys() == whole.metrics.keys() == {"loss", "val_accuracy"}
    for name, values in whole.metrics.items():
        np.testing.assert_array_equal(parts.metrics[name], values)


def test_a_run_that_is_named_twice_and_by_its_beginning_has_its_curves_at_each_place(store, sweep):
    whole = sweep["whole"]
    once = StoreReader(store).curves([whole])
    more = StoreReader(store).curves([whole, whole[:8], sweep["running"], whole])
    for position in (0, 1, 3):
        chosen = more.runs == position
        assert (more.epochs[chosen] == once.epochs).all()
        for name, values in once.metrics.items():
            np.testing.assert_array_equal(more.metrics[name][chosen], values)


def test_many_runs_are_searched_for_at_once(store, sweep, monkeypatch):
    searches = []
    search = store.client.search_runs
    monkeypatch.setattr(store.client, "search_runs", lambda *a, **k: searches.append(a) or search(*a, **k))
    names = ("whole", "again", "running", "lost")
    runs = StoreReader(store).runs([sweep[name] for name in names])
    assert runs.ids == [sweep[name] for name in names]
    assert len(searches) == 1
    with pytest.raises(InputError):
        StoreReader(store).runs([sweep["whole"], sweep["running"], sweep["deleted"]])
