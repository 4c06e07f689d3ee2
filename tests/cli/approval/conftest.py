"""Runs that were evaluated, and how tests look at them."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

SWEEP = """# @package _global_
# A sweep for tests.
#   runback sweep pair
defaults:
  - override /data: synthetic
  - override /hydra/sweeper/sampler: grid
model:
  widths: [4, 4]
  dense_width: 8
training:
  epochs: 4
hydra:
  sweeper:
    n_workers: 1
    params:
      optimizer.learning_rate: choice(0.0001, 0.01)
"""

GATES = """owner: Ada Lovelace
review_by: {due}
conditions:
  - quality.accuracy.low >= {least}
  - membership.membership_auc.high < 0.99
"""

FUTURE, PAST = ((datetime.now(UTC).date() + timedelta(days=days)).isoformat() for days in (300, -2))


def write_gates(project, name, least, due=FUTURE):
    folder = project.folder / "conf" / "gates"
    (folder / f"{name}.yaml").write_text(GATES.format(due=due, least=least))


@pytest.fixture(scope="module")
def swept(module_project):
    """A project with a sweep of two trials; the project, and the IDs of the worse one and the better one."""
    module_project.own_sweeps(pair=SWEEP)
    module_project.own_conf()
    done = module_project.run("sweep", "pair")
    assert done.returncode == 0, done.stderr
    runs = [run for run in module_project.runs() if run.data.tags["runback.kind"] == "train"]
    runs.sort(key=lambda run: run.data.metrics["val_accuracy"])
    write_gates(module_project, "lax", 0.01)
    write_gates(module_project, "strict", 0.9999)
    write_gates(module_project, "due", 0.01, PAST)
    (module_project.folder / "conf" / "card.yaml").write_text(
        "license: mit\nout_of_scope: [identifying people]\n"
    )
    return module_project, [run.info.run_id for run in runs]


@pytest.fixture(scope="module")
def evaluated(swept):
    """Both runs evaluated, the better one with metadata and gates; what the commands have said."""
    project, (worse, better) = swept
    first = project.run("evaluate", worse)
    assert first.returncode == 0, first.stderr
    n = json.loads(project.run("evaluate", worse, "--json").stdout)["n"]
    table = pd.DataFrame({"site": np.where(np.arange(n) % 3, "north", "south"), "age": np.arange(n)})
    table.to_csv(project.folder / "metadata.csv", index=False)
    second = project.run("evaluate", better, "--metadata", "metadata.csv", "--gates", "lax")
    assert second.returncode == 0, second.stderr
    return project, worse, better, (first, second)
