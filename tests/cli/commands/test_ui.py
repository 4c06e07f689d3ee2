import contextlib
import http.client
import http.cookiejar
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from runback.cli.commands import ui
from runback.errors import InputError, StoreError

UI = [
    sys.executable,
    "-c",
    "import sys; from runback.cli.commands.ui import main; sys.exit(main(sys.argv[1:]))",
]


@pytest.fixture
def project(tmp_path, monkeypatch):
    root = tmp_path / "a project"
    (root / "conf").mkdir(parents=True)
    (root / "conf" / "train.yaml").write_text("")
    for name in ("MLFLOW_TRACKING_URI", "RUNBACK_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(root)
    return root


@dataclass(frozen=True)
class Running:
    """A server under way: its process, the address without the token, and the token where it has one."""

    process: subprocess.Popen
    url: str
    token: str | None
    root: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def ask(self, path, method="GET", body=None, **headers) -> tuple[int, http.client.HTTPMessage, str]:
        """Send a request as it is given; return the answer's status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode(errors="replace")

    def known(self, path, method="GET", body=None, **headers):
        """Send a request as who knows the token; `body` as JSON unless it is bytes."""
        if body is not None and not isinstance(body, bytes):
            headers, body = {"Content-Type": "application/json", **headers}, json.dumps(body).encode()
        return self.ask(path, method, body, **(self.bearer | headers if self.token else headers))


def _processes(group):
    """The processes of a group, as `ps` lists them; those that ended are left out."""
    listed = subprocess.run(
        ["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = (line.split(maxsplit=2) for line in listed.splitlines())
    return [row for row in rows if int(row[0]) == group and not row[1].startswith("Z")]


def test_the_ui_serves_this_machine_only_and_ends_with_ctrl_c(project):
    with _running(project) as running:
        assert running.known("/health")[2] == "OK"  # the address is printed when it answers
        search = "/api/2.0/mlflow/experiments/search?max_results=10"
        (experiment,) = json.loads(running.known(search)[2])["experiments"]
        assert experiment["artifact_location"].startswith((project / "mlruns" / "artifacts").as_uri())
        page = running.known("/")[2]
        assert "<title>MLflow</title>" in page
        assert '"mlflow.workflowType_v1": \'"machine_learning"\'' in page

        for host in ("evil.example", f"10.evil.example:{running.port}", "192.168.evil.example"):
            assert running.known(search, Host=host)[0] == 403
        assert json.loads(running.known(search, Host=f"localhost:{running.port}")[2])["experiments"]
        with socket.socket() as other:
            assert other.connect_ex((_own_address(), running.port)) != 0

        servers = _children(running.process.pid)
        assert servers
        running.process.send_signal(signal.SIGINT)
        _, errors = running.process.communicate(timeout=300)
    assert running.process.returncode == 0
    assert "Traceback" not in errors
    assert running.token not in errors
    assert [row for group in servers for row in _processes(group)] == []
    assert {path.name for path in project.iterdir()} == {"conf", "mlruns"}
    assert list((project / "mlruns").glob("ui-*")) == []


def test_a_terminated_ui_without_a_token_says_who_gets_in_and_leaves_no_process_behind(
    project, monkeypatch, capsys
):
    with _running(project, "--no-token") as running:
        assert running.token is None
        assert running.ask("/api/2.0/mlflow/experiments/search?max_results=1")[0] == 200
        code, _, told = running.ask("/ajax-api/3.0/mlflow/assistant/config")  # it runs commands
        assert (code, len(told.splitlines())) == (403, 1)

        # Elsewhere this server may be the store: then its address is all there is to say.
        monkeypatch.setenv("MLFLOW_TRACKING_URI", running.url.replace("http://", "http://me:secret@"))
        assert ui.main([]) == 0
        assert capsys.readouterr().out == running.url.replace("http://", "http://***@") + "\n"

        servers = _children(running.process.pid)
        running.process.send_signal(signal.SIGTERM)
        _, errors = running.process.communicate(timeout=300)
    assert running.process.returncode == 0
    assert ui.OPEN_TO_ALL in errors.splitlines()
    assert "Traceback" not in errors
    assert servers
    assert [row for group in servers for row in _processes(group)] == []


@contextlib.contextmanager
def _running(project, *arguments):
    """The command as a person runs it."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*UI, *arguments], cwd=project, **pipes) as process:
        try:
            said = process.stdout.readline().strip()
            match = re.fullmatch(r"(http://127\.0\.0\.1:\d+)(?:/\?token=([0-9a-f]{64}))?", said)
            yield Running(process, match[1], match[2], project)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A server that several tests ask, of a project with a run `run`."""
    root = tmp_path_factory.mktemp("ui") / "a project"
    (root / "conf").mkdir(parents=True)
    (root / "conf" / "train.yaml").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "RUNBACK_ROOT", "RUNBACK_MLRUNS"):
            patch.delenv(name, raising=False)
        with _running(root) as running:
            yield running


PATHS = (
    *("/", "/health", "/version", "/static-files/static/js/main.js", "/graphql", "/get-artifact", "/metrics"),
    *("/api/2.0/mlflow/experiments/search?max_results=1", "/ajax-api/2.0/mlflow/users/current"),
    *("/api/3.0/mlflow/server-info", "/ajax-api/3.0/mlflow/assistant/config", "/ajax-api/3.0/jobs/x"),
    *("/gateway/mlflow/v1/models", "/v1/traces", "/api/2.0/mlflow-artifacts/artifacts/x", "/mcp", "/nothing"),
    *("//", "/%2e%2e/", "/?token=", f"/?token={'0' * 64}", "/model-versions/get-artifact", "/docs"),
)  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_nobody_without_the_token_gets_anything(path, running):
    wrong = {"Authorization": f"Bearer {'0' * 64}", "Cookie": f"runback-{running.port}={'0' * 64}"}
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
        for headers in ({}, wrong, {"Cookie": "\xe9=\xff; ;=", "Authorization": "Bearer"}):
            code, told, line = running.ask(path, method, **headers)
            assert code == 403
            assert len(line.splitlines()) == (method != "HEAD")
            assert told["Referrer-Policy"] == "no-referrer"
            assert told["Set-Cookie"] is None


def test_the_address_opens_the_pages_and_a_cookie_keeps_them_open(running):
    code, headers, _ = running.ask(f"/?token={running.token}&page=2")
    assert (code, headers["Location"]) == (303, "/?page=2")
    cookie, *attributes = headers["Set-Cookie"].split("; ")
    assert cookie == f"runback-{running.port}={running.token}"
    assert {one.lower() for one in attributes} == {"httponly", "path=/", "samesite=strict"}
    assert running.ask("/health", Cookie=f"a=b; {cookie}")[0] == 200
    assert running.ask("/health", Cookie=cookie.replace("runback-", "other-"))[0] == 403

    jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    with urllib.request.build_opener(jar).open(f"{running.url}/?token={running.token}", timeout=60) as page:
        assert page.geturl() == f"{running.url}/"
        assert "<title>MLflow</title>" in page.read().decode()


def test_the_address_leads_to_no_other_server(running):
    for path in ("//evil.example/", "/%5Cevil.example/", "/%0d%0aX:%20y"):
        code, headers, _ = running.ask(f"{path}?token={running.token}")
        assert code == 303
        assert re.match("/[^/\\\\]", headers["Location"])
        assert headers["X"] is None


def test_pages_of_other_addresses_cannot_use_the_cookie(running):
    """A server of somebody else on another port of this machine is the same site to a browser."""
    cookie, create = f"runback-{running.port}={running.token}", "/ajax-api/2.0/mlflow/experiments/create"
    elsewhere = ("http://evil.example", "null", "http://127.0.0.1:9", f"http://localhost:{running.port}")
    for origin in elsewhere:
        answer = running.ask(create, "POST", b'{"name": "x"}', Cookie=cookie, Origin=origin)
        assert (answer[0], len(answer[2].splitlines())) == (403, 1)
    sent = {"Cookie": cookie, "Sec-Fetch-Site": "same-site"}
    assert running.ask("/health", **sent, **{"Sec-Fetch-Mode": "no-cors"})[0] == 403
    assert running.ask("/health", **sent, **{"Sec-Fetch-Mode": "navigate"})[0] == 200
    own = {"Origin": running.url, "Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
    assert running.ask(create, "POST", b'{"name": "own"}', Cookie=cookie, **own)[0] == 200


def test_mlflows_clients_are_let_in_by_their_token(running, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", running.token)
    assert MlflowClient(running.url).get_experiment("0").name == "Default"


def test_the_token_is_in_no_arguments(running):
    processes = [running.process.pid, *_children(running.process.pid)]
    tree = [
        psutil.Process(running.process.pid),
        *psutil.Process(running.process.pid).children(recursive=True),
    ]
    assert len(tree) >= len(processes) >= 2
    assert all(running.token not in " ".join(process.cmdline()) for process in tree)


def test_a_browser_is_led_by_a_file_for_its_user_alone(tmp_path):
    address = "http://127.0.0.1:5000/?token=abc#/experiments"
    with ui._leading_to(address, tmp_path) as uri:
        file = Path(urllib.parse.unquote(uri.removeprefix("file://")))
        assert file.stat().st_mode & 0o777 == 0o600
        assert f"url={address}" in file.read_text()
        assert "abc" not in uri
    assert not file.exists()


SECRET = "for root's eyes only"  # noqa: S105 - a text to look for


@pytest.fixture(scope="module")
def attacked(running, tmp_path_factory):
    """A run, a model, a version and a trace of the server, and a secret file outside its folder."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.txt").write_text(SECRET)
    (outside / "traces.json").write_text(json.dumps({"spans": [], "secret": SECRET}))
    client = MlflowClient(f"sqlite:///{running.root / 'mlruns' / 'mlflow.db'}")
    run = client.create_run("0").info
    model = client.create_logged_model("0", source_run_id=run.run_id)
    client.create_registered_model("m")
    client.create_model_version("m", model.artifact_location, run.run_id)
    folder = Path(urllib.request.url2pathname(run.artifact_uri.removeprefix("file://")))
    folder.mkdir(parents=True)
    (folder / "plain.txt").write_text("plain")
    return Attacked(running, outside, run, model.model_id, folder)


