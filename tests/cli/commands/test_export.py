"""`runback export` and `runback verify`, and what `reproduce` and `compare` make of a bundle."""

import io
import json
import os
import pty
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from runback.provenance.bundle.bundle_file import open_bundle, write_bundle
from runback.provenance.code.tree_zip import TreeFile, pack_tree

ROOT = Path(__file__).parents[3]

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
    *left_out, packed = exported.printed.splitlines()
    assert len(left_out) == 1
    assert left_out[0].startswith("  left out: ")
    assert packed.startswith(f"mlruns/run.zip  {exported.bundle.stat().st_size:,} bytes  fingerprint ")


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
    assert "code       commit" not in done.stdout  # the clone knows it
    assert any(line.startswith("config     calls: nets.build (model._target_)") for line in shown)
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


LOCK = """version = 1

[[package]]
name = "dep"
version = "1.0"
source = { git = "https://evil.example/dep#0123" }
"""


def forged(bundle: Path, target: Path, *, run=None, code=None, record=None, config="", **files) -> Path:
    """Write a bundle anew as a stranger would, with other facts in it and all sums right."""
    opened = open_bundle(bundle)
    contents: dict[str, bytes | Path] = {name: opened.read(name) for name in opened.names}
    facts = json.loads(contents["record/record.json"])
    facts["code"] |= code or {}
    contents["record/record.json"] = json.dumps(facts | (record or {})).encode()
    contents |= {NAMES[name]: content for name, content in files.items()}
    contents["config.yaml"] += config.encode()
    write_bundle(target, {**opened.run, **(run or {})}, contents)
    return target


NAMES = {
    **{"patch": "record/changes.patch", "untracked": "record/untracked.zip", "lock": "record/uv.lock"},
    **{"code_zip": "code.zip", "history": "history.json", "whole_config": "config.yaml"},
}


def adding(name: str, text: str = "x") -> bytes:
    head = f"diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n"
    return f"{head}@@ -0,0 +1 @@\n+{text}\n".encode()


def bomb() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.py", bytes(200 * 2**20))
    return target.getvalue()


VALUE = "s3cret"


def hostile() -> dict[str, tuple[dict, str]]:
    """What a stranger may put into a bundle that no answer allows, and what is said about it."""
    target = {"whole_config": b"model: {_target_: os.system}\n"}
    private = pack_tree([TreeFile(".g\u200cit/hooks/post-checkout", b"x")])
    return {
        "commit": ({"code": {"commit": "\x1b[8m"}}, "code.commit"),
        "option": ({"code": {"commit": "--output=x"}}, "code.commit"),
        "tree": ({"code": {"tree": "HEAD"}}, "code.tree"),
        "python": ({"record": {"python": {"version": "./python"}}}, "python.version"),
        "old python": ({"record": {"python": {"version": "2.7.18"}}, "lock": LOCK.encode()}, "2.7.18"),
        "status": ({"run": {"status": "\x1b[8m"}}, "status"),
        "id": ({"run": {"id": "../" * 10 + "ab"}}, "id"),
        "tags": ({"run": {"tags": {"a": ["b"]}}}, "tags"),
        "target": (target, "os.system"),
        "no model": ({"whole_config": b"model: 3\n"}, "it has no model._target_"),
        "resolver": ({"config": "x: ${oc.decode:1}\n"}, "interpolation"),
        "experiment": (
            {"whole_config": b"tracking:\n  experiment: ${oc.env:MY_TOKEN}\n"},
            "tracking.experiment must be a plain value",
        ),
        "folder": ({"whole_config": b"tracking: {experiment: ../../x}"}, "folder's name"),
        "alias": ({"config": "x: &x [1]\ny: *x\n"}, "alias"),
        "history": ({"history": b"[" * 100_000}, "history.json"),
        "lock": ({"lock": b"no lock"}, "uv.lock is no lock file"),
        "patch": ({"patch": b"no patch"}, "cannot be read"),
        "bomb": ({"code_zip": bomb()}, "unpacks to 209,715,200 bytes"),
        "untracked": ({"untracked": private}, "unsafe name"),
        "project": ({"code": {"project": "../" * 400}}, "code.project"),
    }


