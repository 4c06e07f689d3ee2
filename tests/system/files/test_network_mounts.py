"""SQLite files on network file systems are refused; the table of mounts is a made-up one."""

import contextlib
from types import SimpleNamespace

import psutil
import pytest

from runback.errors import StoreError
from runback.sweeping.study_place import StudyPlace
from runback.sweeping.sweep_settings import SweeperSettings
from runback.system.files.network_mounts import network_file_system, refuse_network_file
from runback.tracking.layout import Layout
from runback.tracking.store import open_store


@pytest.fixture
def mounted(monkeypatch, tmp_path):
    """Return a function that makes a folder a mount of this kind."""

    def mount(kind, folder=tmp_path):
        table = [
            SimpleNamespace(mountpoint="/", fstype="ext4"),
            SimpleNamespace(mountpoint=str(folder), fstype=kind),
        ]
        monkeypatch.setattr(psutil, "disk_partitions", lambda all=False: table if all else table[:1])

    return mount


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs"])
def test_a_network_file_system_is_known(mounted, tmp_path, kind):
    mounted(kind)
    assert network_file_system(tmp_path / "a" / "b.db") == kind
    with pytest.raises(StoreError, match="PostgreSQL"):
        refuse_network_file(tmp_path / "a" / "b.db", "it", "by this")


@pytest.mark.parametrize("kind", ["ext4", "overlay", "tmpfs", "lustre"])
def test_a_disk_is_none(mounted, tmp_path, kind):
    mounted(kind)
    assert network_file_system(tmp_path / "b.db") is None


def test_a_mount_beside_is_none(mounted, tmp_path):
    mounted("nfs4", tmp_path / "home")
    assert network_file_system(tmp_path / "homes" / "b.db") is None
    assert network_file_system(tmp_path / "home" / "b.db") == "nfs4"


def test_a_study_on_a_network_file_system_is_refused(mounted, tmp_path):
    mounted("nfs4")
    with (
        contextlib.ExitStack() as ends,
        pytest.raises(StoreError, match=r"hydra\.sweeper\.storage=postgresql"),
    ):
        StudyPlace.of(ends, SweeperSettings(), tmp_path / "sweep", "s")
    assert not (tmp_path / "sweep").exists()


def test_a_store_of_runs_on_a_network_file_system_is_refused(mounted, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    mounted("nfs4")
    with pytest.raises(StoreError, match="MLFLOW_TRACKING_URI"):
        open_store(Layout(tmp_path))
    assert not (tmp_path / "mlruns").exists()