@dataclass(frozen=True)
class Attacked:
    running: Running
    outside: Path
    run: object
    model_id: str
    folder: Path

    def relocate(self, location: str) -> None:
        """Write a location into the database, as whoever may write to it can."""
        import sqlite3

        with contextlib.closing(sqlite3.connect(self.running.root / "mlruns" / "mlflow.db")) as database:
            database.execute("PRAGMA busy_timeout = 20000")
            database.execute("UPDATE runs SET artifact_uri = ?", [location])
            database.execute("UPDATE logged_models SET artifact_location = ?", [location])
            database.execute("UPDATE model_versions SET source = ?, storage_location = ?", [location] * 2)
            database.commit()

    def answers(self, path: str) -> list[tuple[int, str]]:
        """Ask for a file in all the ways that MLflow has; return statuses and bodies."""
        run_id, quoted = self.run.run_id, urllib.parse.quote(path)
        ways = (
            f"/get-artifact?run_uuid={run_id}&path={quoted}",
            f"/model-versions/get-artifact?name=m&version=1&path={quoted}",
            f"/ajax-api/2.0/mlflow/logged-models/{self.model_id}/artifacts/files?artifact_file_path={quoted}",
            f"/api/2.0/mlflow/artifacts/list?run_id={run_id}&path={quoted}",
            f"/ajax-api/2.0/mlflow/logged-models/{self.model_id}/artifacts/directories"
            f"?artifact_directory_path={quoted}",
            f"/api/2.0/mlflow-artifacts/artifacts/{quoted}",
        )  # fmt: skip
        told = [self.running.known(way) for way in ways]
        return [(code, body) for code, _, body in told]


