"""What is cut: no part of a secret stays at the cut."""

import pytest

from runback.sweeping.trials.exception_report import failed
from runback.system.secrecy import redacted_excerpt
from runback.tracking.mlflow_limits import first_line

SECRET = "plnt" + "k7Q" * 12


@pytest.mark.parametrize("before", range(7950, 8001, 7))
def test_of_a_secret_at_the_cut_of_a_traceback_nothing_stays(monkeypatch, before):
    monkeypatch.setenv("CUT_TOKEN", SECRET)
    for shift in (0, 200, 400):
        told = failed(ValueError("a " * ((before - shift) // 2) + SECRET + " b" * 9000))
        assert "plnt" not in (told.traceback or "").replace("CUT_TOKEN", "")


@pytest.mark.parametrize("before", range(440, 505, 9))
def test_of_a_secret_or_token_at_the_cut_of_an_excerpt_nothing_stays(monkeypatch, before):
    monkeypatch.setenv("CUT_TOKEN", SECRET)
    for secret in (SECRET, "ghp_plnt" + "Zt4Rb8Vn" * 4):
        assert "plnt" not in redacted_excerpt("a" * (before - 1) + " " + secret + " b" * 1000, 1000)
        assert "plnt" not in redacted_excerpt("b " * 1000 + secret + " " + "a" * (before - 1), 1000)


def test_many_secrets_before_it_bring_no_part_of_one_into_a_line(monkeypatch):
    monkeypatch.setenv("CUT_TOKEN", SECRET)
    for shift in range(40):
        assert "plnt" not in first_line("x" * shift + f"{SECRET} " * 400)
