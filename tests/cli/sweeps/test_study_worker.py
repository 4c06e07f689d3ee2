"""`runback worker`: what it refuses before anything of a sweep is run."""

import subprocess

import pytest

from runback.cli.sweeps import study_worker as worker
from runback.errors import InputError
from runback.sweeping.shared.recorded_sweep import FORMAT, RecordedSweep
from runback.sweeping.shared.storage_url import StorageUrl
from runback.sweeping.shared.study_database import open_storage
from runback.sweeping.space.search_identity import Search
from runback.sweeping.space.search_space import parse
from runback.sweeping.study.attributes import RECORDED_SWEEP
from runback.sweeping.study.study_store import open_study


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The working directory: a project in a repository."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("[tool.runback]\n")
    (folder / "train.py").write_text("raise SystemExit('it is run')")
    git = ("git", "-c", "user.name=me", "-c", "user.email=me@localhost")
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "one")):
        subprocess.run([*git, *words], cwd=folder, check=True)
    monkeypatch.chdir(folder)
    for name in ("RUNBACK_ROOT", "RUNBACK_MLRUNS", "RUNBACK_AGREED"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def study(postgres, project, request, monkeypatch, tmp_path):
    """Returns a function that makes the study of a sweep with this record; it returns its database."""
    monkeypatch.setenv("PGPASSWORD", postgres.password)
    url = postgres.url(f"worker_{abs(hash(request.node.nodeid)) % 10**9}")

    def make(name="s", **changes):
        storage = open_storage(StorageUrl.parse(url))
        search = Search.of(parse({"x": "interval(0, 1)"}, [], None), ("maximize",), {"x": "0.5"})
        made = open_study(tmp_path, name, search, storage=storage)
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=project, capture_output=True, text=True)
        code = {"commit": head.stdout.strip(), "changes": None, "project": "."}
        made.set_user_attr(RECORDED_SWEEP, record(**{"code": code, **changes}))
        storage.engine.dispose()
        return url

    return make


def refused(*words):
    with pytest.raises(InputError) as error:
        worker.main([*words])
    assert "\n" not in str(error.value)
    return str(error.value)


def record(**changes):
    """Return what the study of a sweep has for workers."""
    return {
        "format": FORMAT,
        "task": {"script": "train.py", "name": "train"},
        "overrides": ["x=interval(0,1)", "hydra.sweeper.n_trials=3"],
        "code": {"commit": "0" * 40, "changes": None, "project": "."},
        "data": None,
        "n_trials": 3,
        **changes,
    }


def refused_record(content):
    with pytest.raises(InputError) as error:
        RecordedSweep.from_json(content, "s")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_record_is_read_as_it_was_written():
    sweep = RecordedSweep.from_json(record(), "s")
    assert (sweep.n_trials, sweep.commit, sweep.is_own) == (3, "0" * 40, False)


@pytest.mark.parametrize(
    "override",
    [
        "hydra.run.dir=/tmp",
        "hydra.sweep.dir=/tmp",
        "hydra.sweeper.preload=[os]",
        "hydra.sweeper.storage=postgresql://elsewhere/db",
        "hydra.sweeper.engine.name=slurm",
        "+hydra.searchpath=[file:///tmp]",
        "hydra/launcher=other",
        "x=${oc.env:HOME}${oc.decode:1}",
        "no override",
        "package@other=1",
        "tracking.uri=http://elsewhere:5000",
        "++tracking.uri=http://elsewhere:5000",
        "--config-dir=/tmp",
        "-cd=/tmp",
        "--package=_global_",
        "=1",
        "model=../../../tmp/written",
        "model=[deep,'../../tmp/written']",
        "hydra.sweeper.params.model=choice(deep,../../tmp/written)",
        "hydra.sweeper.params={hydra.run.dir: /tmp}",
        "hydra.sweeper.params.hydra.run.dir=/tmp",
        "hydra.sweeper.params={tracking.uri: 'choice(a,b)'}",
        "hydra/sweeper/sampler=../../../tmp/written",
    ],
)
def test_an_override_that_does_more_than_set_values_is_refused(override):
    assert "sweep s has the" in refused_record(record(overrides=["x=interval(0,1)", override]))


def test_a_folder_above_is_taken_from_oneself_alone(monkeypatch):
    above = record(overrides=["data=../cifar"])
    assert "names a folder above" in refused_record(above)
    monkeypatch.setattr("runback.sweeping.shared.recorded_sweep.signing_key.is_own", lambda *_: True)
    assert RecordedSweep.from_json(above, "s").overrides == ("data=../cifar",)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 99},
        {"task": "train.py"},
        {"task": {"script": 3}},
        {"overrides": "x=1"},
        {"overrides": ["\x1b[2Jx=1"]},
        {"code": None},
        {"code": {"commit": "--help", "changes": None, "project": "."}},
        {"data": "../x"},
    ],
)
def test_a_damaged_record_is_one_line(changes):
    assert "damaged" in refused_record(record(**changes))


def test_what_no_study_can_tell_is_said_with_what_to_do():
    assert "has no record" in refused_record(None)
    assert "program or notebook of its own" in refused_record(record(task=None))
    assert "secret" in refused_record(record(overrides=None))


@pytest.mark.parametrize(
    "override",
    [
        "data.path=../images",
        "+model/block=wide-2",
        "hydra/sweeper/sampler=tpe",
        "x.y=a..b",
        "~a.b=1",
        "x=...",
    ],
)
def test_an_override_that_sets_a_value_or_chooses_a_part_is_taken(override):
    assert override in RecordedSweep.from_json(record(overrides=[override]), "s").overrides


def test_what_is_agreed_to_is_shown_whole_and_what_it_reads_by_name(study, capsys):
    long = "data.address=http://" + "a" * 300 + "/${oc.env:HF_TOKEN}"
    url = study(overrides=["x=interval(0,1)", long])
    assert "see it with --show" in refused(url)
    first = capsys.readouterr().out
    assert long not in first
    assert "--show prints all of it" in first
    assert "HF_TOKEN of the environment, for data.address" in first
    assert worker.main([url, "--show"]) == 0
    assert long in capsys.readouterr().out


def test_nothing_of_others_is_run_before_somebody_agrees(study, capsys):
    url = study()
    assert "say --yes" in refused(url)
    assert "hydra.sweeper.n_trials=3" in capsys.readouterr().out
    assert "no file or folder" in refused(url, "x=/nowhere/at/all", "--yes")
    assert "expected KEY=PATH" in refused(url, "hydra.sweeper.preload=/tmp", "--yes")


def test_code_that_is_not_here_is_refused(study):
    unknown = {"commit": "0" * 40, "changes": None, "project": "."}
    url = study("unknown", code=unknown)
    study("changed", code={**unknown, "changes": "1" * 64})
    study("outside", task={"script": "/etc/passwd", "name": "train"})
    assert "is not in the repository here" in refused(url, "unknown", "--yes")
    assert "in no commit" in refused(url, "changed", "--yes")
    assert "/etc/passwd" in refused(url, "outside", "--yes")
    assert "name one" in refused(url)
    assert "unknown sweep" in refused(url, "unknwon")


def test_a_password_in_the_address_is_not_repeated(project):
    assert "hunter2" not in refused("postgresql://me:hunter2hunter2@host/db")
