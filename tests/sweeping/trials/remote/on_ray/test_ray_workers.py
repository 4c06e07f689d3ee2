"""Workers on Ray whose actor, node or memory goes; clusters that are not there, or have no room."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from runback.errors import InputError, TrainingError
from runback.sweeping import report
from runback.sweeping.trials import messages
from runback.sweeping.trials.engines.engine import Ended, MessageReceived
from runback.sweeping.trials.remote.on_ray import ray_workers
from runback.sweeping.trials.remote.on_ray.ray_settings import RaySettings
from runback.sweeping.trials.remote.on_ray.ray_workers import RayWorkers
from runback.sweeping.trials.remote.remote_engine import RemoteEngine
from runback.sweeping.trials.trial import Trial

pytestmark = pytest.mark.timeout(600)


def endless(folder):
    (folder / "pid").write_text(str(os.getpid()))
    step = 0
    while True:
        time.sleep(0.05)
        step += 1
        report(0.0, step)


def trial(folder, number, task):
    return Trial.of(task, number=number, sweep="s", folder=folder, threads=1, parent=None)


@contextlib.contextmanager
def engine_on(tmp_path, settings, n=1, environment=None):
    meeting = tmp_path / "meeting"
    meeting.mkdir(exist_ok=True)
    workers = RayWorkers(settings)
    with contextlib.closing(RemoteEngine(workers, meeting, n, environment=environment)) as engine:
        yield engine


def until(engine, happened, seconds=120):
    """Answer what comes, until something that has happened; return that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for event in engine.events(0.1):
            if is_report(event):
                engine.answer(event.number, messages.Answer.GO_ON)
            if happened(event):
                return event
    raise TimeoutError


def is_report(event):
    return isinstance(event, MessageReceived) and isinstance(event.message, messages.Report)


def is_end(event):
    return isinstance(event, Ended)


def begun(tmp_path, engine, number=0):
    folder = tmp_path / str(number)
    folder.mkdir(exist_ok=True)
    engine.start(trial(folder, number, partial(endless, folder)))
    until(engine, is_report)
    return psutil.Process(int((folder / "pid").read_text()))


def worker_of(process):
    """Return the worker that a trial's process belongs to."""
    return next(one for one in process.parents() if "ray_worker" in " ".join(one.cmdline()))


def gone(processes, seconds=20):
    return not psutil.wait_procs(processes, timeout=seconds)[1]


def test_where_an_actor_is_killed_its_worker_goes_with_its_trial_and_another_one_comes(tmp_path, ray_cluster):
    with engine_on(tmp_path, RaySettings(address=ray_cluster.address)) as engine:
        process = begun(tmp_path, engine)
        worker = worker_of(process)
        actor = worker.parent()
        actor.kill()
        assert gone([worker, process])
        failed = until(engine, is_end).outcome
        assert (failed.kind, failed.reason[:39]) == ("lost", "its Ray actor was killed, or died (work")
        other = begun(tmp_path, engine, 1)
        left = [other, worker_of(other), worker_of(other).parent()]
        # The same for the worker itself; its actor sees to it that nothing stays.
        worker_of(other).kill()
        failed = until(engine, is_end).outcome
        assert failed.kind == "lost"
        assert "exit code -9" in failed.reason
        assert gone([other])
    assert gone(left)


def test_what_is_asked_for_and_cannot_be_is_one_line(monkeypatch):
    with pytest.raises(InputError, match=r"and this machine has [0-9]+ cores: name a cluster with"):
        RayWorkers(RaySettings(cpus_per_trial=10_000))
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"^the engine ray needs Ray: pip install 'runback\[ray\]'$"):
        RayWorkers(RaySettings())


def test_nothing_imports_ray_in_the_coordinators_process():
    modules = "runback.sweeping.optimize, runback.sweeping.trials.remote.on_ray.ray_workers"
    subprocess.run(
        [sys.executable, "-c", f"import sys, {modules}; sys.exit('ray' in sys.modules)"], check=True
    )