def _locations(outside: Path, folder: Path) -> dict[str, str]:
    link = outside.parent / f"{outside.name}-link"
    with contextlib.suppress(FileExistsError):
        link.symlink_to(outside)
    inside_link = folder.parent / "link"
    with contextlib.suppress(FileExistsError):
        inside_link.symlink_to(outside)
    up = "../" * len(folder.parts)
    return {
        "a folder": str(outside),
        "a file URI": outside.as_uri(),
        "a URI with a host": f"file://localhost{outside}",
        "a URI in capitals": outside.as_uri().replace("file:", "FILE:"),
        "one slash": f"file:{outside}",
        "a link": str(link),
        "a link inside": str(inside_link),
        "a URI of a link inside": inside_link.as_uri(),
        "up and down": f"{folder}/{up}{str(outside)[1:]}",
        "quoted dots": f"{folder.as_uri()}/{up.replace('.', '%2E')}{str(outside)[1:]}",
        "the database's folder": str(folder.parents[3]),
        "relative": os.path.relpath(outside, folder.parents[4]),
        "nothing": "",
        "root": "/",
        "a null byte": f"{outside}\0",
        "S3": "s3://bucket/key",
        "HTTP": "http://127.0.0.1:9/x",
        "FTP": "ftp://127.0.0.1:9/x",
        "a proxy": "mlflow-artifacts:/x",
        "a run": "runs:/0123/x",
        "a model": "models:/m/1",
        "DBFS": "dbfs:/x",
        "nonsense": "nonsense://x",
    }


def test_the_artifacts_of_the_store_are_read(attacked):
    attacked.relocate(attacked.folder.as_uri())
    codes = [code for code, _ in attacked.answers("plain.txt")]
    assert codes[:3] == [200] * 3
    assert attacked.answers("plain.txt")[0][1] == "plain"
    assert (
        "plain.txt"
        in attacked.running.known(f"/api/2.0/mlflow/artifacts/list?run_id={attacked.run.run_id}")[2]
    )
    upload = f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={attacked.run.run_id}&path=sub/new.txt"
    assert attacked.running.known(upload, "POST", b"new", **{"Content-Type": "text/html"})[0] == 200
    assert (attacked.folder / "sub" / "new.txt").read_text() == "new"


