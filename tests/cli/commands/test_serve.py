"""`runback serve`, as a person runs it, asked by curl, by urllib and by MLflow's own client."""

import contextlib
import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
from mlflow.version import VERSION

from runback.cli.commands import serve
from runback.errors import InputError

CLASSES = 12  # so that the classes' order is not the alphabet's

TRAIN = """
import sys
from pathlib import Path

import numpy as np

import runback
from runback.__main__ import main
from runback.classifier.data.synthetic import load

said = ["data=synthetic", "data.num_classes=12", "training.epochs=2", "optimizer.learning_rate=0.01"]
assert main(["train", *said, "model.widths=[4,4]", "model.dense_width=8"]) == 0
run = next(Path("mlruns/artifacts/runback").glob("*/artifacts/model.keras")).parts[3]
assert main(["export", run, "run.zip"]) == 0
images = load("test", cache=Path("unused"), num_classes=12).images
np.save("images.npy", images)
np.save("expected.npy", runback.load_model(run).predict(images, verbose=0))
print(run)
"""

JSON, NPY = "application/json", "application/x-npy"

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")


@dataclass(frozen=True)
class Trained:
    """A project with a run that is the champion of the sweep `mine`, and what its network says of images."""

    project: object
    run_id: str
    images: np.ndarray
    expected: np.ndarray


@dataclass(frozen=True)
class Served:
    """A server under way, and what it printed."""

    process: subprocess.Popen
    url: str
    about: str
    example: str

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def post(self, body: bytes, content_type: str) -> tuple[int, str]:
        headers = {"Content-Type": content_type}
        request = urllib.request.Request(f"{self.url}/invocations", body, headers)  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def raw(self, head: str, body: bytes = b"") -> str:
        """Send a request as it is given; return what is answered at once, the status first."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
            return connection.recv(65536).decode()


@pytest.fixture(scope="module")
def trained(module_project) -> Trained:
    folder = module_project.folder
    words, env = [sys.executable, "-c", TRAIN], module_project.environment()
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.split()[-1]
    crown(module_project.client(), run_id)
    return Trained(module_project, run_id, *(np.load(folder / f"{n}.npy") for n in ("images", "expected")))


def crown(client, run_id: str) -> None:
    """Make a run's model the champion of a sweep."""
    found = client.get_run(run_id).outputs.model_outputs[0].model_id
    client.create_registered_model("runback-mine")
    location = client.get_logged_model(found).artifact_location
    version = client.create_model_version("runback-mine", location, run_id)
    client.set_registered_model_alias("runback-mine", "champion", version.version)


@contextlib.contextmanager
def serving(project, *arguments: str, **env: str):
    process = project.start("serve", *arguments, **env)
    try:
        lines = [process.stdout.readline().rstrip("\n") for _ in range(3)]
        assert lines[2], process.communicate()[1]
        yield Served(process, *lines)
    finally:
        for pipe in (process.stdout, process.stderr):
            pipe.close()
        if process.poll() is None:
            process.kill()
        process.wait()


def ended(project, served: Served, signum: signal.Signals) -> str:
    """End a server with a signal; return its log, once it is certain that nothing of it is left."""
    served.process.send_signal(signum)
    assert served.process.wait(60) == 0
    assert project.are_gone(served.process.pid)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", served.port)) != 0
    return served.process.stderr.read()


@pytest.fixture(scope="module")
def champion(trained):
    with serving(trained.project, "mine@champion") as served:
        yield served


def test_it_says_where_and_what_it_serves(champion, trained):
    assert champion.url.startswith("http://127.0.0.1:")
    assert champion.about == (
        f"run {trained.run_id}: takes uint8 images (n, 8, 8, 1), tells {CLASSES} classes apart"
    )


@needs_curl
def test_the_example_that_it_prints_works(champion):
    example = champion.example.replace("python ", f"'{sys.executable}' ", 1)
    done = subprocess.run(["bash", "-c", example], capture_output=True, text=True, check=True)
    [answer] = json.loads(done.stdout)["predictions"]
    assert set(answer) == {"class", "probability", "probabilities"}


def probabilities(answer: str) -> np.ndarray:
    """The probabilities in an answer, in the order of the classes; what else it says is checked."""
    rows = json.loads(answer)["predictions"]
    for row in rows:
        assert list(row["probabilities"]) == [f"pattern_{number}" for number in range(CLASSES)]
        assert row["probability"] == row["probabilities"][row["class"]] == max(row["probabilities"].values())
    return np.array([list(row["probabilities"].values()) for row in rows])


