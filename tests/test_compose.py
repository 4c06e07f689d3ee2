"""docker-compose.yaml starts what tests/tracking_server.py does; docs/tracking-server.md is true of both."""

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from postgres_server import INITDB, USER
from tracking_server import DATABASE, QUIET, SECRETS, USERS, command

ROOT = Path(__file__).parents[1]

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text(encoding="utf-8"))

SERVICES = COMPOSE["services"]

EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")

PAGE = (ROOT / "docs" / "tracking-server.md").read_text(encoding="utf-8")

URI = f"postgresql+psycopg://{USER}@postgres/{DATABASE}"


def test_mlflow_is_started_by_the_same_command():
    words = SERVICES["mlflow"]["command"]
    hosts = words[words.index("--allowed-hosts") + 1].split(",")
    assert words == command(URI, "s3://runback", "0.0.0.0", 5000, 4, *hosts)  # noqa: S104 - in a container
    assert hosts == ["127.0.0.1:5000", "localhost:5000", "${MLFLOW_HOST:-localhost}"]


def test_mlflow_gets_the_same_settings():
    environment = SERVICES["mlflow"]["environment"]
    assert QUIET.items() <= environment.items()
    assert {*SECRETS[1:], "PGPASSWORD", "MLFLOW_AUTH_CONFIG_PATH"} <= set(environment)
    assert COMPOSE["configs"]["users"]["content"].strip() == USERS.format(uri=URI).strip()


def test_mlflow_is_of_the_version_that_is_tested():
    assert f'"mlflow[auth]=={version("mlflow")}"' in SERVICES["mlflow"]["build"]["dockerfile_inline"]


def test_postgresql_is_made_the_same_way():
    postgres = SERVICES["postgres"]
    environment = postgres["environment"]
    assert (environment["POSTGRES_USER"], environment["POSTGRES_DB"]) == (USER, DATABASE)
    assert environment["POSTGRES_HOST_AUTH_METHOD"] == "scram-sha-256"
    given = environment["POSTGRES_INITDB_ARGS"].replace("--auth-host=", "--auth=").replace("=", " ")
    assert given.split() == list(INITDB)


def test_only_mlflow_is_reached_from_outside_and_from_this_machine_only():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"mlflow": ["127.0.0.1:5000:5000"]}


def test_no_secret_is_in_the_file_and_each_is_in_the_example():
    text = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8")
    named = set(re.findall(r"\$\{(\w+)", text))
    assert named == set(re.findall(r"^(\w+)=", EXAMPLE, re.MULTILINE))
    for key, value in SERVICES["mlflow"]["environment"].items():
        if key.endswith(("PASSWORD", "KEY", "KEY_ID")):
            assert value.startswith("${"), key
    ignored = subprocess.run(["git", "check-ignore", "--quiet", ".env"], cwd=ROOT, check=False)
    assert ignored.returncode == 0


def test_the_bucket_is_made_once_by_the_script_that_the_file_holds():
    server = pytest.importorskip("moto.server")
    store = server.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    store.start()
    try:
        host, port = store.get_host_and_port()
        environment = {
            **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "x"),
            "AWS_DEFAULT_REGION": "us-east-1",
            "MLFLOW_S3_ENDPOINT_URL": f"http://{host}:{port}",
        }
        script = COMPOSE["configs"]["make_bucket"]["content"]
        for _ in range(2):
            subprocess.run([sys.executable, "-c", script], env={**os.environ, **environment}, check=True)
    finally:
        store.stop()


def test_the_page_names_the_variables_and_options_that_there_are():
    from mlflow import environment_variables
    from mlflow.server.auth.client import AuthServiceClient

    for name in set(re.findall(r"\b(?:MLFLOW|POSTGRES|S3|AWS)_[A-Z_0-9]+\b", PAGE)):
        known = hasattr(environment_variables, name) or name in EXAMPLE
        assert known or name.startswith("AWS_"), f"{name} is no variable"
    for method in re.findall(r"\bclient\.(\w+)\(?", PAGE):
        assert hasattr(AuthServiceClient, method)
    helped = subprocess.run(
        [sys.executable, ROOT / "tests" / "tracking_server.py", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for option in re.findall(r"tests/tracking_server\.py [^\n`]*?(--\w+)", PAGE):
        assert option in helped
    services = set(re.findall(r"docker compose exec (?:-T )?(\w+)", PAGE))
    assert services <= set(SERVICES)
