"""Every block of docs/hydra-app.md, in the order of the page, in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "hydra-app.md"

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_block_of_the_page_does_what_it_says(tmp_path):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RUNBACK_", "MLFLOW_", "HYDRA_"))}
    environment = {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"}
    printed = []
    for language, text in BLOCK.findall(PAGE.read_text("utf-8")):
        if language != "sh":
            file = tmp_path / text.partition("\n")[0].removeprefix("# ")
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
            continue
        for command in text.splitlines():
            done = subprocess.run(
                ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True,
                check=False, timeout=1200,
            )  # fmt: skip
            assert done.returncode == 0, (command, done.stderr)
            printed.append(done.stdout)
    single, _, sweep, table, again, plain = printed
    assert "epoch 5/5" in single
    assert "3 done" in sweep
    assert "best_val_loss" in table
    assert again.endswith("bit-identical\n")
    assert "epoch 3/3" in plain
