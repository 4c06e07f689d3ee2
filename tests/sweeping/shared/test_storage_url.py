"""Addresses of studies' databases: what they may have, and that they never have a password."""

import json
import socket
import struct
import threading

import pytest

from runback.errors import InputError
from runback.sweeping.shared.storage_url import StorageUrl
from runback.sweeping.shared.study_database import study_names
from runback.sweeping.shared.study_pointer import POINTER, read_pointer, write_pointer
from runback.sweeping.sweep_settings import SweeperSettings


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me@host:5433/db",
        "postgresql://host/db",
        "postgresql:///db",
        "postgresql://me@[::1]:5432/db",
        "postgresql://me%40work@host/db?sslmode=require",
    ],
)
def test_an_address_is_read_and_written_the_same(text):
    assert str(StorageUrl.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me:hunter2hunter2@host/db",
        "postgresql://me:hunter2hunter2@host:5432/db?sslmode=require",
        "postgresql://me@host/db?password=hunter2hunter2",
        "postgresql://me@host/db?passfile=hunter2hunter2",
        "postgresql://me:@host/db",
        "postgresql://me:hunter2hunter2/@host/db",
    ],
)
def test_a_password_in_an_address_is_refused_and_not_repeated(text):
    with pytest.raises(InputError) as refused:
        StorageUrl.parse(text)
    assert "hunter2" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        None,
        3,
        "",
        "sqlite:///study.db",
        "postgres://host/db",
        "postgresql+psycopg://host/db",
        "postgresql://host",
        "postgresql://host/",
        "postgresql://host/a/b",
        "postgresql://host:port/db",
        "postgresql://ho st/db",
        "postgresql://a,b/db",
        "postgresql://host/db?sslkey=/etc/passwd",
        "postgresql://host/db?host=other",
        "postgresql://host/db?service=x",
        "postgresql://host/db#x",
        "postgresql://host/d%00b",
        "postgresql://host/" + "d" * 600,
    ],
)
def test_what_is_no_address_of_a_database_is_one_line(text):
    with pytest.raises(InputError) as refused:
        StorageUrl.parse(text)
    assert "\n" not in str(refused.value)


def test_a_deterministic_sweep_does_not_share_its_study():
    settings = SweeperSettings(storage="postgresql://host/db", deterministic=True)
    with pytest.raises(InputError, match="deterministic=true cannot be kept"):
        settings.check()


def test_the_file_that_says_where_a_study_is_has_no_password(tmp_path):
    assert read_pointer(tmp_path) is None
    write_pointer(tmp_path, StorageUrl.parse("postgresql://me@host/db"))
    assert str(read_pointer(tmp_path)) == "postgresql://me@host/db"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b'{"storage": 1}',
        b"\xff",
        json.dumps({"storage": "postgresql://me:secretsecret@host/db"}).encode(),
        json.dumps({"storage": "sqlite:////etc/passwd"}).encode(),
        b"[" * 100_000,
    ],
)
def test_a_file_of_somebody_elses_is_refused_in_one_line(tmp_path, content):
    (tmp_path / POINTER).write_bytes(content)
    with pytest.raises(InputError) as refused:
        read_pointer(tmp_path)
    assert "secretsecret" not in str(refused.value)


def test_no_password_goes_to_a_server_that_a_file_names_but_by_scram(tmp_path):
    write_pointer(tmp_path, StorageUrl.parse("postgresql://me@host/db"))
    assert read_pointer(tmp_path).connection["require_auth"] == "scram-sha-256,none"
    assert "require_auth" not in StorageUrl.parse("postgresql://me@host/db").connection


@pytest.mark.parametrize(
    "asks", [struct.pack("!I", 3), struct.pack("!I4s", 5, b"salt")], ids=["clear", "md5"]
)
def test_a_server_that_asks_for_what_gives_a_password_away_is_refused_in_one_line(asks, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "hunter2hunter2")
    with socket.create_server(("127.0.0.1", 0)) as server:
        said = []

        def serve():
            connection, _ = server.accept()
            with connection:
                while True:
                    length, code = struct.unpack("!II", connection.recv(8, socket.MSG_WAITALL))
                    connection.recv(length - 8)
                    if code >> 16 == 3:  # else it would encrypt
                        break
                    connection.sendall(b"N")
                connection.sendall(b"R" + struct.pack("!I", 4 + len(asks)) + asks)
                said.append(connection.recv(100))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = StorageUrl.parse(f"postgresql://me@127.0.0.1:{server.getsockname()[1]}/db", "a file")
        with pytest.raises(InputError, match="expected scram-sha-256"):
            study_names(url)
        thread.join(30)
    assert said == [b""]