@pytest.mark.slow
@pytest.mark.parametrize("address", ["127.0.0.1:9", "nowhere.invalid:6379", "auto"])
def test_a_cluster_that_is_not_there_is_one_line(address, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with pytest.raises(InputError) as raised:
        RayWorkers(RaySettings(address=address))
    assert str(raised.value).startswith(f"no Ray cluster at {address}: ")
    assert "\n" not in str(raised.value)


OTHER_VERSION = """
import json, sys, ray
from ray._private import ray_constants
ray.init(sys.argv[1], logging_level="ERROR")
from ray.experimental.internal_kv import _internal_kv_get, _internal_kv_put
metadata = json.loads(_internal_kv_get(b"CLUSTER_METADATA", namespace=b"cluster"))
metadata["ray_version"] = "2.9.3"
_internal_kv_put(b"CLUSTER_METADATA", json.dumps(metadata).encode(), overwrite=True, namespace=b"cluster")
"""


@pytest.mark.slow
def test_a_cluster_of_another_version_is_one_line(ray_nodes):
    cluster = ray_nodes({"CPU": 1})
    subprocess.run([sys.executable, "-c", OTHER_VERSION, cluster.address], check=True)
    with pytest.raises(InputError, match=r"^Version mismatch: .*Ray: 2\.9\.3.* Python: .*") as raised:
        RayWorkers(RaySettings(address=cluster.address))
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_a_worker_that_ray_kills_for_its_nodes_memory_is_out_of_memory(tmp_path, ray_nodes):
    cluster = ray_nodes({"CPU": 1}, RAY_memory_usage_threshold="0.001", RAY_memory_monitor_refresh_ms="8000")
    workers = RayWorkers(RaySettings(address=cluster.address))
    try:
        workers.start(tmp_path, 1)
        deadline = time.monotonic() + 60
        while not workers._fates and time.monotonic() < deadline:
            workers.check(is_any_there=False)
            time.sleep(0.1)
        [(name, fate)] = workers._fates.items()
        assert fate.kind == "out_of_memory"
        assert fate.reason == f"Ray killed its worker: its node ran low on memory (worker {name})"
    finally:
        workers.close()


@pytest.mark.slow
def test_a_worker_for_which_no_node_has_room_is_said_once_and_comes_with_a_node(tmp_path, ray_nodes, capsys):
    cluster = ray_nodes({"CPU": 1})
    settings = RaySettings(address=cluster.address, resources={"special": 1}, memory_gb=0.01)
    with engine_on(tmp_path, settings) as engine:
        deadline = time.monotonic() + 40
        while "warning" not in (said := capsys.readouterr().out) and time.monotonic() < deadline:
            engine.events(0.5)
        assert (
            said.count("no node of the Ray cluster has 1 CPU, 1 special, 0.01 GiB of memory for a worker")
            == 1
        )
        for _ in range(30):
            engine.events(0.5)
        assert capsys.readouterr().out == ""
        cluster.order(add={"CPU": 1, "special": 1})
        begun(tmp_path, engine)


@pytest.mark.slow
def test_a_sweep_ends_where_no_node_comes_that_has_room(tmp_path, ray_cluster, monkeypatch):
    monkeypatch.setattr(ray_workers, "ROOM", 3.0)
    settings = RaySettings(address=ray_cluster.address, gpus_per_trial=4)
    with (
        engine_on(tmp_path, settings) as engine,
        pytest.raises(TrainingError, match=r"^no node of the Ray cluster has 1 CPU, 4 GPU for a worker$"),
    ):
        until(engine, is_end)


@pytest.mark.slow
def test_a_cluster_whose_program_here_is_killed_is_started_again(tmp_path):
    with engine_on(tmp_path, RaySettings()) as engine:
        process = begun(tmp_path, engine)
        driver = engine._workers._driver.pid
        before = psutil.Process(driver).children(recursive=True)
        os.kill(driver, signal.SIGKILL)
        failed = until(engine, is_end).outcome
        assert (failed.kind, failed.reason) == ("lost", "the program that talks to Ray was killed")
        assert gone([process, *before])
        other = begun(tmp_path, engine, 1)
        after = psutil.Process(engine._workers._driver.pid).children(recursive=True)
        temporary = engine._workers._temporary
    assert gone([other, *after])
    assert not Path(temporary).exists()


@pytest.mark.slow
def test_two_clusters_of_their_own_run_at_once_and_let_nobody_in(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with (
        engine_on(tmp_path / "a", RaySettings(cpus_per_trial=0.5)) as one,
        engine_on(tmp_path / "b", RaySettings(cpus_per_trial=0.5)) as other,
    ):
        begun(tmp_path / "a", one)
        begun(tmp_path / "b", other)
        servers = [
            process
            for process in psutil.Process(one._workers._driver.pid).children()
            if "gcs_server" in process.name()
        ]
        [port] = {
            connection.laddr.port
            for connection in servers[0].net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
        code = f"import ray; ray.init('127.0.0.1:{port}', logging_level='ERROR')"
        stranger = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
        )
        assert stranger.returncode != 0
        assert "nauthenticat" in stranger.stderr or "auth" in stranger.stderr.lower()


def secret(folder):
    return float(os.environ["OWN_PASSWORD"] == "pass" + "word-7f3a" and "RAY_JOB_ID" not in os.environ)


@pytest.mark.slow
def test_the_variables_of_the_coordinator_reach_its_trials_and_not_ray(tmp_path, ray_nodes):
    cluster = ray_nodes({"CPU": 1})
    variables = {"OWN_PASSWORD": "password-7f3a"}
    with engine_on(tmp_path, RaySettings(address=cluster.address), environment=variables) as engine:
        (tmp_path / "0").mkdir()
        engine.start(trial(tmp_path / "0", 0, partial(secret, tmp_path)))
        assert until(engine, is_end).outcome == messages.Completed((1.0,))
        token = engine._token
    for file in [*cluster.folder.rglob("*"), *tmp_path.rglob("*")]:
        if file.is_file():
            content = file.read_bytes()
            assert b"password-7f3a" not in content
            assert token.encode() not in content


def test_more_and_fewer_workers_are_kept_as_the_sweep_is_changed(tmp_path, ray_cluster):
    with engine_on(tmp_path, RaySettings(address=ray_cluster.address, cpus_per_trial=0.1)) as engine:
        begun(tmp_path, engine)
        assert not engine.is_ready
        engine.resize(2)
        (tmp_path / "1").mkdir()
        engine.start(trial(tmp_path / "1", 1, partial(endless, tmp_path / "1")))
        until(engine, lambda event: is_report(event) and event.number == 1)
        other = psutil.Process(int((tmp_path / "1" / "pid").read_text()))
        engine.resize(1)
        engine.kill(1)
        until(engine, is_end)
        engine.events(0.5)
        assert gone([other])
        deadline = time.monotonic() + 60
        while len(engine._present) > 1 and time.monotonic() < deadline:
            engine.events(0.2)
        for _ in range(20):  # nobody comes in its place
            engine.events(0.2)
        assert len(engine._present) == 1
