"""The blocks of docs/ray.md, in an empty folder, and the knobs that it lists."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runback.sweeping.trials.remote.on_ray.ray_settings import RaySettings

PAGE = (Path(__file__).parents[1] / "docs" / "ray.md").read_text("utf-8")

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_page_lists_every_knob():
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == list(RaySettings.__dataclass_fields__)


@pytest.mark.slow
def test_the_pages_sweep_runs_on_ray(tmp_path):
    script, command = (text for _, text in BLOCK.findall(PAGE))
    (tmp_path / "train.py").write_text(script)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RUNBACK_", "MLFLOW_", "HYDRA_"))}
    environment = {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "6 done" in done.stdout
