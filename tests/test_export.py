"""`runback export` and `runback verify`, and what `reproduce` and `compare` make of a bundle."""

import json
import os
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

NETS = """import keras


def build(input_shape: tuple[int, ...], num_classes: int) -> keras.Model:
    image = keras.Input(input_shape)
    hidden = keras.layers.Dense(16, "relu")(keras.layers.Flatten()(image))
    return keras.Model(image, keras.layers.Dense(num_classes, "softmax")(hidden))
"""


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True)
class Exported:
    """A project in a repository, a run of its uncommitted code, and the bundle of that run."""

    project: object
    run_id: str
    printed: str

    @property
    def bundle(self) -> Path:
        return self.project.folder / "mlruns" / "run.zip"


@pytest.fixture(scope="module")
def exported(module_project) -> Exported:
    folder = module_project.folder
    for name in ("conf", "sweeps"):
        (folder / name).unlink()
        shutil.copytree(ROOT / name, folder / name)
    (folder / "pyproject.toml").write_text('[tool.runback]\nmodules = ["nets"]\n')
    (folder / ".gitignore").write_text("mlruns/\n__pycache__/\n")
    (folder / "nets.py").write_text("")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "First")
    (folder / "nets.py").write_text(NETS)
    (folder / "conf" / "model" / "own.yaml").write_text("_target_: nets.build\n")
    trained = module_project.run("train", "model=own", "training.epochs=2", "training.threads=1")
    assert trained.returncode == 0, trained.stderr
    run_id = trained.stdout.split()[-1]
    done = module_project.run("export", run_id[:6], "mlruns/run.zip")
    assert (done.returncode, done.stderr) == (0, "")
    return Exported(module_project, run_id, done.stdout)


def test_a_bundle_holds_config_code_record_metrics_and_model(exported):
    with zipfile.ZipFile(exported.bundle) as archive:
        names = set(archive.namelist())
        manifest = json.loads(archive.read("manifest.json"))
        history = json.loads(archive.read("history.json"))
        code = zipfile.ZipFile(archive.open("code.zip")).namelist()
    expected = {
        *("manifest.json", "config.yaml", "overrides.yaml", "history.json", "code.zip", "model.keras"),
        *("record/record.json", "record/result.json", "record/changes.patch", "record/untracked.zip"),
    }
    assert expected <= names
    assert manifest["run"]["id"] == exported.run_id
    assert len(history) == 2
    assert {"nets.py", "conf/train.yaml", "pyproject.toml"} <= set(code)
    assert exported.printed.startswith(
        f"mlruns/run.zip  {exported.bundle.stat().st_size:,} bytes  fingerprint "
    )


@pytest.fixture(scope="module")
def told(exported, tmp_path_factory):
    """Export and verify again and again, in one process; return what each attempt printed."""
    project, broken = exported.project, tmp_path_factory.mktemp("broken")
    client = project.client()
    foreign = client.create_run("0").info.run_id
    incomplete = client.create_run("0", tags=client.get_run(exported.run_id).data.tags).info.run_id
    bundles = {name: str(spoil(exported.bundle, broken / f"{name}.zip", name)) for name in SPOILED}
    (broken / "link").symlink_to(broken)
    asked = {
        "verify": ["verify", "mlruns/run.zip"],
        "verify as JSON": ["verify", "mlruns/run.zip", "--json"],
        "exists": ["export", exported.run_id, "mlruns/run.zip"],
        "overwrite": ["export", exported.run_id, "mlruns/run.zip", "--overwrite"],
        "no folder": ["export", exported.run_id, "no/such/folder.zip"],
        "a folder": ["export", exported.run_id, str(broken)],
        "unknown": ["export", "0123456789", "mlruns/other.zip"],
        "foreign": ["export", foreign, "mlruns/other.zip"],
        "incomplete": ["export", incomplete, "mlruns/other.zip"],
        "a bundle": ["export", "mlruns/run.zip", "mlruns/other.zip"],
        "not there": ["verify", "other.zip"],
        "is a folder": ["verify", str(broken)],
        "no zip": ["verify", "nets.py"],
        "spoiled as JSON": ["verify", bundles["changed"], "--json"],
        **{f"verify {name}": ["verify", path] for name, path in bundles.items()},
        **{f"reproduce {name}": ["reproduce", path, "--yes"] for name, path in bundles.items()},
        "compare": ["compare", exported.run_id, "mlruns/run.zip"],
    }
    results = project.run_many(*asked.values())
    assert [run.info.run_id for run in project.runs()] == [exported.run_id, foreign, incomplete]
    assert not (project.folder / "mlruns" / "other.zip").exists()
    return dict(zip(asked, results, strict=True))