def test_no_location_leads_outside_the_store(attacked):
    for name, location in _locations(attacked.outside, attacked.folder).items():
        attacked.relocate(location)
        for code, body in attacked.answers("secret.txt"):
            assert SECRET not in body, name
            assert code in (400, 403, 404, 503), (name, body)
            assert "secret.txt" not in body or code != 200, name
        upload = f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={attacked.run.run_id}&path=written.txt"
        code, _, body = attacked.running.known(upload, "POST", b"x", **{"Content-Type": "text/html"})
        assert code in (400, 403, 404), (name, body)
        assert len(json.loads(body)["message"].splitlines()) == 1
    assert sorted(path.name for path in attacked.outside.iterdir()) == ["secret.txt", "traces.json"]


def test_no_link_and_no_path_leads_outside_the_store(attacked):
    attacked.relocate(attacked.folder.as_uri())
    (attacked.folder / "file").symlink_to(attacked.outside / "secret.txt")
    (attacked.folder / "folder").symlink_to(attacked.outside)
    up = "../" * 20
    paths = (
        *("file", "folder", "folder/secret.txt", "folder/../folder/secret.txt", up, "..", "%2e%2e/"),
        *(f"{attacked.outside}/secret.txt", f"{attacked.outside.as_uri()}/secret.txt"),
        f"{up}{str(attacked.outside)[1:]}/secret.txt",
    )
    for path in paths:
        for code, body in attacked.answers(path):
            assert SECRET not in body, path
            assert "secret.txt" not in body or code != 200, path
        upload = f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={attacked.run.run_id}&path="
        for file in (f"{path}/written.txt", path):
            query = upload + urllib.parse.quote(file)
            attacked.running.known(query, "POST", b"x", **{"Content-Type": "text/html"})
    listed = attacked.running.known(f"/api/2.0/mlflow/artifacts/list?run_id={attacked.run.run_id}")[2]
    assert "plain.txt" in listed
    assert '"file"' not in listed
    assert (attacked.outside / "secret.txt").read_text() == SECRET
    assert sorted(path.name for path in attacked.outside.iterdir()) == ["secret.txt", "traces.json"]


def test_the_data_of_a_trace_is_not_read_elsewhere(attacked):
    outside, running = attacked.outside, attacked.running
    body = {"experiment_id": "0", "timestamp_ms": 1, "tags": [], "request_metadata": []}
    code, _, said = running.known("/api/2.0/mlflow/traces", "POST", body)
    assert code == 200, said
    trace = json.loads(said)["trace_info"]["request_id"]
    tag = {"key": "mlflow.artifactLocation", "value": outside.as_uri()}
    assert running.known(f"/api/2.0/mlflow/traces/{trace}/tags", "PATCH", tag)[0] == 200
    for version in ("2.0", "3.0"):
        for path in ("", "&path=secret.txt", "&path=../secret.txt"):
            way = f"/ajax-api/{version}/mlflow/get-trace-artifact?request_id={trace}{path}"
            code, _, body = running.known(way)
            assert SECRET not in body
            assert code in (400, 403, 404)


@pytest.mark.parametrize("location", ["/etc", "file:///etc", "s3://b/k", "relative", "dbfs:/x"])
def test_no_experiment_is_made_whose_runs_would_write_elsewhere(location, running):
    body = {"name": f"at {location}", "artifact_location": location}
    code, _, told = running.known("/api/2.0/mlflow/experiments/create", "POST", body)
    assert code == 403
    assert "the artifacts of this store are there" in json.loads(told)["message"]
    assert len(json.loads(told)["message"].splitlines()) == 1


def _children(parent):
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return [int(pid) for pid, of in (line.split() for line in listed.splitlines()) if int(of) == parent]


def _own_address():
    """An address of this machine that is not loopback, or one where nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.2"


def test_a_port_that_is_taken_is_refused_before_anything_is_made(project):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} of 127.0.0.1 is taken"):
            ui.main(["--port", str(port)])
    assert not (project / "mlruns").exists()


def test_a_port_that_is_none_is_refused(project):
    with pytest.raises(InputError, match=r"a port lies in 1\.\.65535; got 70000"):
        ui.main(["--port", "70000"])


def test_a_damaged_database_is_told(project):
    (project / "mlruns").mkdir()
    (project / "mlruns" / "mlflow.db").write_text("no database " * 100)
    with pytest.raises(StoreError, match="is damaged"):
        ui.main([])
    assert list((project / "mlruns" / "artifacts").iterdir()) == []


@pytest.mark.parametrize(
    ("platform", "environment", "is_terminal", "expected"),
    [
        ("linux", {"DISPLAY": ":0"}, True, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True, True),
        ("linux", {}, True, False),
        ("darwin", {}, True, True),
        ("darwin", {}, False, False),
    ],
)
def test_a_browser_is_opened_for_a_person_at_a_screen(
    monkeypatch, platform, environment, is_terminal, expected
):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    assert ui.has_browser() == expected
