"""A study in PostgreSQL that coordinators and workers share, whoever is killed, the server too."""

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter

import psutil
import pytest

SCRIPT = """
import os, pathlib, time
import runback

@runback.task(objective="score", direction="maximize", check=True)
def train(run: runback.Run, *, x: float = 0.5, data: str = "data.txt", epochs: int = 4) -> float:
    run.data(data)
    for epoch in run.epochs(epochs):
        time.sleep(float(os.environ.get("PAUSE", "0.2")))
        run.log(score=x * epoch)
        run.checkpoint({"epoch": epoch})
    with open(os.environ["DONE"], "a") as file:
        file.write(f"{run.trial} {x}\\n")
    return run.best("score")

if __name__ == "__main__":
    train.main()
"""

LEASE = 5

RETRIES = "hydra.sweeper.retries={lost: 100}"


@pytest.fixture
def server(postgres):
    return postgres


class Machines:
    """Clones of one project, each with an mlruns/ of its own, as on machines of their own."""

    def __init__(self, folder, server, database):
        self.folder, self.server, self.url = folder, server, server.url(database)
        self.done = folder / "done"
        self.done.touch()
        self.origin = folder / "origin"
        self.origin.mkdir()
        (self.origin / "train.py").write_text(SCRIPT)
        (self.origin / "data.txt").write_text("1 2 3")
        (self.origin / "pyproject.toml").write_text("[tool.runback]\n")
        (self.origin / ".gitignore").write_text("mlruns/\n__pycache__/\n")
        self.git("init", "-q")
        self.commit()
        self.processes = []

    def git(self, *words):
        me = ("-c", "user.name=me", "-c", "user.email=me@localhost")
        subprocess.run(["git", *me, *words], cwd=self.origin, check=True, capture_output=True)

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-qm", "one")

    def clone(self):
        folder = self.folder / f"machine-{len([*self.folder.glob('machine-*')])}"
        subprocess.run(["git", "clone", "-q", self.origin, folder], check=True)
        return folder

    def environment(self):
        foreign = ("RUNBACK_", "MLFLOW_", "HYDRA_", "PG")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        return {**kept, **self.server.environment(), "DONE": str(self.done)}

    def start(self, folder, *words):
        log = (self.folder / f"log-{len(self.processes)}").open("w")
        command = [sys.executable, "-m", "runback", *words]
        streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        process = subprocess.Popen(
            command, cwd=folder, env=self.environment(), start_new_session=True, **streams
        )
        log.close()
        self.processes.append(process)
        return process

    def coordinator(self, n_trials, *more, folder=None):
        settings = [f"hydra.sweeper.n_trials={n_trials}", f"hydra.sweeper.storage={self.url}", RETRIES]
        settings += ["hydra.sweeper.name=s", "hydra.sweeper.n_workers=1", f"hydra.sweeper.lease={LEASE}"]
        words = ["sweep", "train.py", "x=interval(0,1)", "hydra/sweeper/sampler=random", *settings, *more]
        return self.start(folder or self.clone(), *words)

    def worker(self, *more, folder=None):
        return self.start(folder or self.clone(), "worker", self.url, "s", "--workers=1", *more)

    def logs(self):
        return "\n".join(file.read_text() for file in sorted(self.folder.glob("log-*")))

    def trials(self):
        rows = self.server.sql("SELECT number, state FROM trials ORDER BY number", self.database)
        return dict(rows)

    @property
    def database(self):
        return self.url.rpartition("/")[2]

    def finished(self):
        try:
            return sum(state in ("COMPLETE", "PRUNED") for state in self.trials().values())
        except Exception:
            return 0

    def wait_for(self, count, seconds=300):
        deadline = time.monotonic() + seconds
        while self.finished() < count:
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.2)

    def wait_for_running(self):
        deadline = time.monotonic() + 100
        while True:
            with contextlib.suppress(Exception):
                if "RUNNING" in self.trials().values():
                    return
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.2)

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def machines(tmp_path, server, request):
    made = Machines(tmp_path, server, f"db_{abs(hash(request.node.name)) % 10**8}")
    yield made
    made.end()


