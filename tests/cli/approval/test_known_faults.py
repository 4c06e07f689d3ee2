"""Faults that are made on purpose: an evaluation finds each, and its gate fails."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

SMALL = ("data.limit=80", "model.conv_dropout=0", "model.dense_dropout=0", "model.widths=[16,16]")

OVERFIT = ("train", *SMALL, "model.dense_width=64", "training.epochs=40", "optimizer.learning_rate=0.003")

UNTRAINED = ("train", *SMALL, "model.dense_width=8", "training.epochs=1", "optimizer.learning_rate=1e-9")

GATES = """owner: Ada Lovelace
review_by: 2100-01-01
conditions:
  - {}
"""


@pytest.fixture(scope="module")
def trained(module_project):
    """A project whose gates ask for privacy and for equal sites, an overfit run, and an untrained one."""
    module_project.own_conf()
    folder = module_project.folder / "conf" / "gates"
    (folder / "private.yaml").write_text(GATES.format("membership.membership_auc.high < 0.6"))
    (folder / "equal.yaml").write_text(GATES.format("groups.site_gap < 0.1"))
    results = module_project.run_many(OVERFIT, UNTRAINED)
    assert [code for code, _, _ in results] == [0, 0], results
    return module_project, *(out.split()[-1] for _, out, _ in results)


def test_an_overfit_network_gives_its_images_away(trained):
    project, overfit, _ = trained
    results = project.run_many(*(("evaluate", run, "--json", "--gates", "private") for run in trained[1:]))
    assert [code for code, _, _ in results] == [1, 0], results
    first, second = (json.loads(out)["membership"]["membership_auc"] for _, out, _ in results)
    assert first["low"] > 0.6
    assert second["low"] <= 0.5 <= second["high"]
    refused = project.run("promote", overfit)
    assert refused.returncode == 2
    assert "private" in refused.stderr


def test_a_group_with_a_fifth_of_its_labels_flipped_is_named(trained):
    project, run, _ = trained
    digits = load_digits()
    folder, names, sites = project.folder / "scans", [], []
    for number in range(800):
        label, site = int(digits.target[-1 - number]), ("north", "south")[number % 2]
        if site == "south" and number % 10 == 1:
            label = (label + 1) % 10
        file = folder / str(label) / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[-1 - number] * 255 / 16).astype(np.uint8)).save(file)
        names.append(f"{label}/{number}.png")
        sites.append(site)
    pd.DataFrame({"file": names, "site": sites}).to_csv(project.folder / "sites.csv", index=False)
    options = ("--data", "scans", "--name", "scans", "--metadata", "sites.csv", "--gates", "equal", "--json")
    done = project.run("evaluate", run, *options)
    assert done.returncode == 1, done.stderr
    [by_site] = [one for one in json.loads(done.stdout)["groups"]["groupings"] if one["name"] == "site"]
    assert by_site["worst"] == "south"
    assert by_site["gap"]["low"] > 0
    assert done.stderr.startswith("FAILED  groups.site_gap < 0.1")