@needs_curl
@pytest.mark.parametrize("content_type", [JSON, NPY, "application/octet-stream"])
def test_curl_gets_what_the_network_predicts(content_type, champion, trained, tmp_path):
    file = tmp_path / "body"
    if content_type == JSON:
        file.write_text(json.dumps({"inputs": trained.images.tolist()}))
    else:
        with file.open("wb") as stream:
            np.save(stream, trained.images)
    options = ["-sS", "--fail", "--data-binary", f"@{file}", "-H", f"Content-Type: {content_type}"]
    command = ["curl", *options, f"{champion.url}/invocations"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answered = probabilities(done.stdout)
    assert np.ptp(trained.expected, axis=0).min() > 1e-4  # exchanged images would show
    np.testing.assert_allclose(answered, trained.expected, rtol=0, atol=1e-6)


BAD = {
    "nothing": (b"", JSON, "the body is no JSON"),
    "broken": (b'{"inputs": [[[', JSON, "the body is no JSON"),
    "deep": (b"[" * 100_000, JSON, "the body is no JSON"),
    "nested": (b'{"inputs": {"a": [1, {"b": null}]}}', JSON, "expected images of shape (n, 8, 8, 1)"),
    "other key": (b'{"dataframe_split": {}}', JSON, "got ['dataframe_split']"),
    "other shape": (b'{"inputs": [[[[1]]]]}', JSON, "got (1, 1, 1, 1)"),
    "300": (json.dumps({"inputs": np.full((1, 8, 8, 1), 300).tolist()}).encode(), JSON, "got 300"),
    "floats": (json.dumps({"inputs": np.zeros((1, 8, 8, 1)).tolist()}).encode(), JSON, "whole numbers"),
    "no npy": (b"not numpy's", NPY, "the body is no .npy file"),
    "other type": (b"1,2", "text/csv", "expected Content-Type"),
}


@needs_curl
@pytest.mark.parametrize("name", BAD)
def test_curl_is_told_in_one_line_what_is_wrong_with_a_body(name, champion, tmp_path):
    body, content_type, told = BAD[name]
    (tmp_path / "body").write_bytes(body)
    options = ["-sS", "-w", "%{http_code}", "--data-binary", f"@{tmp_path / 'body'}"]
    command = ["curl", *options, "-H", f"Content-Type: {content_type}", f"{champion.url}/invocations"]
    answer, code = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert code == "400"
    said = json.loads(answer)
    assert said["error_code"] == "BAD_REQUEST"
    assert told in said["message"]
    assert "Traceback" not in answer


def test_npy_files_of_another_kind_are_refused(champion, tmp_path):
    """Floats, another shape, and a pickle that would run code."""
    arrays = {
        "got float64": np.zeros((1, 8, 8, 1)),
        "got (1, 8, 8, 3)": np.zeros((1, 8, 8, 3), np.uint8),
        "got object": np.full((1, 8, 8, 1), Path()),
    }
    for told, array in arrays.items():
        np.save(tmp_path / "array.npy", array, allow_pickle=True)
        code, answer = champion.post((tmp_path / "array.npy").read_bytes(), NPY)
        assert code == 400
        assert told in json.loads(answer)["message"]


def test_a_body_that_is_too_large_is_refused_before_it_is_read(champion):
    head = f"POST /invocations HTTP/1.1\nHost: localhost\nContent-Type: {NPY}\nContent-Length: 999999999999"
    assert champion.raw(head).startswith("HTTP/1.1 413 ")
    code, answer = champion.post(piece_by_piece(), NPY)
    assert (code, len(answer.splitlines())) == (413, 1)


def piece_by_piece():
    """A body that does not say how large it is; one byte more than the server takes."""
    yield from [bytes(2**20)] * 64
    yield b"1"


def test_clients_that_send_half_or_far_too_much_hold_up_nobody(champion, trained):
    memory = psutil.Process(champion.process.pid).memory_info
    before, body = memory().rss, bytes(59 * 2**20)
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            half = stack.enter_context(socket.create_connection(("127.0.0.1", champion.port)))
            half.sendall(b"GET /ping HTTP/1.1\r\nHost: localhost\r\nX-Half: ")
        begin = time.monotonic()
        assert answered(champion, trained)
        assert time.monotonic() - begin < 5
    with ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(champion.post, body, NPY) for _ in range(10)]
        assert answered(champion, trained)
        assert {one.result()[0] for one in asked} == {413}
    assert champion.post(b'{"inputs": [' + b"[]," * 20_000_000, JSON)[0] == 413
    assert memory().rss - before < 200 * 2**20
    assert answered(champion, trained)


def answered(served: Served, trained: Trained) -> bool:
    """Ask about an image as anybody does; tell whether the answer is right."""
    code, answer = served.post(json.dumps({"inputs": trained.images[:1].tolist()}).encode(), JSON)
    return code == 200 and np.allclose(probabilities(answer), trained.expected[:1], rtol=0, atol=1e-6)


