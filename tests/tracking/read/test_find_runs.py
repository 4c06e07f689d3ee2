import os
import sqlite3

import pytest

from runback.errors import InputError, StoreError
from runback.tracking.read.find_runs import (
    artifact_files,
    artifacts,
    close_runs,
    download,
    find_run,
    read_text,
    reason_of,
)
from runback.tracking.write.run_writer import start_run


def _start(store, name, **tags):
    return start_run(
        store,
        experiment="digits",
        name=name,
        folder=store.layout.runs / name,
        params={},
        tags=tags,
        description="",
    )


def test_a_run_is_found_by_its_id_and_by_the_beginning_of_it(store, run):
    assert find_run(store, run.id).info.run_id == run.id
    assert find_run(store, run.id[:6]).info.run_id == run.id
    assert find_run(store, f" {run.id[:10].upper()}\n").info.run_id == run.id


@pytest.mark.parametrize("given", ["", "abc", "%%%%%%", "______", "a' OR 1=1", "../../x"])
def test_what_cannot_be_an_id_is_refused(store, run, given):
    with pytest.raises(InputError, match="a run is named by its ID, or the first 6 or more characters"):
        find_run(store, given)


def test_an_unknown_id_is_told(store, run):
    with pytest.raises(InputError, match="no run '0123456789'"):
        find_run(store, "0123456789")


def test_a_beginning_that_several_ids_share_is_told(store, run, tmp_path):

    other = _start(store, "other")
    connection = sqlite3.connect(store.layout.database)
    with connection:
        connection.execute("UPDATE runs SET run_uuid = ? WHERE run_uuid = ?", (run.id[:31] + "x", other.id))
    connection.close()
    with pytest.raises(InputError, match="2 runs' IDs begin with"):
        find_run(store, run.id[:8])


def test_artifacts_are_read_and_a_missing_one_is_named(store, run):
    run.log_text("a: 1", "config.yaml")
    run.log_text("x", "code/diff.patch")
    assert read_text(store, run.id, "config.yaml") == "a: 1"
    assert download(store, run.id, "code/diff.patch").read_text() == "x"
    for missing in ("model.keras", "code/model.keras", "nowhere/at/all.txt"):
        with pytest.raises(InputError, match=f"has no artifact '{missing}'"):
            read_text(store, run.id, missing)


def test_only_the_running_runs_with_all_the_tags_are_closed(store):
    dead = _start(store, "dead", sweep="it's", trial="3")
    other_trial = _start(store, "other", sweep="it's", trial="4")
    done = _start(store, "done", sweep="it's", trial="3")
    done.finish("FINISHED")
    closed = close_runs(
        store, tags={"sweep": "it's", "trial": "3"}, status="FAILED", reason="killed: SIGKILL"
    )
    assert closed == [dead.id]
    assert find_run(store, dead.id).info.status == "FAILED"
    assert reason_of(find_run(store, dead.id)) == "killed: SIGKILL"
    assert find_run(store, other_trial.id).info.status == "RUNNING"
    assert find_run(store, done.id).info.status == "FINISHED"
    assert reason_of(find_run(store, done.id)) is None


@pytest.mark.parametrize(
    "location", ["{run}/%2e%2e/secret", "file://{run}/%252e%252e/secret", "{run}/../secret"]
)
def test_what_lies_elsewhere_by_its_location_is_not_read(store, run, location):
    place = store.layout.mlruns.parent / "secret"
    location = location.replace("/..", "/../../../..").replace("/%2e%2e", "/%2e%2e" * 4)
    place.mkdir()
    (place / "config.yaml").write_text("secret")
    location = location.replace("/%252e%252e", "/%252e%252e" * 4).format(
        run=store.layout.artifacts / "x" / "y"
    )
    with sqlite3.connect(store.layout.database) as connection:
        connection.execute("UPDATE runs SET artifact_uri = ?", [location])
    connection.close()
    for read in (artifacts, artifact_files):
        with pytest.raises(InputError, match="must lie in"):
            read(store, run.id)
    with pytest.raises(InputError, match="must lie in"):
        read_text(store, run.id, "config.yaml")


def test_a_model_that_is_said_to_lie_elsewhere_is_not_read_as_artifacts_of_its_run(store, run):
    place = store.layout.mlruns.parent / "secret"
    place.mkdir()
    (place / "environment.json").write_text("secret")
    experiment = store.client.get_run(run.id).info.experiment_id
    store.client.create_logged_model(experiment, "record", source_run_id=run.id)
    with sqlite3.connect(store.layout.database) as connection:
        connection.execute("UPDATE logged_models SET artifact_location = ?", [place.as_uri()])
    connection.close()
    assert artifact_files(store, run.id) == []
    assert artifacts(store, run.id, "record") == []
    with pytest.raises(InputError, match="has no artifact"):
        read_text(store, run.id, "record/environment.json")


def test_a_pipe_in_the_place_of_an_artifact_is_told_at_once(store, run):
    run.log_text("a: 1", "config.yaml")
    file = download(store, run.id, "config.yaml")
    file.unlink()
    os.mkfifo(file)
    for read in (download, read_text):
        with pytest.raises(
            StoreError, match=f"cannot read config.yaml of run {run.id}: it is no ordinary file"
        ):
            read(store, run.id, "config.yaml")


def test_links_among_artifacts_are_not_gone_into(store, run):
    run.log_text("a: 1", "config.yaml")
    (download(store, run.id, "config.yaml").parent / "again").symlink_to(".")
    assert artifact_files(store, run.id) == ["again", "config.yaml"]