def check(machines, n_trials):
    """Exactly so many trials have finished, each once, with the values of their trainings."""
    rows = machines.server.sql(
        "SELECT t.number, t.state, v.value FROM trials t LEFT JOIN trial_values v USING (trial_id)",
        machines.database,
    )
    assert Counter(state for _, state, _ in rows) == {"COMPLETE": n_trials}, machines.logs()
    trained = {}
    for line in machines.done.read_text().splitlines():
        number, x = line.split()
        assert trained.setdefault(int(number), float(x)) == float(x)
    assert {number: value for number, _, value in rows} == pytest.approx(
        {number: 3 * x for number, x in trained.items()}
    )
    assert machines.server.sql("SELECT * FROM runback_leases", machines.database) == []


def has_no_password(machines):
    """The password is nowhere: not in files, in the database, or in any output."""
    secret = machines.server.password
    found = subprocess.run(["grep", "-rlaF", secret, machines.folder], capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (1, "")
    assert secret not in machines.server.run("pg_dump", machines.database)


def children(process):
    """The processes of trials below a coordinator or worker."""
    try:
        return [
            one
            for one in psutil.Process(process.pid).children(recursive=True)
            if "forkserver" in " ".join(one.parent().cmdline())
        ]
    except psutil.Error:
        return []


def test_two_coordinators_finish_exactly_the_budget_though_one_is_killed(machines):
    first = machines.coordinator(8)
    machines.wait_for(1)
    second = machines.coordinator(8)
    machines.wait_for(3)
    os.killpg(first.pid, signal.SIGKILL)
    assert second.wait(timeout=200) == 0, machines.logs()
    check(machines, 8)
    has_no_password(machines)


def sweep_statuses(folder):
    """Return the statuses of the sweeps' runs in a machine's own store."""
    query = (
        "SELECT status FROM runs JOIN tags USING (run_uuid) WHERE key = 'runback.kind' AND value = 'sweep'"
    )
    with contextlib.closing(sqlite3.connect(folder / "mlruns" / "mlflow.db")) as connection:
        return [status for (status,) in connection.execute(query)]


@pytest.mark.slow
def test_who_leaves_a_sweep_to_others_ends_its_run_in_a_store_of_its_own(machines, monkeypatch):
    folders = [machines.clone(), machines.clone()]
    monkeypatch.setenv("PAUSE", "3")
    slow = machines.coordinator(4, folder=folders[0])
    machines.wait_for_running()
    monkeypatch.setenv("PAUSE", "0.1")
    fast = machines.coordinator(4, folder=folders[1])
    assert [fast.wait(120), slow.wait(120)] == [0, 0], machines.logs()
    assert [sweep_statuses(one) for one in folders] == [["FINISHED"]] * 2, machines.logs()


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(3))
def test_a_storm_of_kills_and_a_restart_of_the_server_cost_no_result_and_no_trial_more(machines, seed):
    chance = random.Random(seed)  # noqa: S311 - which process is killed is no secret
    running = {machines.coordinator(60): machines.coordinator}
    machines.wait_for(1)
    for _ in range(2):
        running[machines.coordinator(60)] = machines.coordinator
    for _ in range(3):
        running[machines.worker()] = machines.worker
    kills = 0
    while kills < 8:
        time.sleep(chance.uniform(2, 6))
        if kills == 4:
            machines.server.restart()
        alive = [process for process in running if process.poll() is None]
        assert machines.finished() < 60, "the storm came too late"
        victim = chance.choice(alive)
        trials = children(victim)
        if trials and chance.random() < 0.4:
            chance.choice(trials).kill()
        else:
            os.killpg(victim.pid, signal.SIGKILL)
            again = running.pop(victim)
            new = again(60) if again == machines.coordinator else again()
            running[new] = again
        kills += 1
    codes = [process.wait(timeout=900) for process in running]
    assert codes == [0] * len(codes), machines.logs()
    check(machines, 60)
    has_no_password(machines)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_worker_takes_trials_with_the_recorded_code_and_its_own_data(machines):
    """Whatever is checked out on its machine; other data and unknown code are refused before any training."""
    first = machines.coordinator(10)
    machines.wait_for(1)
    ahead, behind = machines.clone(), machines.clone()
    (machines.folder / "own.txt").write_text("1 2 3")
    (machines.folder / "other.txt").write_text("1 2 4")
    (ahead / "train.py").write_text("raise SystemExit('the code of the wrong commit')")
    git = ("git", "-c", "user.name=me", "-c", "user.email=me@localhost")
    subprocess.run([*git, "commit", "-qam", "two"], cwd=ahead, check=True)
    subprocess.run(["rm", "-rf", ".git"], cwd=behind, check=True)
    subprocess.run(["git", "init", "-q"], cwd=behind, check=True)
    for words in (["add", "-A"], ["commit", "-qm", "another"]):
        subprocess.run([*git, *words], cwd=behind, check=True)

    refused = {
        machines.worker(f"data={machines.folder}/other.txt"): "the data here is not the sweep's: it has the",
        machines.worker(folder=behind): "is not in the repository here",
    }
    for process, said in refused.items():
        assert process.wait(timeout=200) == 2, machines.logs()
        log = machines.folder / f"log-{machines.processes.index(process)}"
        assert said in log.read_text()
    workers = [machines.worker(folder=ahead), machines.worker(f"data={machines.folder}/own.txt")]
    codes = [process.wait(timeout=300) for process in [first, *workers]]
    assert codes == [0, 0, 0], machines.logs()
    check(machines, 10)
    assert "working in a checkout of commit" in machines.logs()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_worker_that_stays_takes_the_trials_that_are_added(machines):
    assert machines.coordinator(2).wait(timeout=200) == 0, machines.logs()
    worker = machines.worker("--stay")
    folder = next(machines.folder.glob("machine-0"))
    assert machines.coordinator(5, folder=folder).wait(timeout=300) == 0, machines.logs()
    assert worker.poll() is None
    os.killpg(worker.pid, signal.SIGTERM)
    assert worker.wait(timeout=60) == 143
    check(machines, 5)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_lone_coordinator_that_is_stopped_ends_the_run_and_the_next_one_records_what_lacks(machines):
    folder = machines.clone()
    first = machines.coordinator(50, folder=folder)
    machines.wait_for(1)
    os.killpg(first.pid, signal.SIGINT)
    assert first.wait(timeout=60) != 0
    with contextlib.closing(sqlite3.connect(folder / "mlruns" / "mlflow.db")) as store:
        assert store.execute("SELECT status FROM runs WHERE name = 's'").fetchall() == [("KILLED",)]
    recorded = "study_user_attributes WHERE key = 'runback:sweep'"
    machines.server.sql(f"DELETE FROM {recorded}", machines.database)  # noqa: S608
    assert machines.coordinator(machines.finished() + 1, folder=folder).wait(timeout=200) == 0, (
        machines.logs()
    )
    [(record,)] = machines.server.sql(f"SELECT value_json FROM {recorded}", machines.database)  # noqa: S608
    assert "x=interval(0,1)" in record
    assert '"data": "' in record


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_commands_that_read_a_sweep_find_its_study_in_the_database(machines):
    process = machines.coordinator(3)
    assert process.wait(timeout=200) == 0, machines.logs()
    folder = next(machines.folder.glob("machine-0"))

    def run(*words, **less):
        environment = {k: v for k, v in machines.environment().items() if k not in less.get("without", ())}
        command = [sys.executable, *words]
        given = {"cwd": folder, "env": environment, "capture_output": True, "text": True}
        return subprocess.run(command, timeout=200, check=False, **given)

    best = run("-m", "runback", "best", "s")
    assert best.returncode == 0, best.stderr
    compared = run("-m", "runback", "compare", "--sweep", "s")
    assert best.stdout.strip()[:6] in compared.stdout, compared.stderr
    doctor = run("-m", "runback", "doctor", "--json")
    assert '"study.json' in doctor.stdout or "sweeps" in doctor.stdout or doctor.returncode == 0, (
        doctor.stdout
    )
    loaded = run("-c", "import runback; print(len(runback.load('s').trials))")
    assert loaded.stdout.strip() == "3", loaded.stderr
    another = run(
        *("-m", "runback", "sweep", "train.py", "x=interval(0,1)", "hydra.sweeper.name=t"),
        *("hydra.sweeper.n_trials=1", "hydra.sweeper.first=best:s"),
    )
    assert another.returncode == 0, another.stderr
    again = run(
        *("-m", "runback", "sweep", "train.py", "x=interval(0,1)", "hydra.sweeper.name=s"),
        "hydra.sweeper.n_trials=3",
    )
    assert again.returncode == 2
    assert "is in PostgreSQL" in again.stderr
    without = run("-m", "runback", "best", "s", without=("PGPASSWORD",))
    assert without.returncode == 2
    assert "PGPASSWORD" in without.stderr
    assert len(without.stderr.splitlines()) == 1
    has_no_password(machines)