HOSTILE = (
    *("commit", "option", "tree", "python", "old python", "status", "id", "tags", "target", "no model"),
    *("resolver",),
    *("experiment", "folder", "alias", "history", "lock", "patch", "bomb", "untracked", "project"),
)


@pytest.fixture(scope="module")
def refused(exported, make_project, tmp_path_factory):
    """Reproduce what no answer allows, with `--yes`, where nobody knows the commit."""
    folder = tmp_path_factory.mktemp("strangers")
    project = make_project(folder)
    asked = {}
    for name, (changes, _) in hostile().items():
        asked[name] = str(forged(exported.bundle, folder / f"{name}.zip", **changes))
    before = sorted(path for path in folder.rglob("*"))
    lines = [["reproduce", path, "--yes"] for path in asked.values()]
    others = [["serve", asked["resolver"]], ["compare", asked["resolver"], asked["tree"]]]
    results = project.run_many(*lines, *others, MY_TOKEN=VALUE)
    assert sorted(path for path in folder.rglob("*")) == before
    return dict(zip([*asked, "served", "compared"], results, strict=True))


@pytest.mark.parametrize("name", HOSTILE)
def test_what_no_answer_allows_is_refused_in_one_line(refused, name):
    code, printed, errors = refused[name]
    assert (code, printed) == (2, "")
    [line] = errors.splitlines()
    assert hostile()[name][1] in line
    assert line.isprintable()
    assert VALUE not in line


def test_every_hostile_bundle_is_looked_at(refused):
    assert set(refused) == {*HOSTILE, "served", "compared"}


@pytest.mark.parametrize("name", ["served", "compared"])
def test_a_bundle_is_looked_at_before_it_is_served_or_compared(refused, name):
    code, printed, errors = refused[name]
    assert (code, printed) == (2, "")
    [line] = errors.splitlines()
    assert "uses the interpolation '${oc.decode:1}'" in line


@pytest.fixture(scope="module")
def asked(exported, make_project, tmp_path_factory):
    """Reproduce what is to be asked about, without a terminal: in a clone, and where no commit is known."""
    folder = tmp_path_factory.mktemp("asked")
    git(folder, "clone", "--quiet", str(exported.project.folder), "a clone")
    clone, elsewhere = type(exported.project)(folder / "a clone"), make_project(folder)
    ours = {"patch_sha256": None, "untracked": {}}
    plain = open_bundle(exported.bundle).read("config.yaml").replace(b"nets.build", PLAIN)
    cases = {
        "commit": (elsewhere, {}),
        "lock": (clone, {"code": ours, "whole_config": plain, "lock": LOCK.encode()}),
        "python": (
            clone,
            {"code": ours, "lock": LOCK.encode(), "record": {"python": {"version": "3.12.99"}}},
        ),
        "environment": (clone, {"code": ours, "whole_config": plain, "config": "x: ${oc.env:MY_TOKEN}\n"}),
        "paths": (clone, {"code": ours, "whole_config": plain, "config": "x: {path: /etc}\n"}),
        "names": (clone, {"patch": b"".join(adding(f"n{n}") for n in range(500))}),
        "escapes": (clone, {"patch": adding("n", "\x1b[8mhidden\x1b]0;title\x07\u202e")}),
        "in place": (clone, {"whole_config": plain, "config": "x: ${oc.env:MY_TOKEN}\n"}),
        "files": (clone, {"untracked": pack_tree([TreeFile(f"\x1b[8m{n}", b"x") for n in range(500)])}),
    }
    command_lines = {}
    for name, (project, changes) in cases.items():
        path = str(forged(exported.bundle, folder / f"{name}.zip", **changes))
        command_lines.setdefault(project.folder, {})[name] = [
            *("reproduce", path),
            "--in-place" if name == "in place" else "--checkout",
        ]
    found = {}
    for project in (clone, elsewhere):
        lines = command_lines[project.folder]
        found |= dict(zip(lines, project.run_many(*lines.values(), MY_TOKEN=VALUE), strict=True))
        assert not (project.folder / "mlruns").exists()
    assert len(git(clone.folder, "worktree", "list").splitlines()) == 1
    return found


