"""Every command by HTTP: a real MLflow server with users and passwords, on a real PostgreSQL."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import time
import zipfile

import pytest

from postgres_server import lacking
from tracking_server import TrackingServer

pytestmark = pytest.mark.skipif(lacking() is not None, reason=str(lacking()))

SCRIPT = """
import time

import numpy as np

import runback


@runback.task(objective={"loss": "minimize"})
def fit(run: runback.Run, *, rate: float = 0.1, epochs: int = 3, seconds: float = 0.0) -> float:
    rng = np.random.default_rng(run.seed)
    x, y = run.data((rng.normal(size=(64, 3)), rng.normal(size=64)))
    w = np.zeros(3)
    for epoch in run.epochs(epochs):
        w -= rate * x.T @ (x @ w - y) / 64
        time.sleep(seconds)
        run.log(loss=np.mean((x @ w - y) ** 2))
    run.result(weights=w)
    return run.best("loss")


if __name__ == "__main__":
    fit.main()
"""

SWEEP = ("sweep", "fit.py", "rate=choice(0.01,0.1)", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_workers=2")

READS = {
    "compare": ("compare", "--sweep", "fit"),
    "evaluate": ("evaluate", "0123456789"),
    "review": ("review", "0123456789", "--by", "me"),
    "reproduce": ("reproduce", "0123456789"),
    "export": ("export", "0123456789", "run.zip"),
    "promote": ("promote", "0123456789"),
    "serve": ("serve", "0123456789"),
    "ui": ("ui",),
    "resume": ("train", "resume=0123456789"),
}

LOAD = """
import json, runback
sweep = runback.load({name!r})
runs = list(sweep.trials["run"])
print(json.dumps({{"trials": len(runs), "epochs": len(sweep.curves), "runs": runs}}))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with TrackingServer(tmp_path_factory.mktemp("tracking") / "server") as server:
        yield server


@pytest.fixture(scope="module")
def word(server):
    return f"tracking.uri={server.uri}"


@pytest.fixture(scope="module")
def credentials(server):
    return {"MLFLOW_TRACKING_USERNAME": server.user, "MLFLOW_TRACKING_PASSWORD": server.password}


@pytest.fixture(scope="module")
def scripts(module_project):
    """A project, a repository of Git, with a script that has a task."""
    folder = module_project.folder
    module_project.own_sweeps()
    (folder / "fit.py").write_text(SCRIPT)
    (folder / ".gitignore").write_text("mlruns/\n__pycache__/\n")
    (folder / "pyproject.toml").write_text("[tool.runback]\n")
    git = ("git", "-c", "user.name=me", "-c", "user.email=me@example.org", "-C", folder)
    for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "First")):
        subprocess.run([*git, *words], check=True)
    return module_project


@pytest.fixture(scope="module")
def swept(scripts, server, word, credentials):
    """What a sweep and the commands after it print, by the command."""
    done = scripts.run(*SWEEP, word, **credentials)
    assert done.returncode == 0, done.stderr
    best = scripts.run("best", "fit", word, **credentials).stdout.strip()
    lines = [
        ("compare", "--sweep", "fit", word, "--json"),
        ("reproduce", best, "--in-place", word),
        ("export", best, "run.zip", word),
        ("verify", "run.zip"),
        ("doctor", word),
        ("ui", word),
        ("sync", word),
        ("clean", word),
        ("train", "fit.py", "epochs=2", word),
    ]
    results = dict(zip([line[0] for line in lines], scripts.run_many(*lines, **credentials), strict=True))
    return {"sweep": (0, done.stdout, done.stderr), "best": (0, f"{best}\n", ""), **results}


