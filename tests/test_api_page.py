"""docs/api.md is true and whole: it has all of the public interface, and its blocks run."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import runback

PAGE = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
HEADINGS = [line.removeprefix("### ") for line in PAGE.splitlines() if line.startswith("### ")]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def heading(name):
    [found] = [one for one in HEADINGS if re.search(rf"(^|[ .]){re.escape(name)}($|\()", one)]
    return found


def members():
    return {name: value for name, value in vars(runback.Run).items() if not name.startswith("_")}


def test_all_of_the_face_has_a_heading():
    for name in runback.__all__:
        if not name.startswith("__"):
            assert heading(f"runback.{name}")
    assert heading("runback.keras.Callback")


def test_every_method_of_a_run_is_there_with_its_parameters():
    for name, value in members().items():
        if not isinstance(value, property):
            _, *parameters = inspect.signature(value).parameters.values()
            said = re.search(rf"run\.{name}\(([^)]*)\)", heading(f"run.{name}"))[1]
            names = [one.partition("=")[0].lstrip("*") for one in said.split(", ") if one not in ("", "*")]
            assert names == [one.name for one in parameters], name


def test_every_property_of_a_run_is_in_its_table():
    properties = {name for name, value in members().items() if isinstance(value, property)}
    assert properties == set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))


def test_every_block_of_the_page_runs(tmp_path):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RUNBACK_", "MLFLOW_", "HYDRA_"))}
    environment = {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for language, text in BLOCK.findall(PAGE):
        if language == "python":
            (tmp_path / re.match(r"# (\w+\.py)\n", text)[1]).write_text(text)
            continue
        assert language == "sh"
        for command in text.splitlines():
            done = subprocess.run(
                command.split(), capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
            )
            assert done.returncode == 0, f"{command}\n{done.stderr}"
            assert "Traceback" not in done.stderr