PLAIN = b"runback.classifier.models.shallow_cnn.shallow_cnn"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("commit", "is unknown here: its "),
        ("commit", "its configs may call its modules nets"),
        ("commit", "changes    1 file of the commit, +7 -0 lines"),
        ("commit", "untracked  1 file, 21 bytes beside it"),
        ("lock", "packages   1 package of a uv.lock that is not yours"),
        ("lock", "from elsewhere than yours: dep (git https://evil.example/dep#0123)"),
        ("lock", "only with --build: dep"),
        ("python", "Python     3.12.99: uv takes it from this machine, or downloads it"),
        ("environment", "config     reads of the environment: MY_TOKEN (x)"),
        ("in place", "config     reads of the environment: MY_TOKEN (x)"),
        ("paths", "config     reads outside the working folder: /etc (x.path)"),
        ("names", "500 files of the commit, +500 -0 lines"),
        ("names", "and 496 more"),
        ("escapes", "\\x1b[8mhidden\\x1b]0;title\\x07\\u202e"),
        ("files", "1 bytes \\x1b[8m0"),
    ],
)
def test_what_a_bundle_brings_is_on_one_screen_and_used_by_nobody(asked, name, told):
    code, printed, errors = asked[name]
    assert code == 2
    assert errors.endswith("read it, then say --yes to run it\n")
    lines = printed.splitlines()
    assert len(lines) <= 40
    assert all(line.isprintable() and len(line) <= 200 for line in lines)
    assert any(told in line for line in lines), printed
    assert "runs with your rights" in printed
    assert VALUE not in printed