def leaks(folder, secret):
    """Return the files below a folder that hold a secret."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if secret.encode() in path.read_bytes()]


def ended(done):
    """Return the exit code, and the lines of standard error."""
    code, _, err = done
    return code, err.splitlines()


def test_sweep_compare_reproduce_export_and_load_work_by_http(swept, scripts, server, credentials):
    assert {name: code for name, (code, _, _) in swept.items()} == dict.fromkeys(swept, 0), swept
    assert "bit-identical" in swept["reproduce"][1]
    assert swept["ui"][1] == f"{server.uri}\n"
    assert f"{server.uri} answers" in swept["doctor"][1]
    assert zipfile.is_zipfile(scripts.folder / "run.zip")
    assert not (scripts.folder / "mlruns" / "mlflow.db").exists()
    loaded = scripts.python(
        "-c", LOAD.format(name="fit"), **credentials, **{"MLFLOW_TRACKING_URI": server.uri}
    )
    assert loaded.returncode == 0, loaded.stderr
    facts = json.loads(loaded.stdout.splitlines()[-1])
    assert (facts["trials"], facts["epochs"]) == (2, 6)
    assert {row["run"] for row in json.loads(swept["compare"][1])["runs"]} == set(facts["runs"])


def test_a_script_takes_the_server_on_its_own_command_line(swept, scripts, word, credentials):
    done = scripts.python("fit.py", "epochs=1", word, **credentials)
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.split()[-1]
    assert scripts.run("compare", run_id, word, **credentials).returncode == 0
    assert not (scripts.folder / "mlruns" / "mlflow.db").exists()


def test_commands_that_a_sweep_advises_name_its_server(swept, word):
    advised = [line for line in swept["sweep"][1].splitlines() if "runback reproduce" in line]
    assert len(advised) == 1
    assert advised[0].endswith(word)


def test_the_password_is_in_no_file_no_output_and_not_in_the_database(swept, scripts, server):
    assert leaks(scripts.folder, server.password) == []
    assert not any(server.password in out + err for _, out, err in swept.values())
    dump = server.dump()
    assert "runback.sweep" in dump
    assert server.password not in dump


@pytest.mark.parametrize("which", ["none", "wrong", "down"])
def test_a_server_that_lets_nobody_in_is_one_line_before_anything_starts(scripts, server, which):
    given = {
        "none": {},
        "wrong": {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": "geheim-geheim"},
        "down": {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"},  # runback's own flags are not set in a fork
    }[which]
    uri = "http://127.0.0.1:9" if which == "down" else server.uri
    reason = {
        "none": "it asks for credentials: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        "wrong": "it does not accept the credentials in the environment (MLFLOW_TRACKING_USERNAME",
        "down": "it does not answer (Connection refused)",
    }[which]
    lines = {**READS, "train": ("train", "fit.py"), "sweep": (*SWEEP, "hydra.sweeper.name=another")}
    before = sorted((scripts.folder / "mlruns").rglob("*.jsonl"))
    results = scripts.run_many(*([*line, f"tracking.uri={uri}"] for line in lines.values()), **given)
    for name, done in zip(lines, results, strict=True):
        code, said = ended(done)
        assert (code, len(said)) == (2, 1), (name, done)
        assert said[0].startswith(f"runback: cannot use the store {uri}: {reason}"), (name, said)
    assert sorted((scripts.folder / "mlruns").rglob("*.jsonl")) == before
    assert not (scripts.folder / "mlruns" / "sweeps" / "another" / "study.db").exists()
    assert leaks(scripts.folder, "geheim-geheim") == []


def test_an_address_with_a_password_is_refused(scripts):
    [(code, out, err)] = scripts.run_many(["train", "fit.py", "tracking.uri=https://me:geheim@host"])
    assert (code, out) == (2, "")
    assert err.startswith("runback: tracking.uri must hold no user and password; got https://***@host: set ")
    assert "geheim" not in err


def epochs(folder):
    mirror = folder / "metrics.jsonl"
    return mirror.read_text().count('"loss"') if mirror.exists() else 0


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["MLflow", "PostgreSQL"])
def test_a_server_that_goes_away_in_the_middle_of_a_sweep_costs_nothing(
    scripts, server, word, credentials, killed
):
    name = f"away_{killed.lower()}"
    long = ("epochs=60", "seconds=0.1", f"hydra.sweeper.name={name}", "hydra.sweeper.n_trials=4")
    process = scripts.start(*SWEEP[:3], *long, "hydra.sweeper.n_workers=2", word, **credentials)
    try:
        folder = scripts.folder / "mlruns" / "sweeps" / name
        deadline = time.monotonic() + 300
        while not all(epochs(folder / str(number)) > 5 for number in range(2)):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        if killed == "MLflow":
            server.kill()
            time.sleep(4)
            server.start()
        else:
            server.postgres.kill()
            time.sleep(4)
            server.postgres.start()
        out, err = process.communicate(timeout=600)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert process.returncode == 0, out + err
    if "to be stored whole" in err:
        assert scripts.run("sync", word, **credentials).returncode == 0
    loaded = scripts.python(
        "-c", LOAD.format(name=name), **credentials, **{"MLFLOW_TRACKING_URI": server.uri}
    )
    facts = json.loads(loaded.stdout.splitlines()[-1])
    assert (facts["trials"], facts["epochs"]) == (4, 240)
    assert not list(folder.rglob("outbox/*"))
    assert server.password not in out + err
    assert leaks(scripts.folder, server.password) == []


TINY = ("data=synthetic", "model.widths=[4,4]", "model.dense_width=8", "training.epochs=2")


def images(project, server, environment):
    """Sweep the classifier, and do all that is done with a sweep's best run; return the outputs."""
    said = []

    def run(*words):
        done = project.run(*words, **environment)
        said.append(done.stdout + done.stderr)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    project.own_sweeps(tiny=CLASSIFIER)
    run("sweep", "tiny")
    best = run("best", "tiny").strip()
    assert "test accuracy" in run("evaluate", best)
    assert "bit-identical" in run("reproduce", best, "--in-place")
    run("review", best, "--by", "me")
    run("export", best, "run.zip")
    run("verify", "run.zip")
    assert "is the champion now" in run("promote", best)
    assert json.loads(run("compare", "--sweep", "tiny", "--json"))["runs"]
    loaded = project.python("-c", MODEL, **environment)
    said.append(loaded.stdout + loaded.stderr)
    assert loaded.stdout.splitlines()[-1] == "(None, 4)", loaded.stderr
    assert not any(
        secret in text for text, secret in itertools.product(said, environment_secrets(environment))
    )
    for secret in environment_secrets(environment):
        assert leaks(project.folder, secret) == []
        assert secret not in server.dump()


