"""Real uv and a real source package, whose build code leaves a trace; nothing comes from the network."""

import hashlib
import io
import subprocess
import sys
import tarfile
import threading
import zipfile
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from runback.errors import InputError
from runback.provenance.machine.locked_environment import Terms, locked_python

BACKEND = """
import pathlib, zipfile

pathlib.Path({trace!r}).write_text("built")


def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "dep-1.0-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as wheel:
        wheel.writestr("dep.py", "")
        info = "dep-1.0.dist-info"
        wheel.writestr(f"{{info}}/METADATA", "Metadata-Version: 2.1\\nName: dep\\nVersion: 1.0\\n")
        wheel.writestr(f"{{info}}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{{info}}/RECORD", "")
    return name


build_editable = build_wheel
"""

BUILT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'

DEPENDENCY = f'{BUILT}[project]\nname = "dep"\nversion = "1.0"\n'

PROJECT = '[project]\nname = "own"\nversion = "1.0"\nrequires-python = ">=3.11"\ndependencies = ["dep"]\n'

LOCK = """version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "dep"
version = "1.0"
source = {{ {source} }}

[[package]]
name = "own"
version = "1.0"
source = {{ {own} = "." }}
dependencies = [{{ name = "dep" }}]
"""

VERSION = ".".join(str(part) for part in sys.version_info[:3])


@dataclass(frozen=True)
class Strangers:
    """A stranger's project with a package that is built."""

    folder: Path

    @property
    def was_built(self) -> bool:
        return (self.folder.parent / "trace").exists()

    def install(self, *, build: bool, version: str = VERSION) -> Path:
        environments = self.folder.parent / "environments"
        return locked_python(self.folder, [], version, environments, Terms("f" * 64, build=build))


@pytest.fixture
def strangers(tmp_path, monkeypatch) -> Strangers:
    for name in ("UV_CONFIG_FILE", "UV_NO_BUILD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "project"
    folder.mkdir()
    backend = BACKEND.format(trace=str(tmp_path / "trace"))
    with tarfile.open(folder / "dep-1.0.tar.gz", "w:gz") as archive:
        for name, text in (("pyproject.toml", DEPENDENCY), ("backend.py", backend), ("PKG-INFO", METADATA)):
            info = tarfile.TarInfo(f"dep-1.0/{name}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "uv.lock").write_text(LOCK.format(source='path = "dep-1.0.tar.gz"', own="virtual"))
    return Strangers(folder)


METADATA = "Metadata-Version: 2.1\nName: dep\nVersion: 1.0\n"


def test_no_build_code_of_a_strangers_package_runs_unless_that_was_agreed_to(strangers):
    with pytest.raises(InputError, match=r"--no-build.*; --build lets it run its build code"):
        strangers.install(build=False)
    assert not strangers.was_built
    python = strangers.install(build=True)
    assert strangers.was_built
    subprocess.run([python, "-c", "import dep"], check=True)


def test_the_strangers_project_itself_is_not_built_but_imported(strangers):
    (strangers.folder / "pyproject.toml").write_text(BUILT + PROJECT.replace('["dep"]', "[]"))
    (strangers.folder / "backend.py").write_text(BACKEND.format(trace=str(strangers.folder.parent / "trace")))
    lock = LOCK.format(source='path = "x"', own="editable")
    own = lock[lock.index('[[package]]\nname = "own"') :].replace('dependencies = [{ name = "dep" }]\n', "")
    (strangers.folder / "uv.lock").write_text(lock[: lock.index("[[package]]")] + own)
    assert strangers.install(build=False).is_file()
    assert not strangers.was_built


@pytest.mark.parametrize("file", ["pyproject.toml", "uv.toml"])
def test_a_strangers_settings_for_uv_do_not_count(strangers, tmp_path, monkeypatch, file):
    monkeypatch.delenv("UV_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own cache"))
    elsewhere = tmp_path / "elsewhere"
    head = "[tool.uv]\n" if file == "pyproject.toml" else ""
    with (strangers.folder / file).open("a") as stream:
        stream.write(f'{head}cache-dir = "{elsewhere}"\nno-build = false\n')
    with pytest.raises(InputError, match="--no-build"):
        strangers.install(build=False)
    assert not elsewhere.exists()
    assert not strangers.was_built


@pytest.mark.parametrize("version", ["program", "3.12", "2.7.18", "3.99.0", "3.12.1+", "3.12.1\n", "cpython"])
def test_only_a_version_that_is_supported_is_a_python(strangers, version):
    program = strangers.folder / "program"
    program.write_text(f"#!/bin/sh\ntouch '{strangers.folder.parent / 'trace'}'\n")
    program.chmod(0o755)
    given = str(program) if version == "program" else version
    with pytest.raises(InputError, match="the run's Python must be a version"):
        strangers.install(build=True, version=given)
    assert not strangers.was_built


@pytest.mark.parametrize(
    "text",
    [
        '[dependency-groups]\n"--script=evil" = []\n',
        "[dependency-groups]\n" + "".join(f"g{number} = []\n" for number in range(101)),
        "dependency-groups = 3\n",
        "[project]\noptional-dependencies = 3\n",
    ],
    ids=["option", "many", "number", "extras"],
)
def test_groups_that_are_no_plain_names_are_refused(strangers, text):
    (strangers.folder / "pyproject.toml").write_text(text)
    with pytest.raises(InputError, match=r"the run's pyproject\.toml"):
        strangers.install(build=False)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *facts: object) -> None:
        pass


def test_a_wheel_that_only_seems_to_be_the_usual_registrys_stays_out_of_the_cache(
    strangers, tmp_path, monkeypatch
):
    monkeypatch.delenv("UV_OFFLINE")
    wheel = tmp_path / "served" / "@files.pythonhosted.org" / "dep-1.0-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        info = "dep-1.0.dist-info"
        archive.writestr("dep.py", "")
        archive.writestr(f"{info}/METADATA", METADATA)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "served"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = rf"http://127.0.0.1:{server.server_port}\\@files.pythonhosted.org/{wheel.name}"
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    source = (
        f'registry = "https://pypi.org/simple" }}\nwheels = [{{ url = "{url}", hash = "sha256:{sha256}" }}]'
    )
    text = LOCK.format(source="@", own="virtual").replace("@ }", source)
    (strangers.folder / "uv.lock").write_text(text)
    try:
        python = strangers.install(build=False)
    finally:
        server.shutdown()
        server.server_close()
    subprocess.run([python, "-c", "import dep"], check=True)
    assert not [one for one in (tmp_path / "cache").rglob("*") if "dep" in one.name]
