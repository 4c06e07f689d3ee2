"""docs/postgresql.md is true: its script and commands run as they are written, in their order."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "postgresql.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:^<!-- (\w+): ([^\n]*) -->\n)?^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(PAGE)
ADDRESS = "postgresql://me@db.example.org:5432/studies"


def test_blocks_are_files_commands_or_plain_text():
    assert {kind for _, _, kind, _ in BLOCKS} == {"python", "sh", "text"}
    assert [name for kind, name, _, _ in BLOCKS if kind == "file"] == ["train.py"]
    commands = [one for _, _, kind, text in BLOCKS if kind == "sh" for one in text.splitlines()]
    assert [one for one in commands if "postgresql:" in one and ADDRESS not in one] == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_commands_run_as_they_are_written(tmp_path, postgres):
    for kind, name, _, text in BLOCKS:
        if kind == "file":
            (tmp_path / name).write_text(text)
    (tmp_path / "data.txt").write_text("1 2 3")
    (tmp_path / ".gitignore").write_text("mlruns/\n__pycache__/\n")
    git = ("git", "-c", "user.name=me", "-c", "user.email=me@localhost")
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "one")):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RUNBACK_", "MLFLOW_", "PG"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**kept, **postgres.environment(), "PATH": path}
    for _, _, kind, text in BLOCKS:
        for command in text.splitlines() if kind == "sh" else []:
            real = command.replace(ADDRESS, postgres.url("studies"))
            done = subprocess.run(
                ["sh", "-c", real],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=300,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    rows = postgres.sql("SELECT state FROM trials", "studies")
    assert rows == [("COMPLETE",)] * 6
