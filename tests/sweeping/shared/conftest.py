"""A PostgreSQL server for the tests of this folder, and the password by which clients use it."""

import pytest


@pytest.fixture
def database(postgres, request, monkeypatch):
    """Return the address of a fresh database."""
    monkeypatch.setenv("PGPASSWORD", postgres.password)
    return postgres.url(f"test_{abs(hash(request.node.nodeid)) % 10**9}")