def answered(project, answer: bytes, *arguments: str) -> tuple[int, bytes]:
    """Run a command at a terminal of 60 columns, give an answer, and return what came to the screen."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "runback", *arguments],
        cwd=project.folder,
        env=project.environment(COLUMNS="60", TERM="xterm"),
        **{"stdin": theirs, "stdout": theirs, "stderr": theirs},
        start_new_session=True,
    )
    os.close(theirs)
    os.write(ours, answer)
    seen = b""
    try:
        while chunk := os.read(ours, 4096):
            seen += chunk
    except OSError:  # nobody holds the terminal's other end any more
        pass
    os.close(ours)
    return process.wait(60), seen


@pytest.mark.parametrize("answer", [b"n\n", b"\n", b"\x04"])
def test_nothing_in_a_bundle_reaches_a_terminal_as_more_than_text(exported, clone, tmp_path, answer):
    patch = adding("\x1b[8mname", "\x1b[8mhidden\x1b]0;title\x07\u202e\x9b8m")
    bundle = forged(exported.bundle, tmp_path / "\x1b[8m.zip", patch=patch, run={"name": "\x1b[8m"})
    code, seen = answered(clone, answer, "reproduce", str(bundle))
    assert code == 2
    assert b"run it? [y/N]" in seen
    assert b"not agreed to: nothing was run" in seen
    text = seen.decode()
    assert all(one.isprintable() or one in "\r\n\x08" for one in text), seen
    screen = text[text.index("This bundle") : text.index("run it?")].splitlines()
    assert len(screen) <= 40
    assert all(len(line) <= 60 for line in screen)
    assert not (clone.folder / "mlruns").exists()


def test_a_bundle_that_changed_after_it_was_agreed_to_is_refused(exported, clone):
    done = clone.run("reproduce", str(exported.bundle), "--in-place", RUNBACK_AGREED="0" * 64)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.endswith("was changed after it was agreed to")


def test_all_that_a_bundle_brings_is_shown_and_nothing_else_is_done(exported, clone, tmp_path):
    patch = b"".join(adding(f"n{n}") for n in range(50))
    bundle = forged(exported.bundle, tmp_path / "many.zip", patch=patch)
    done = clone.run("reproduce", str(bundle), "--show")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("+++ b/n")] == [f"+++ b/n{n}" for n in range(50)]
    assert sum("+1 -0 n" in line for line in lines) == 50
    assert "untracked file conf/model/own.yaml" in lines
    assert not (clone.folder / "mlruns").exists()


def test_verify_and_compare_print_a_strangers_text_as_text(exported, tmp_path):
    changes = {"run": {"name": "\x1b[8mname"}, "record": {"system": {"os": "\x1b[8mos"}}}
    named = str(forged(exported.bundle, tmp_path / "named.zip", **changes))
    opened = open_bundle(exported.bundle)
    odd = tmp_path / "odd.zip"
    write_bundle(odd, {"id": "\x1b[8m"}, {name: opened.read(name) for name in opened.names})
    (tmp_path / "\x1b[8m.zip").write_text("no zip")
    results = exported.project.run_many(
        ["verify", str(odd)], ["verify", str(tmp_path / "\x1b[8m.zip")], ["compare", exported.run_id, named]
    )
    assert [code for code, _, _ in results] == [0, 2, 0]
    for _, printed, errors in results:
        assert all(line.isprintable() for line in (printed + errors).splitlines())
        assert "\\x1b[8m" in printed + errors


def test_nothing_is_written_through_a_link_of_a_bundle(exported, clone, tmp_path):
    outside = tmp_path / "outside"
    head = "diff --git a/uv.lock b/uv.lock\nnew file mode 120000\n--- /dev/null\n+++ b/uv.lock\n"
    patch = f"{head}@@ -0,0 +1 @@\n+{outside}\n\\ No newline at end of file\n".encode()
    bundle = forged(exported.bundle, tmp_path / "link.zip", patch=patch, lock=b"version = 1\n")
    done = clone.run("reproduce", str(bundle), "--yes")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert not os.path.lexists(outside)
    assert not list(clone.folder.glob("mlruns/checkouts/*"))


BACKEND = """
import pathlib
pathlib.Path({trace!r}).write_text("built")
"""

SOURCE = """[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "dep"
version = "1.0"
"""


def test_a_lock_file_that_git_ignores_builds_no_package_unasked(exported, clone, tmp_path):
    lock = LOCK.replace('git = "https://evil.example/dep#0123"', 'path = "dep-1.0.tar.gz"')
    facts = 'name = "own"\nversion = "1.0"\nsource = { virtual = "." }\ndependencies = [{ name = "dep" }]'
    project = '[project]\nname = "own"\nversion = "1.0"\nrequires-python = ">=3.11"\ndependencies = ["dep"]\n'
    backend = BACKEND.format(trace=str(tmp_path / "trace"))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, text in (("pyproject.toml", SOURCE), ("backend.py", backend), ("PKG-INFO", METADATA)):
            info = tarfile.TarInfo(f"dep-1.0/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    package = TreeFile("sub/dep-1.0.tar.gz", archive.getvalue())
    files = pack_tree([package, TreeFile("sub/pyproject.toml", project.encode())])
    code = {"patch_sha256": None, "project": "sub"}
    lock_file = f'requires-python = ">=3.11"\n{lock}\n[[package]]\n{facts}\n'.encode()
    bundle = forged(exported.bundle, tmp_path / "lock.zip", code=code, untracked=files, lock=lock_file)
    done = clone.run("reproduce", str(bundle), "--yes", UV_OFFLINE="1", UV_CACHE_DIR=str(tmp_path / "cache"))
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    assert line.endswith("; --build lets it run its build code")
    assert "only with --build: dep (path dep-1.0.tar.gz)" in done.stdout
    assert not (tmp_path / "trace").exists()


METADATA = "Metadata-Version: 2.1\nName: dep\nVersion: 1.0\n"
