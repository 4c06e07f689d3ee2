import json
import subprocess
import sys

import pytest

from runback.system.main_program import VARIABLE, MainProgram

SHOW = (
    "import json\nfrom runback.system.main_program import MainProgram\np = MainProgram.here()\n"
    "print(json.dumps(None if p is None else [p.script, p.module, list(p.flags), p.name, p.words]))\n"
)


def shown(folder, *words, stdin=None):
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, check=True, input=stdin
    )
    return json.loads(done.stdout)


def test_a_script_a_module_and_a_session_are_told_apart(tmp_path):
    (tmp_path / "pkg").mkdir()
    for name in ("app.py", "pkg/__init__.py", "pkg/__main__.py", "pkg/train.py"):
        (tmp_path / name).write_text(SHOW if not name.endswith("__init__.py") else "")
    script = str(tmp_path / "app.py")
    assert shown(tmp_path, "app.py", "a=1") == [script, None, [], "app", ["python", "app.py"]]
    flags = ["--config-name", "x", "--config-dir=c"]
    assert shown(tmp_path, "app.py", *flags, "a=1", "-m")[2] == flags
    assert shown(tmp_path, "-m", "pkg.train")[1] == "pkg.train"
    assert shown(tmp_path, "-m", "pkg")[1:5:2] == ["pkg", "pkg"]
    assert shown(tmp_path, "-c", SHOW) is None
    assert shown(tmp_path, stdin=SHOW) is None


def test_a_trial_is_given_the_program_of_its_sweep(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert MainProgram.of_sweep() is None
    monkeypatch.setenv(VARIABLE, "")
    program = MainProgram("/a/b.py", None, ("-cn", "x"))
    program.pass_on()
    assert MainProgram.of_sweep() == program


@pytest.mark.parametrize("text", ["", "[]", "{}", "no", '{"script": 1, "flags": 3}'])
def test_what_is_no_program_is_none(monkeypatch, text):
    monkeypatch.setenv(VARIABLE, text)
    assert MainProgram.of_sweep() is None
