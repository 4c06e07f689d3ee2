"""What MLflow's server reads and writes of artifacts; the server itself is asked in tests/test_ui.py."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import mlflow.server
import pytest
from mlflow.exceptions import MlflowException
from mlflow.server import handlers
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from runback.tracking.server.confined_artifacts import Confined, ConfinedRegistry, is_inside


@pytest.fixture
def root(tmp_path):
    """A folder of artifacts, one of them in a run's folder, and a secret beside it."""
    root = tmp_path / "mlruns" / "artifacts"
    (root / "run").mkdir(parents=True)
    (root / "run" / "plain.txt").write_text("plain")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "traces.json").write_text('{"secret": 1}')
    return root


def refused(act, *arguments):
    with pytest.raises(MlflowException) as error:
        act(*arguments)
    assert error.value.get_http_status_code() == 403
    assert len(error.value.message.splitlines()) == 1


def test_artifacts_inside_are_read_written_and_deleted(root, tmp_path):
    artifacts = ConfinedRegistry(root).get_artifact_repository((root / "run").as_uri())
    assert Path(artifacts.get_local_path("plain.txt")).read_text() == "plain"
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "one.txt").write_text("one")
    artifacts.log_artifacts(str(tmp_path / "new"), "sub")
    artifacts.log_artifact(str(tmp_path / "new" / "one.txt"))
    assert [found.path for found in artifacts.list_artifacts()] == ["one.txt", "plain.txt", "sub"]
    assert [found.path for found in artifacts.list_artifacts("sub")] == ["sub/one.txt"]
    assert Path(artifacts.download_artifacts("sub", str(tmp_path / "new")), "one.txt").read_text() == "one"
    artifacts.delete_artifacts("sub")
    assert [found.path for found in artifacts.list_artifacts()] == ["one.txt", "plain.txt"]


def test_a_folder_that_links_lead_to_is_itself_inside(root, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "mlruns")
    for place in (tmp_path / "link" / "artifacts", root):
        for uri in ((root / "run").as_uri(), str(tmp_path / "link" / "artifacts" / "run")):
            assert Confined(uri, place).get_local_path("plain.txt")


def test_no_link_is_followed_outside(root, tmp_path):
    run, outside = root / "run", tmp_path / "outside"
    (run / "folder").symlink_to(outside)
    (run / "traces.json").symlink_to(outside / "traces.json")
    artifacts = Confined(run.as_uri(), root)
    for path in ("folder", "traces.json", "folder/traces.json", "folder/new"):
        refused(artifacts.get_local_path, path)
        refused(artifacts.list_artifacts, path)
        refused(artifacts.delete_artifacts, path)
        with pytest.raises(MlflowException, match="lies outside"):
            artifacts.download_artifacts(path, str(tmp_path))
        refused(artifacts._download_file, path, str(tmp_path / "copy"))
        assert not artifacts._is_directory(path)
    refused(artifacts.delete_artifacts, "../../../outside")
    refused(artifacts.download_trace_data)
    (tmp_path / "new" / "folder").mkdir(parents=True)
    for name in ("traces.json", "folder/traces.json"):
        (tmp_path / "new" / name).write_text("overwritten")
    refused(artifacts.log_artifacts, str(tmp_path / "new"))
    refused(artifacts.log_artifact, str(tmp_path / "new" / "traces.json"), "folder")
    assert (outside / "traces.json").read_text() == '{"secret": 1}'
    assert [found.path for found in artifacts.list_artifacts()] == ["plain.txt"]
    assert [path.name for path in outside.iterdir()] == ["traces.json"]


def test_what_is_no_path_lies_nowhere(root):
    for path in (Path("\0"), root / "..", root.parent, Path("relative")):
        assert not is_inside(path, root)
    refused(Confined, f"{root}\0", root)
    refused(Confined, f"{root}\0", root)


@pytest.mark.parametrize(
    "scheme", ["s3", "gs", "http", "https", "ftp", "sftp", "dbfs", "runs", "models", "hdfs"]
)
def test_nothing_but_files_is_read(root, scheme):
    refused(ConfinedRegistry(root).get_artifact_repository, f"{scheme}://somewhere/key")


def test_a_password_in_a_location_is_not_told(root):
    with pytest.raises(MlflowException) as error:
        Confined("ftp://me:pass123@somewhere/x", root)
    assert "pass123" not in error.value.message


CONFINED = """
import sys
from pathlib import Path
from runback.tracking.server.confined_artifacts import Confined, confine
root = Path(sys.argv[1])
confine(root)
from mlflow.server import handlers
from mlflow.artifacts import list_artifacts
from mlflow.tracking._tracking_service.utils import _get_store
assert type(handlers._get_artifact_repository_for_uri((root / "run").as_uri())) is Confined
for act in (handlers._get_artifact_repository_for_uri, list_artifacts):
    try:
        act(root.parent.as_uri())
    except Exception as error:
        assert "lies outside" in str(error), error
    else:
        raise AssertionError(act)
"""


def test_mlflow_asks_here_for_all_artifacts(root):
    """A canary: another MLflow may make its stores of artifacts elsewhere."""
    words = [sys.executable, "-c", CONFINED, str(root)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    source = inspect.getsource(handlers)
    assert "from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository" in source
    for file in Path(mlflow.server.__file__).parent.rglob("*.py"):
        assert not re.search(r"(Local|S3|Http|Mlflow)\w*Repository\(", file.read_text()), file


def test_mlflow_reads_and_writes_files_by_these_methods(root):
    """A canary: each one is confined, or calls one that is; look at what another MLflow adds."""
    own = {name for name, member in vars(LocalArtifactRepository).items() if callable(member)} - {"__init__"}
    of_confined = set(vars(Confined))
    by_destination = {
        *("log_artifact", "log_artifact_from_stream", "log_artifact_from_async_stream"),
        *("_write_to_destination_path", "_create_staging_artifact", "_get_or_create_artifact_dir"),
        *("_publish_staged_artifact", "_cleanup_staged_artifact"),
    }
    assert own - of_confined == by_destination | {"download_artifacts"}


def test_what_mlflow_decodes_again_where_it_deletes_is_refused(root, tmp_path):
    for up in ("%2e%2e", "%252e%252e", "%25252e%25252e"):
        (root / "run" / up / up / up).mkdir(parents=True)
        (root / "run" / up / up / up / "outside").mkdir()
    run = (root / "run").as_uri()
    for location in (
        f"{run}/{'/'.join(['%252e%252e'] * 3)}/outside",
        f"{root}/run/{'/'.join(['%252e%252e'] * 3)}",
    ):
        refused(Confined, location, root)
    refused(Confined(run, root).delete_artifacts, "%2e%2e/%2e%2e/%2e%2e/outside")
    assert (tmp_path / "outside" / "traces.json").is_file()
