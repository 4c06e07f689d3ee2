import dataclasses
import shutil

import pytest

from runback.system.files.folder_lock import alone_in
from runback.tracking.read.find_runs import find_run, reason_of
from runback.tracking.tags import FOLDER_TAG
from runback.tracking.upkeep.dead_runs import close, folder_of, running
from runback.tracking.write.run_writer import start_run


@pytest.fixture
def start(store):
    """Starts runs of which nothing but the record is left, as of a killed process."""

    def start(name, **tags):
        folder = store.layout.mlruns / name
        facts = {"params": {}, "description": "A run."}
        own = {FOLDER_TAG: name, **{key.replace("_", "."): value for key, value in tags.items()}}
        return start_run(store, experiment="digits", name=name, folder=folder, tags=own, **facts)

    return start


def ids(runs):
    return [run.info.run_id for run in runs]


def test_a_run_is_attended_as_long_as_its_process_holds_its_folder(store, start):
    run = start("runs/one")
    with alone_in(store.layout.runs / "one", "one"):
        assert ids(running(store).attended) == [run.id]
        assert not close(store, find_run(store, run.id))
    assert ids(running(store).unattended) == [run.id]


def test_a_trial_is_attended_as_long_as_its_sweep_is(store, start):
    run = start("sweeps/quick/3", runback_sweep="quick")
    with alone_in(store.layout.sweeps / "quick", "quick"):
        assert ids(running(store).attended) == [run.id]
    assert ids(running(store).unattended) == [run.id]


def test_a_closed_run_says_why_and_is_closed_once(store, start):
    run = start("runs/one")
    found = find_run(store, run.id)
    assert close(store, found)
    closed = find_run(store, run.id)
    assert (closed.info.status, reason_of(closed)) == ("KILLED", "its process is gone")
    assert not close(store, found)
    assert running(store).unattended == []


def test_a_run_whose_folder_is_gone_has_no_process(store, start):
    run = start("runs/one")
    shutil.rmtree(store.layout.runs / "one")
    [found] = running(store).unattended
    assert close(store, found)
    assert not (store.layout.runs / "one").exists()
    assert find_run(store, run.id).info.status == "KILLED"


def test_a_run_whose_end_may_wait_to_be_delivered_is_not_taken_for_dead(store, start):
    run = start("runs/one")
    outbox = store.layout.runs / "one" / "outbox"
    assert ids(running(store).unattended) == [run.id]
    (outbox / "1-end.json").touch()
    found = running(store)
    assert (ids(found.waiting), found.unattended) == ([run.id], [])


def test_other_programs_runs_are_left_alone(store):
    number = store.client.create_experiment("others")
    other = store.client.create_run(number)
    assert ids(running(store).unknown) == [other.info.run_id]


@pytest.mark.parametrize("tag", ["../../somewhere", "/etc", ""])
def test_a_tag_that_leads_out_of_mlruns_names_no_folder(store, start, tag):
    run = start("runs/one")
    store.client.set_tag(run.id, FOLDER_TAG, tag)
    assert folder_of(store, find_run(store, run.id)) is None
    assert ids(running(store).unknown) == [run.id]


def test_on_a_server_another_machines_sweep_of_the_same_name_is_left_alone(store, start):
    mine = start("sweeps/quick/0", runback_sweep="quick")
    single = start("runs/here")
    others = start("sweeps/quick/1", runback_sweep="quick")
    elsewhere = start("runs/there")
    shutil.rmtree(store.layout.runs / "there")
    server = dataclasses.replace(store, uri="http://127.0.0.1:9")
    found = running(server, {mine.id})
    assert sorted(ids(found.unattended)) == sorted([mine.id, single.id])
    assert sorted(ids(found.unknown)) == sorted([others.id, elsewhere.id])
