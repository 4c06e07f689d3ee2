import subprocess
import sys

import pytest

from runback.cli.command_line import VERBS, main


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(f"  {verb} " in printed for verb in VERBS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "unknown command 'trian': did you mean 'train'?"),
        (["xyz"], "unknown command 'xyz': expected one of init, train, sweep"),
    ],
)
def test_an_unknown_command_names_the_nearest_one(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["sweep"],
        ["best"],
        ["evaluate", "--bogus"],
        ["ui", "--port", "abc"],
        ["doctor", "--bogus"],
        ["clean", "everything"],
        ["train", "--bogus"],
        ["train", "-m", "-x"],
    ],
    ids=" ".join,
)
def test_a_bad_option_is_refused_in_one_line(arguments, capsys, project, monkeypatch):
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("RUNBACK_ROOT", str(project.folder))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def imported(*arguments: str, cwd) -> set[str]:
    code = (
        "import sys\nfrom runback.__main__ import main\n"
        "try:\n    code = main(sys.argv[1:])\nexcept SystemExit as end:\n    code = end.code\n"
        "print('MODULES', *sorted(m for m in sys.modules if '.' not in m))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["best", "--help"],
        ["promote", "--help"],
        ["evaluate", "--help"],
        ["review", "--help"],
        ["ui", "--help"],
        ["sweep", "--help"],
        ["clean", "--help"],
    ],
)
def test_no_command_imports_tensorflow_to_say_what_it_does(arguments, tmp_path):
    assert not {"tensorflow", "keras"} & imported(*arguments, cwd=tmp_path)


def test_help_imports_nothing_heavy(tmp_path):
    assert not {"mlflow", "optuna", "hydra", "pydantic", "numpy"} & imported("--help", cwd=tmp_path)


def test_a_long_error_is_cut(capsys):
    assert main(["x" * 5000]) == 2
    told = capsys.readouterr().err
    assert told.startswith("runback: unknown command 'xxx")
    assert told.endswith("…\n")
    assert len(told) < 1100
