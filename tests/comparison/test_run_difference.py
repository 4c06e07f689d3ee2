"""`runback compare RUN RUN`: why two runs differ."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from runback.comparison.run_difference import _changes

ROOT = Path(__file__).parents[2]

TINY = ("data=synthetic", "model.widths=[4,4]", "model.dense_width=8", "training.epochs=2")


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def runs(module_project):
    """Train five runs that differ in one way each, and one that does not; return their IDs by name."""
    folder = module_project.folder
    for name in ("conf", "sweeps"):
        (folder / name).unlink()
        shutil.copytree(ROOT / name, folder / name)
    (folder / ".gitignore").write_text("mlruns/\n")
    (folder / "notes.txt").write_text("one\ntwo\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "First")
    one_thread = module_project.run_many(
        ["train", *TINY, "training.threads=1"],
        ["train", *TINY, "training.threads=1"],
        ["train", *TINY, "training.threads=1", "optimizer=sgd", "training.epochs=3"],
        ["train", *TINY, "training.threads=1", "data.n_train=400"],
    )
    (folder / "notes.txt").write_text("one\n2\n3\n")
    git(folder, "commit", "--quiet", "--all", "--message", "Second")
    (folder / "conf" / "train.yaml").write_text((folder / "conf" / "train.yaml").read_text() + "# end\n")
    (folder / "new.py").write_text("")
    two_threads = module_project.run_many(["train", *TINY, "training.threads=2"])
    names = ("first", "same", "config", "data", "code")
    results = dict(zip(names, [*one_thread, *two_threads], strict=True))
    assert {code for code, _, _ in results.values()} == {0}, results
    return {name: printed.split()[-1] for name, (_, printed, _) in results.items()}


@pytest.fixture(scope="module")
def told(module_project, runs):
    """Compare the first run with each of the others; return what was printed, plainly and as JSON."""
    others = [name for name in runs if name != "first"]
    bad = (["compare", runs["first"], "0123456"], ["compare", "best:x", "best:y"])
    results = module_project.run_many(
        *(["compare", runs["first"], runs[name][:8]] for name in others),
        *(["compare", runs["first"], runs[name], "--json"] for name in others),
        *bad,
    )
    names = [*others, *(f"{name} as JSON" for name in others), "unknown", "sweep"]
    return dict(zip(names, results, strict=True))


def rows(result) -> list[tuple[str, str, str, str]]:
    code, printed, errors = result
    assert (code, errors) == (0, "")
    return [
        tuple(one[key] for key in ("part", "what", "then", "now"))
        for one in json.loads(printed)["differences"]
    ]


def test_of_two_equal_runs_nothing_differs(told, runs):
    assert told["same"] == (
        0,
        "nothing differs: the same data, config, code, packages, machine and results\n",
        "",
    )
    assert json.loads(told["same as JSON"][1]) == {"runs": [runs["first"], runs["same"]], "differences": []}


def test_a_config_differs_key_by_key_and_before_its_effects(told):
    found = rows(told["config as JSON"])
    assert ("config", "training.epochs", "2", "3") in found
    assert ("config", "optimizer._target_", "keras.optimizers.Adam", "keras.optimizers.SGD") in found
    parts = [part for part, *_ in found]
    assert parts == sorted(parts, key=["config", "metrics", "weights"].index)
    assert ("metrics", "epochs", "2", "3") in found
    assert ("metrics", "first epoch that differs", "1", "1") in found
    assert any(what.startswith("val_loss at the end") for _, what, _, _ in found)


def test_data_differ_by_what_a_person_can_see(told):
    found = rows(told["data as JSON"])
    assert found[0][:2] == ("data", "train content")
    assert ("data", "train shape", "460, 8, 8, 1", "360, 8, 8, 1") in found
    assert ("config", "data.n_train", "512", "400") in found


def test_code_differs_by_file_committed_or_not_and_threads_are_a_cause(told):
    found = rows(told["code as JSON"])
    code = [row[1:] for row in found if row[0] == "code"]
    assert code[0][0] == "commit"
    assert ("notes.txt", "", "+2 -1") in code
    assert ("conf/train.yaml (uncommitted)", "as committed", "+1 -0") in code
    assert any(what == "untracked files" and "new.py" in now for what, _, now in code)
    assert ("threads", "threads", "1", "2") in found
    assert [part for part, *_ in found if part in ("code", "threads")][-1] == "threads"


def test_the_table_names_both_runs_and_cuts_nothing_off(told, runs):
    code, printed, errors = told["config"]
    assert (code, errors) == (0, "")
    head, *lines = printed.splitlines()
    assert f"{runs['first'][:8]} shallow_cnn adam" in head
    assert f"{runs['config'][:8]} shallow_cnn sgd" in head
    assert any(line.split() == ["config", "training.epochs", "2", "3"] for line in lines)
    assert not any(line != line.rstrip() or "…" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("unknown", "no run '0123456'"), ("sweep", "unknown sweep 'x'")],
)
def test_bad_input_is_one_line_and_exit_code_2(told, name, wanted):
    code, printed, errors = told[name]
    assert (code, printed) == (2, "")
    [line] = errors.splitlines()
    assert wanted in line


def test_a_comparison_does_not_import_tensorflow(module_project, runs):
    script = (
        "import sys\n"
        "from runback.__main__ import main\n"
        "assert main(['compare', *sys.argv[1:]]) == 0\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    done = module_project.fresh_python("-c", script, runs["first"], runs["code"])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "patch", [b"", None, b"diff --git a/x b/x\n", b"no patch", b"diff --git a/x b/x\n@@ nonsense\n"]
)
def test_a_patch_that_git_cannot_read_tells_of_no_file(patch):
    assert _changes(patch) == {}