SPOILED = {
    "changed": "config.yaml",
    "missing": "overrides.yaml is missing",
    "extra": "'another.txt' is not in the manifest",
    "climbing": "has '..' in its name",
    "tenfold": "config.yaml was changed",
    "cut": "no zip, or a damaged one",
}
"""What can be wrong with a bundle, and what is said about it."""


def spoil(bundle: Path, target: Path, how: str) -> Path:
    """Write a bundle anew with something wrong in it."""
    if how == "cut":
        target.write_bytes(bundle.read_bytes()[:2000])
        return target
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(target, "w") as new:
        new.comment = old.comment
        for name in old.namelist():
            content = old.read(name)
            if (how, name) == ("missing", "overrides.yaml"):
                continue
            if name == "config.yaml" and how == "changed":
                content = content.replace(b"epochs: 2", b"epochs: 3")
            if name == "config.yaml" and how == "tenfold":
                content *= 10
            new.writestr(name, content)
        if how in ("extra", "climbing"):
            new.writestr("another.txt" if how == "extra" else "../another.txt", b"")
    return target


def test_verify_says_that_a_bundle_is_intact(told, exported):
    code, printed, errors = told["verify"]
    assert (code, errors) == (0, "")
    assert printed.startswith("intact: ")
    assert f"run {exported.run_id}, fingerprint " in printed
    facts = json.loads(told["verify as JSON"][1])
    assert (facts["intact"], facts["problems"]) == (True, [])
    assert facts["fingerprint"] == exported.printed.split()[-1]


def test_the_same_run_exports_to_the_same_bytes(told, exported):
    assert told["overwrite"][:2] == (0, exported.printed)


@pytest.mark.parametrize("verb", ["verify", "reproduce"])
@pytest.mark.parametrize("how", SPOILED)
def test_a_spoiled_bundle_is_refused_and_what_is_wrong_is_named(told, verb, how):
    code, printed, errors = told[f"{verb} {how}"]
    assert (code, printed) == (2, "")
    [line] = errors.splitlines()
    assert SPOILED[how] in line


def test_verify_lists_all_problems_as_json(told):
    code, printed, errors = told["spoiled as JSON"]
    assert code == 2
    assert json.loads(printed)["intact"] is False
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("exists", "run.zip exists already"),
        ("no folder", "there is no folder no/such"),
        ("a folder", "is a folder"),
        ("unknown", "no run '0123456789'"),
        ("foreign", "is no training by runback"),
        ("incomplete", "has no artifact 'record/record.json'"),
        ("a bundle", "is a bundle already"),
        ("not there", "other.zip is not there"),
        ("is a folder", "is no file"),
        ("no zip", "the file is no zip"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(told, name, wanted):
    code, printed, errors = told[name]
    assert (code, printed) == (2, "")
    [line] = errors.splitlines()
    assert line.startswith("runback: ")
    assert wanted in line


def test_a_bundle_compares_with_the_run_it_was_made_of(told):
    assert told["compare"] == (
        0,
        "nothing differs: the same data, config, code, packages, machine and results\n",
        "",
    )


@pytest.fixture
def clone(exported, tmp_path):
    """The repository as somebody else has it: at the commit, without the changes and without any run."""
    git(tmp_path, "clone", "--quiet", str(exported.project.folder), "a clone")
    return type(exported.project)(tmp_path / "a clone")


def test_the_code_of_a_bundle_is_shown_and_not_run_unless_somebody_says_so(exported, clone):
    done = clone.run("reproduce", str(exported.bundle))
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.endswith("read it, then say --yes to run it")
    shown = done.stdout.splitlines()
    assert "+def build(input_shape: tuple[int, ...], num_classes: int) -> keras.Model:" in shown
    assert "untracked file conf/model/own.yaml" in shown
    assert "+_target_: nets.build" in shown
    assert not (clone.folder / "mlruns" / "runs").exists()
    assert len(git(clone.folder, "worktree", "list").splitlines()) == 1


def test_a_bundle_reproduces_in_a_clone_that_has_never_seen_the_run(exported, clone):
    done = clone.run("reproduce", str(exported.bundle), "--yes", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["verdict"], facts["run"], facts["differences"]) == ("bit-identical", exported.run_id, [])
    [run] = clone.runs()
    assert run.data.tags["runback.reproduces"] == exported.run_id
    assert git(clone.folder, "status", "--porcelain") == ""
    assert len(git(clone.folder, "worktree", "list").splitlines()) == 1


@pytest.mark.slow
def test_a_bundle_reproduces_where_nobody_knows_its_commit(exported, make_project, tmp_path):
    project = make_project(tmp_path)
    (project.folder / "mlruns" / "checkouts" / "another").mkdir(parents=True)
    path = os.path.relpath(exported.bundle, project.folder)
    done = project.run("reproduce", path, "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "bit-identical"
    assert [path.name for path in (project.folder / "mlruns" / "checkouts").iterdir()] == ["another"]