def test_only_this_machine_under_its_own_name_is_answered(champion):
    for host in ("evil.example", f"evil.example:{champion.port}", "10.0.0.1", "localhost.evil.example"):
        for path in ("ping", "invocations"):
            answer = champion.raw(f"GET /{path} HTTP/1.1\nHost: {host}")
            assert answer.startswith("HTTP/1.1 400 ")
    assert champion.raw("GET /ping HTTP/1.1\nHost: localhost").startswith("HTTP/1.1 200 ")
    with socket.socket() as other:
        assert other.connect_ex(("127.0.0.2", champion.port)) != 0  # nor another address


def test_mlflows_client_is_answered(champion, trained):
    client = ScoringServerClient("127.0.0.1", champion.port)
    client.ping()
    assert client.get_version() == VERSION
    answered = client.invoke(trained.images[:5]).get_predictions()
    names = [f"pattern_{number}" for number in trained.expected[:5].argmax(axis=1)]
    assert list(answered["class"]) == names


def test_requests_at_the_same_time_get_their_own_answers(champion, trained):
    def ask(n: int) -> tuple[int, int, str]:
        body = json.dumps({"instances": trained.images[-n:].tolist()}).encode()
        return n, *champion.post(body, JSON)

    with ThreadPoolExecutor(8) as pool:
        for n, code, answer in pool.map(ask, (1, 40, 2, 3, 77, 128, 5, 1, 64, 9, 31, 32)):
            assert code == 200
            np.testing.assert_allclose(probabilities(answer), trained.expected[-n:], rtol=0, atol=1e-6)


def test_no_answer_waits_for_the_clients_acknowledgement(champion):
    """Behind its first few packets a system acknowledges 40 ms late: no second packet may wait for it."""
    body = json.dumps({"inputs": np.zeros((1, 8, 8, 1), int).tolist()}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", champion.port, timeout=60)
    with contextlib.closing(connection):
        seconds = [asked(connection, body) for _ in range(60)]
    assert min(seconds[10:]) < 0.035


def asked(connection: http.client.HTTPConnection, body: bytes) -> float:
    """Ask once more on a connection; return how many seconds it took."""
    begin = time.perf_counter()
    connection.request("POST", "/invocations", body, {"Content-Type": JSON})
    assert connection.getresponse().read()
    return time.perf_counter() - begin


def test_a_terminated_server_waits_for_no_client_and_leaves_nothing(champion, trained):
    """One client is in the middle of its request, another one only keeps its connection."""
    half = "POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    idle = "GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with contextlib.ExitStack() as open_until_the_end:
        for sent in (half, idle):
            connection = socket.create_connection(("127.0.0.1", champion.port))
            open_until_the_end.enter_context(connection).sendall(sent.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        log = ended(trained.project, champion, signal.SIGTERM)
    assert "Traceback" not in log


@pytest.mark.slow
def test_a_bundle_is_served_without_a_store_until_the_terminal_is_closed(trained, make_project, tmp_path):
    project = make_project(tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    bundle = str(trained.project.folder / "run.zip")
    with serving(project, bundle, "--port", str(port)) as served:
        assert served.port == port
        assert served.about.startswith(f"run {trained.run_id}: ")
        code, answer = served.post((trained.project.folder / "images.npy").read_bytes(), NPY)
        assert code == 200
        np.testing.assert_allclose(probabilities(answer), trained.expected, rtol=0, atol=1e-6)
        assert ended(project, served, signal.SIGHUP) == ""
    assert not (project.folder / "mlruns").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "the following arguments are required: RUN"),
        (["abcdef12"], "no run 'abcdef12' in sqlite:"),
        (["x@y"], "expected SWEEP@champion; got 'x@y'"),
        (["other@champion"], "sweep other has no champion: expected a registered model runback-other with"),
        (["best:other"], "unknown sweep 'other'"),
        (["images.npy"], "images.npy"),
        (["abcdef12", "--port", "70000"], r"a port lies in 1..65535; got 70000"),
    ],
)
def test_what_cannot_be_served_is_told(arguments, told, trained, monkeypatch):
    monkeypatch.chdir(trained.project.folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(InputError, match=told) as error:
        serve.main(arguments)
    assert "\n" not in str(error.value)


def test_a_port_that_is_taken_is_refused(trained, monkeypatch):
    monkeypatch.chdir(trained.project.folder)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} of 127.0.0.1 is taken: choose another"):
            serve.main([trained.run_id, "--port", str(port)])


@pytest.mark.slow
def test_a_run_in_a_tracking_server_is_served(make_project, server, tmp_path):
    project, env = make_project(tmp_path), {"MLFLOW_TRACKING_URI": server.uri}
    arguments = ("train", "data=synthetic", "training.epochs=1", "model.widths=[4,4]", "model.dense_width=8")
    done = project.run(*arguments, **env)
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.split()[-1]
    with serving(project, run_id[:8], **env) as served:
        body = json.dumps({"inputs": np.zeros((1, 8, 8, 1), int).tolist()}).encode()
        assert served.post(body, JSON)[0] == 200
        assert ended(project, served, signal.SIGINT) == ""
