"""Addresses of servers, and what is said of servers that do not let one in: small real ones on loopback."""

import contextlib
import datetime
import http.server
import ipaddress
import os
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from runback.errors import InputError, StoreAway, StoreError
from runback.tracking.layout import Layout
from runback.tracking.store import Store, open_store
from runback.tracking.tracking_server import checked_uri, given_words, is_in_clear, take_uri

CREDENTIALS = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch, tmp_path):
    for name in ("USERNAME", "PASSWORD", "TOKEN", "SERVER_CERT_PATH"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # what a test sets is undone
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.setattr("runback.tracking.tracking_server._given", [])
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.fixture
def credentials(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "geheim")


@pytest.fixture
def certificate(tmp_path):
    """A file with a self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "key.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return tmp_path / "key.pem"


@contextlib.contextmanager
def answering(status=200, body=b'{"experiments": []}', location=None, certificate=None):
    """Answer every request alike; give the port, and the headers of the requests."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(dict(self.headers))
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815 - the library's names

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1], asked
        finally:
            server.shutdown()
            thread.join()


def trouble(tmp_path, monkeypatch, uri) -> str:
    """Return what is said of a server as the store; it is one line."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(StoreError) as caught:
        open_store(Layout(tmp_path))
    said = str(caught.value)
    assert "\n" not in said
    assert "geheim" not in said
    start = f"cannot use the store {uri}: "
    assert said.startswith(start)
    return said.removeprefix(start)


def test_the_word_of_the_command_line_names_the_server_of_this_process_and_its_children():
    assert take_uri(["a=1", "tracking.uri='https://mlflow.example/'", "b=2"]) == ["a=1", "b=2"]
    assert os.environ["MLFLOW_TRACKING_URI"] == "https://mlflow.example"
    assert given_words() == ["tracking.uri=https://mlflow.example"]
    assert take_uri(["tracking.experiment=x", "model.tracking.uri=y"]) != []


@pytest.mark.parametrize(
    "uri",
    ["http://127.0.0.1:5000", "https://mlflow.example", "https://host/a/prefix", "http://[::1]:5000"],
)
def test_addresses_of_servers_are_taken(uri):
    assert checked_uri(uri) == uri


@pytest.mark.parametrize(
    "uri",
    [
        *("", "mlflow.example", "https://", "ftp://host", "sqlite:///runs.db", "file:///tmp", "databricks"),
        *("https://host:port", "https://host:99999", "https://a,https://b", "https://host/?token=x"),
        *("https://host/\x1b[2J", "https://ho st", "https://höst", "https://host#x", "https://[::1", "${x}"),
    ],
)
def test_what_is_no_address_of_a_server_is_refused_in_one_line(uri):
    with pytest.raises(InputError, match=r"^tracking.uri must be the address of a tracking server") as caught:
        take_uri([f"tracking.uri={uri}"])
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "uri", ["https://ada:geheim@host", "http://token@host:5000/x", "https://a:p@ss@host"]
)
def test_an_address_with_a_password_is_refused_without_it(uri):
    with pytest.raises(InputError) as caught:
        take_uri([f"tracking.uri={uri}"])
    said = str(caught.value)
    assert said.startswith("tracking.uri must hold no user and password; got http")
    assert said.endswith(f"set {CREDENTIALS}, in the environment")
    assert not any(secret in said for secret in ("geheim", "token@", "p@ss", "ss@host"))


def test_a_server_that_asks_for_credentials_says_what_to_set(tmp_path, monkeypatch):
    with answering(401, b"You are not authenticated.") as (port, _):
        said = trouble(tmp_path, monkeypatch, f"http://127.0.0.1:{port}")
    assert said == f"it asks for credentials: set {CREDENTIALS}, in the environment"


@pytest.mark.usefixtures("credentials")
def test_a_server_that_does_not_know_the_credentials_says_where_they_are_from(tmp_path, monkeypatch):
    with answering(401, b"You are not authenticated.") as (port, asked):
        said = trouble(tmp_path, monkeypatch, f"http://127.0.0.1:{port}")
    assert said == f"it does not accept the credentials in the environment ({CREDENTIALS})"
    assert asked[0]["Authorization"].startswith("Basic ")


@pytest.mark.usefixtures("credentials")
def test_a_redirect_is_not_followed(tmp_path, monkeypatch):
    with answering() as (other, asked), answering(307, b"", f"http://localhost:{other}/x") as (port, _):
        said = trouble(tmp_path, monkeypatch, f"http://127.0.0.1:{port}")
    assert said == "it redirects (307), which is not followed: give the address that it leads to"
    assert asked == []


@pytest.mark.usefixtures("credentials")
def test_a_redirect_that_a_person_lets_be_followed_takes_no_credentials_along(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_HTTP_REDIRECTS", "true")
    with answering() as (other, asked), answering(307, b"", f"http://localhost:{other}/x") as (port, _):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        open_store(Layout(tmp_path))
    assert asked
    assert not any("Authorization" in headers for headers in asked)


@pytest.mark.usefixtures("credentials")
def test_a_self_signed_certificate_says_what_to_set_and_is_taken_then(tmp_path, monkeypatch, certificate):
    with answering(certificate=certificate) as (port, asked):
        said = trouble(tmp_path, monkeypatch, f"https://127.0.0.1:{port}")
        assert said == (
            "its certificate is not trusted (self-signed certificate): set MLFLOW_TRACKING_SERVER_CERT_PATH "
            "to a file with that certificate, or with its authority's"
        )
        assert asked == []
        monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", "/nowhere.pem")
        said = trouble(tmp_path, monkeypatch, f"https://127.0.0.1:{port}")
        assert said == "MLFLOW_TRACKING_SERVER_CERT_PATH must name a file of certificates; got '/nowhere.pem'"
        monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(certificate))
        assert open_store(Layout(tmp_path)).is_server
    assert asked[0]["Authorization"].startswith("Basic ")


def test_servers_that_are_not_there_are_said_to_be_away(tmp_path, monkeypatch):
    for uri, reason in {
        "http://127.0.0.1:9": "Connection refused",
        "http://nowhere.invalid:5000": "Name or service not known",
    }.items():
        said = trouble(tmp_path, monkeypatch, uri)
        assert said == f"it does not answer ({reason})"
        with pytest.raises(StoreAway):
            open_store(Layout(tmp_path))


def test_a_server_that_fails_is_said_to_fail(tmp_path, monkeypatch):
    with answering(503, b"<html>") as (port, _):
        said = trouble(tmp_path, monkeypatch, f"http://127.0.0.1:{port}")
    assert said == "it answers with errors (503): its own log says why"


@pytest.mark.parametrize(
    "location",
    [
        *("/etc", "file:///etc", "./mlruns", "http://127.0.0.1:9/x", "https://evil.example", "ftp://host"),
        *("mlflow-artifacts://evil.example/x", "mlflow-artifacts://ada@server/x", "dbfs:/x", "", "models:/x"),
    ],
)
def test_a_server_leads_neither_to_this_disk_nor_to_another_server(tmp_path, location):
    store = Store("https://server", None, Layout(tmp_path))
    with pytest.raises(InputError, match=r"^the folder of x must be behind the server"):
        store.place(location, "the folder of x")


def test_a_server_leads_to_itself_and_to_object_stores(tmp_path):
    store = Store("https://server:5000/prefix", None, Layout(tmp_path))
    for location in (
        "mlflow-artifacts:/1/x",
        "mlflow-artifacts://server:5000/1/x",
        "s3://bucket/x",
        "gs://b/x",
    ):
        assert store.place(location, "the folder of x") is None


def test_only_credentials_over_a_network_without_tls_are_in_clear(monkeypatch):
    assert not is_in_clear("http://mlflow.example")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "geheim")
    assert is_in_clear("http://mlflow.example")
    assert not is_in_clear("https://mlflow.example")
    assert not is_in_clear("http://127.0.0.1:5000")