CLASSIFIER = """# @package _global_
defaults:
  - override /data: synthetic
  - override /hydra/sweeper/sampler: grid
model: {widths: [4, 4], dense_width: 8}
training: {epochs: 2}
hydra:
  sweeper:
    n_workers: 2
    params:
      optimizer.learning_rate: choice(0.0001, 0.01)
"""

MODEL = "import runback; print(runback.load_model('tiny@champion').output_shape)"


def environment_secrets(environment):
    return [environment[name] for name in environment if name.endswith(("PASSWORD", "SECRET_ACCESS_KEY"))]


@pytest.fixture
def user(server, monkeypatch):
    """The environment of somebody who is no administrator."""
    from mlflow.server import get_app_client

    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    own = {"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": "geheim-of-ada-geheim"}
    client = get_app_client("basic-auth", tracking_uri=server.uri)
    client.create_user(own["MLFLOW_TRACKING_USERNAME"], own["MLFLOW_TRACKING_PASSWORD"])
    return {**server.environment, **own}


@pytest.mark.slow
def test_a_user_sweeps_evaluates_reproduces_exports_promotes_and_loads_the_classifier_by_http(
    project, server, user
):
    images(project, server, user)


@pytest.fixture
def s3():
    """An S3 store with a bucket; return the variables by which its clients get in."""
    import boto3
    from moto.server import ThreadedMotoServer

    store = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    store.start()
    host, port = store.get_host_and_port()
    environment = {
        "AWS_ACCESS_KEY_ID": "runback",
        "AWS_SECRET_ACCESS_KEY": "geheim-in-s3-geheim",
        "AWS_DEFAULT_REGION": "us-east-1",
        "MLFLOW_S3_ENDPOINT_URL": f"http://{host}:{port}",
    }
    client = boto3.client(
        "s3",
        endpoint_url=environment["MLFLOW_S3_ENDPOINT_URL"],
        aws_access_key_id="runback",
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="runback")
    yield client, environment
    store.stop()


@pytest.mark.slow
def test_artifacts_go_to_s3_through_the_server(project, s3, tmp_path):
    bucket, environment = s3
    with TrackingServer(tmp_path / "server", artifacts="s3://runback/runs", **environment) as server:
        images(project, server, server.environment)  # whose clients have no credentials for S3
    keys = [one["Key"] for one in bucket.list_objects_v2(Bucket="runback")["Contents"]]
    assert sum(key.endswith("record/record.json") for key in keys) >= 3


@pytest.mark.slow
def test_artifacts_go_to_s3_directly(project, server, s3):
    bucket, environment = s3
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        from mlflow import MlflowClient

        MlflowClient(server.uri).create_experiment("in-s3", artifact_location="s3://runback/direct")
    project.own_sweeps()
    done = project.run("train", *TINY, "tracking.experiment=in-s3", **server.environment, **environment)
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.splitlines()[-1].removeprefix("run ")
    assert project.run("evaluate", run_id, **server.environment, **environment).returncode == 0
    keys = [one["Key"] for one in bucket.list_objects_v2(Bucket="runback")["Contents"]]
    assert f"direct/{run_id}/artifacts/record/record.json" in keys
    assert leaks(project.folder, environment["AWS_SECRET_ACCESS_KEY"]) == []
