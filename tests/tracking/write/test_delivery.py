"""What waits while a store is away, and how it gets there: real stores, dead and hanging addresses, kills."""

import os
import random
import signal
import socket
import subprocess
import sys
import time

import pytest
from matplotlib.figure import Figure
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import Model

from runback.errors import StoreAway, StoreError
from runback.tracking.read.find_runs import artifact_files, read_text
from runback.tracking.store import Store
from runback.tracking.upkeep.closing import Closing, DeadRuns
from runback.tracking.write.delivery import deliver_folder
from runback.tracking.write.outbox import Outbox
from runback.tracking.write.run_writer import REASON_TAG, RunWriter, reopen_run, start_run


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr("runback.tracking.write.run_writer.SERVER_FINISH", 0.2)


DEAD = "http://me:secret@127.0.0.1:9"


@pytest.fixture
def elsewhere(run):
    """The same run, as a process sees it whose store has another address."""
    seen = []

    def see(uri):
        seen.append(RunWriter(Store(uri, MlflowClient(uri), run.store.layout), run.id, _folder(run)))
        return seen[-1]

    yield see
    for one in seen:
        one.close()


def _folder(run):
    return run.store.layout.runs / "one"


def _record(run, status="FINISHED", reason=None):
    """Log something of every kind."""
    run.log_params({f"p{number}": number for number in range(120)})
    run.set_tags({"color": "red"})
    run.set_tags({"color": "blue"})
    for step in range(1, 31):
        run.log_epoch(step, {"loss": 1.0 / step, "accuracy": float("nan")})
        run.log_sample({"system/cpu": 1.0 * step})
    run.log_text("first", "record/note.txt")
    run.log_text("second", "record/note.txt")
    figure = Figure()
    figure.add_subplot().plot([1, 2])
    run.log_figure(figure, "curves.png")
    with run.logging_model() as folder:
        folder.mkdir()
        (folder / "weights.bin").write_bytes(bytes(300_000))
        Model(artifact_path="model", run_id=run.id).save(str(folder / "MLmodel"))
    run.finish(status, reason)


def _check_whole(run, status="FINISHED"):
    client = run.store.client
    found = client.get_run(run.id)
    assert found.info.status == status
    assert {f"p{number}": str(number) for number in range(120)}.items() <= found.data.params.items()
    assert found.data.tags["color"] == "blue"
    for name in ("loss", "accuracy", "system/cpu"):
        steps = [point.step for point in client.get_metric_history(run.id, name)]
        assert steps == list(range(0, 30) if name.startswith("system") else range(1, 31))
    assert artifact_files(run.store, run.id) == ["curves.png", "record/note.txt"]
    assert read_text(run.store, run.id, "record/note.txt") == "second"
    (logged,) = client.search_logged_models([found.info.experiment_id])
    (output,) = found.outputs.model_outputs
    assert (output.model_id, output.step, str(logged.status)) == (logged.model_id, 30, "READY")
    folder = logged.artifact_location.removeprefix("file://")
    assert os.path.getsize(f"{folder}/weights.bin") == 300_000  # noqa: PTH202
    described = Model.load(folder)
    assert (described.model_id, described.run_id) == (logged.model_id, run.id)


@pytest.fixture
def recorded(run, elsewhere, caplog):
    """A run all of which was recorded while its store was away."""
    _record(elsewhere(DEAD))
    (warning,) = caplog.messages
    assert "the store is away" in warning
    assert "secret" not in warning
    return run


def test_what_was_recorded_while_the_store_was_away_arrives_whole_and_once(recorded):
    before = int(time.time() * 1000)
    info = recorded.store.client.get_run(recorded.id).info
    assert (info.status, info.end_time) == ("RUNNING", None)
    time.sleep(0.1)
    for _ in range(2):
        assert deliver_folder(recorded.store, _folder(recorded)) == []
        _check_whole(recorded)
    assert recorded.store.client.get_run(recorded.id).info.end_time <= before
    assert sorted(path.name for path in _folder(recorded).iterdir()) == [
        *("metrics.jsonl", "run.json", "system.jsonl")
    ]


