"""docs/own-project.md is true: its blocks run in their order, in an empty folder with the installed wheel."""

import re
import subprocess
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "own-project.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHORT = "hydra.sweeper.n_trials=1"


def script() -> str:
    """Return all blocks as one script; sweeps are made short, and a file's block writes it."""
    parts = []
    for language, text in BLOCK.findall(PAGE):
        if language == "sh":
            parts.append(re.sub(r"^(runback sweep .*)$", rf"\1 {SHORT}", text, flags=re.MULTILINE))
        else:
            assert language == "yaml"
            file = re.match(r"# (\S+)\n", text)[1]
            parts.append(f"mkdir -p {Path(file).parent}\ncat > {file} <<'END'\n{text}END\n")
    return "\n".join(parts)


@pytest.mark.timeout(900)
def test_every_block_works(installed):
    variables = installed.variables(VIRTUAL_ENV=str(installed.environment), ARGS=SHORT)
    done = subprocess.run(
        ["bash", "-e", "-c", script()],
        cwd=installed.folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("best run") == 3
    assert done.stderr.count("OK") == 1
    assert (installed.folder / "digits" / "conf" / "model" / "narrow.yaml").exists()
    assert (installed.folder / "digits" / "rows" / "mlruns").exists()


def test_it_names_all_groups_that_can_be_copied():
    folders = sorted(path.name for path in (Path(__file__).parents[3] / "conf").iterdir() if path.is_dir())
    assert ", ".join(f"`{name}`" for name in folders) in PAGE.replace("\n", " ")
