import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from runback.housekeeping import package_checks
from runback.housekeeping.package_checks import PACKAGES, missing_cuda, version_checks

ROOT = Path(__file__).parents[2]


def by_name(checks):
    return {check.name: check for check in checks}


def test_what_is_installed_here_is_in_range(tmp_path):
    checks = by_name(version_checks(tmp_path))
    assert list(checks) == ["python", *PACKAGES]
    assert {check.state for check in checks.values()} == {"ok"}
    assert checks["mlflow"].found == version("mlflow")


@pytest.mark.parametrize("installed", ["2.15.1", "2.22.0"])
def test_a_version_out_of_range_is_a_problem_that_tells_the_range(tmp_path, monkeypatch, installed):
    own = version
    monkeypatch.setattr(
        package_checks, "version", lambda name: installed if name == "tensorflow" else own(name)
    )
    check = by_name(version_checks(tmp_path))["tensorflow"]
    assert check.state == "problem"
    assert check.found == f"{installed}; runback works with <2.22,>=2.21"
    assert "make clean setup" in check.advice


def test_a_package_that_is_missing_is_a_problem(tmp_path, monkeypatch):
    monkeypatch.setattr(package_checks, "PACKAGES", ("no-such-package",))
    check = by_name(version_checks(tmp_path))["no-such-package"]
    assert (check.state, check.found) == ("problem", "not installed")


def test_other_packages_than_the_locked_ones_are_named(tmp_path):
    text = (ROOT / "uv.lock").read_text()
    entry = f'name = "optuna"\nversion = "{version("optuna")}"'
    assert entry in text
    (tmp_path / "uv.lock").write_text(text.replace(entry, 'name = "optuna"\nversion = "5.0.9"'))
    check = by_name(version_checks(tmp_path))["uv.lock"]
    assert check.state == "warning"
    assert f"optuna {version('optuna')} (locked: 5.0.9)" in check.found


def test_a_damaged_lock_file_is_a_warning(tmp_path):
    (tmp_path / "uv.lock").write_text("[[package]\n")
    assert by_name(version_checks(tmp_path))["uv.lock"].found.startswith("cannot be read")


def test_cudas_libraries_are_missing_or_all_there():
    missing = missing_cuda()
    assert all(name.startswith("nvidia-") for name in missing)
    if shutil.which("nvidia-smi") is None:
        assert "nvidia-cudnn-cu12" in missing


def test_versions_are_told_without_importing_what_they_are_of():
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from runback.housekeeping.package_checks import version_checks\n"
        "version_checks(Path())\nprint(*sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"tensorflow", "keras", "mlflow", "optuna", "hydra"} & set(done.stdout.split())
