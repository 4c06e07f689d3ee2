import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from runback import ui
from runback.errors import InputError, StoreError

UI = [sys.executable, "-c", "import sys; from runback.ui import main; sys.exit(main(sys.argv[1:]))"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    root = tmp_path / "a project"
    (root / "conf").mkdir(parents=True)
    (root / "conf" / "train.yaml").write_text("")
    for name in ("MLFLOW_TRACKING_URI", "RUNBACK_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(root)
    return root


def _get(url, host=None, body=None):
    request = urllib.request.Request(url, body, {"Host": host} if host else {})  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        return answer.read().decode()


def _processes(group):
    """The processes of a group, as `ps` lists them; those that ended are left out."""
    listed = subprocess.run(
        ["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = (line.split(maxsplit=2) for line in listed.splitlines())
    return [row for row in rows if int(row[0]) == group and not row[1].startswith("Z")]


def test_the_ui_serves_this_machine_only_and_ends_with_ctrl_c(project, monkeypatch, capsys):
    with _running(project) as (process, url):
        port = int(url.rpartition(":")[2])

        assert _get(f"{url}/health") == "OK"  # the address is printed when it answers
        search = f"{url}/api/2.0/mlflow/experiments/search?max_results=10"
        (experiment,) = json.loads(_get(search))["experiments"]
        assert experiment["artifact_location"].startswith((project / "mlruns" / "artifacts").as_uri())
        page = _get(url)
        assert "<title>MLflow</title>" in page
        assert '"mlflow.workflowType_v1": \'"machine_learning"\'' in page

        for host in ("evil.example", f"10.evil.example:{port}", f"192.168.evil.example:{port}"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                _get(search, host=host)
            refused.value.close()
            assert refused.value.code == 403
        assert json.loads(_get(search, host=f"localhost:{port}"))["experiments"]
        with socket.socket() as other:
            assert other.connect_ex((_own_address(), port)) != 0

        # Elsewhere this server may be the store: then its address is all there is to say.
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url.replace("http://", "http://me:secret@"))
        assert ui.main([]) == 0
        assert capsys.readouterr().out == url.replace("http://", "http://***@") + "\n"

        servers = _children(process.pid)
        assert servers
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert [row for group in servers for row in _processes(group)] == []
    assert {path.name for path in project.iterdir()} == {"conf", "mlruns"}


def test_a_terminated_ui_leaves_no_process_behind(project):
    with _running(project) as (process, _):
        servers = _children(process.pid)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert servers
    assert [row for group in servers for row in _processes(group)] == []


@contextlib.contextmanager
def _running(project):
    """The command as a person runs it, and the address that it printed."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(UI, cwd=project, **pipes) as process:
        try:
            url = process.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
            yield process, url
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)


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