def test_nothing_that_waits_holds_a_password(recorded):
    files = [path for path in _folder(recorded).rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [path for path in files if b"secret" in path.read_bytes()] == []


DELIVERY = """
import os, random, signal, sys, time
from pathlib import Path
from runback.tracking.write.delivery import deliver_folder
from runback.tracking.layout import Layout
from runback.tracking.store import open_store

chance = random.Random(1)
layout = Layout(Path(sys.argv[1]))
for _ in range(15):
    child = os.fork()
    if child == 0:
        deliver_folder(open_store(layout), layout.runs / "one")
        os._exit(0)
    time.sleep(chance.uniform(0.0, 0.5))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def test_deliveries_that_are_killed_leave_nothing_double_and_nothing_out(recorded):
    # From 3.12 on Python warns of forks where libraries have started threads.
    python = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", DELIVERY]
    subprocess.run([*python, str(recorded.store.layout.root)], timeout=1200, check=True)
    deliver_folder(recorded.store, _folder(recorded))
    _check_whole(recorded)


@pytest.fixture
def hanging():
    """The address of a server that takes requests and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_no_epoch_waits_over_three_seconds_for_a_store_that_hangs(run, elsewhere, hanging, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    there = elsewhere(hanging)
    seconds = []
    for step in range(1, 6):
        started = time.monotonic()
        there.log_epoch(step, {"loss": 1.0 / step})
        seconds.append(time.monotonic() - started)
    assert max(seconds) < 3
    assert sum(sorted(seconds)[:-1]) < 1  # it is waited for once, not in every epoch
    there.finish("FINISHED")
    assert deliver_folder(run.store, _folder(run)) == []
    assert run.store.client.get_run(run.id).info.status == "FINISHED"
    assert len(run.store.client.get_metric_history(run.id, "loss")) == 5


def test_what_a_store_refuses_waits_and_keeps_nothing_else_from_it(run, caplog):
    run.log_params({"p0": "other"})
    _record(run, "KILLED", "pruned")
    assert [line.split(":")[0] for line in caplog.messages] == ["cannot store params"]
    found = run.store.client.get_run(run.id)
    assert (found.info.status, found.data.tags[REASON_TAG]) == ("KILLED", "pruned")
    assert len(run.store.client.get_metric_history(run.id, "loss")) == 30
    (trouble,) = deliver_folder(run.store, _folder(run))
    assert "Changing param values is not allowed" in str(trouble)


def test_a_run_goes_on_after_all_that_it_had_recorded(run, elsewhere):
    _record(elsewhere(DEAD), "KILLED", "interrupted: SIGTERM")
    again = reopen_run(run.store, run.id, _folder(run))
    _check_whole(run, "RUNNING")
    assert REASON_TAG not in run.store.client.get_run(run.id).data.tags
    again.log_epoch(30, {"loss": 1.0})
    again.log_epoch(31, {"loss": 0.5})
    again.finish("FINISHED")
    assert [p.step for p in run.store.client.get_metric_history(run.id, "loss")] == list(range(1, 32))


def test_the_run_of_a_process_that_is_gone_is_ended_and_delivered(run, elsewhere):
    there = elsewhere(DEAD)
    there.log_epoch(1, {"loss": 0.5})
    there.set_tags({"runback.trial": "1"})
    rounds = DeadRuns(run.store)
    rounds.close(_folder(run), run.id, Closing({"runback.trial": "1"}, "FAILED", "killed", "lost"))
    rounds.finish()
    found = run.store.client.get_run(run.id)
    assert (found.info.status, found.data.metrics) == ("FAILED", {"loss": 0.5})
    assert (found.data.tags[REASON_TAG], found.data.tags["runback.failure"]) == ("killed", "lost")


def test_the_end_of_a_run_whose_process_is_gone_waits_for_a_store_that_is_away(run, elsewhere):
    store = Store(DEAD, MlflowClient(DEAD), run.store.layout)
    elsewhere(DEAD).log_epoch(1, {"loss": 0.5})
    rounds = DeadRuns(store)
    started = time.monotonic()
    rounds.close(_folder(run), run.id, Closing({"runback.trial": "1"}, "FAILED", "killed", "lost"))
    assert time.monotonic() - started < 3
    deliver_folder(run.store, _folder(run))
    found = run.store.client.get_run(run.id)
    assert (found.info.status, found.data.tags["runback.failure"]) == ("FAILED", "lost")


def test_an_older_run_is_not_ended_again_for_a_process_that_had_not_begun_another(run):
    run.finish("FAILED", "first")
    ended_at = run.store.client.get_run(run.id).info.end_time
    (_folder(run) / "run.json").unlink()  # as a trial that is tried again leaves it until it has a run
    (_folder(run) / "outbox").mkdir()
    rounds = DeadRuns(run.store)
    rounds.close(_folder(run), run.id, Closing({"runback.trial": "1"}, "KILLED", "killed", "lost"))
    rounds.finish()
    found = run.store.client.get_run(run.id)
    assert (found.info.status, found.info.end_time) == ("FAILED", ended_at)
    assert found.data.tags[REASON_TAG] == "first"


def _start(store, folder, patience):
    facts = {"params": {"a": 1}, "tags": {"runback.trial": "0"}, "description": ""}
    return start_run(store, experiment="digits", name="r", folder=folder, patience=patience, **facts)


def test_a_store_that_is_away_at_the_start_is_waited_for_up_to_a_limit(store, tmp_path, caplog):
    away = Store(DEAD, MlflowClient(DEAD), store.layout)
    with pytest.raises(StoreAway, match="cannot store experiment 'digits'") as caught:
        _start(away, tmp_path / "r", 0)
    assert "waited" not in str(caught.value)
    assert caplog.messages == []
    with pytest.raises(StoreAway, match=r"\(waited 0 minutes for it\)"):
        _start(away, tmp_path / "r", 1)
    (warning,) = caplog.messages
    assert warning.startswith("waiting for the store: ")
    assert not (tmp_path / "r" / "outbox").exists()


def test_a_run_whose_creation_was_not_answered_is_not_created_twice(store, tmp_path, monkeypatch):
    create = store.client.create_run
    lost = []

    def create_then_lose_the_answer(*arguments):
        created = create(*arguments)
        if not lost:
            lost.append(created.info.run_id)
            raise MlflowException("the answer got lost")
        return created

    monkeypatch.setattr(store.client, "create_run", create_then_lose_the_answer)
    run = _start(store, tmp_path / "r", 30)
    assert [run.id] == lost
    assert run.store.client.get_run(run.id).data.params == {"a": "1"}


WAITING = """
import sys
from pathlib import Path
from mlflow import MlflowClient
from runback.system.stop_signals import stop_on_signals
from runback.tracking.layout import Layout
from runback.tracking.write.run_writer import start_run
from runback.tracking.store import Store

store = Store(sys.argv[2], MlflowClient(sys.argv[2]), Layout(Path(sys.argv[1])))
with stop_on_signals():
    start_run(
        store, experiment="e", name="r", folder=Path(sys.argv[1]) / "r", params={}, tags={}, description="",
        patience=600,
    )
"""


def test_a_process_that_waits_for_its_store_can_be_stopped(tmp_path):
    command = [sys.executable, "-c", WAITING, str(tmp_path), DEAD]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        line = process.stderr.readline()
        assert "waiting for the store" in line
        time.sleep(random.uniform(0, 1))  # noqa: S311 - in a call, or between two
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 1
        assert "runback.errors.Stopped: stopped by SIGTERM" in process.stderr.read()


def test_a_folder_that_does_not_say_whose_it_is_is_told(store, tmp_path):
    with pytest.raises(StoreError, match="does not say which run it belongs to"):
        deliver_folder(store, tmp_path)


DAMAGED = (
    ("params.json", "[" * 100_000),
    ("params.json", '{"p": {"q": 1}}'),
    ("tags.json", "[1]"),
    ("tags.json", '{"t": 1}'),
    ("tags.json", None),
    ("end.json", '{"status": 1}'),
    ("end.json", '{"status": "FINISHED", "ended_at": [], "reason": null}'),
    ("model", None),
)


@pytest.mark.parametrize(("name", "content"), DAMAGED)
def test_an_entry_that_is_damaged_waits_and_keeps_nothing_else_from_the_store(run, name, content):
    folder = _folder(run)
    outbox = Outbox(folder)
    entry = outbox.path / f"{1:020d}-{name}"
    if content is not None:
        entry.write_text(content)
    elif name == "model":
        entry.mkdir()
        os.mkfifo(entry / "about.json")
    else:
        os.mkfifo(entry)
    outbox.put("tags", {"after": "it"})
    (trouble,) = deliver_folder(run.store, folder)
    assert str(entry) in str(trouble)
    assert "is damaged" in str(trouble)
    assert run.store.client.get_run(run.id).data.tags["after"] == "it"
