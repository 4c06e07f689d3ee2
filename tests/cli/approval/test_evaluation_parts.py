"""Parts of an evaluation that a run's store has a say in: its cost, references, another run, its sweep."""

import json
import re

import pytest

SWEEP = """# @package _global_
# Trainings on other parts of the images.
#   runback sweep parts
defaults:
  - override /data: synthetic
  - override /hydra/sweeper/sampler: grid
model:
  widths: [4, 4]
  dense_width: 8
training:
  epochs: 2
hydra:
  sweeper:
    n_workers: 1
    params:
      data.validation_seed: choice(1, 2, 3)
"""


@pytest.fixture(scope="module")
def swept(module_project):
    module_project.own_sweeps(parts=SWEEP)
    done = module_project.run("sweep", "parts")
    assert done.returncode == 0, done.stderr
    runs = module_project.runs()
    [sweep] = [run.info.run_id for run in runs if run.data.tags["runback.kind"] == "sweep"]
    return module_project, sweep, [run.info.run_id for run in runs if run.info.run_id != sweep]


def evaluated(project, run, *options):
    done = project.run("evaluate", run, "--json", *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_networks_of_other_parts_of_the_images_are_references(swept):
    project, _, (first, *_) = swept
    report, _ = evaluated(project, first)
    measure = report["membership"]["membership_auc_with_references"]
    assert 0 <= measure["low"] <= measure["value"] <= measure["high"] <= 1
    assert any("those of 2 networks of its sweep" in note for note in report["membership"]["notes"])


def test_errors_are_relative_to_another_run_on_the_same_images(swept):
    project, _, (first, second, _) = swept
    evaluated(project, first)  # or what is recorded of it
    report, said = evaluated(project, second, "--reference", first)
    relative = report["corruptions"]["mean_corruption_error"]
    assert report["corruptions"]["relative_to"] == first
    assert relative["low"] < relative["value"] < relative["high"]
    assert "2 runs of sweep parts were tested" in said
    other = project.run("train", "training.epochs=1").stdout.split()[-1]
    done = project.run("evaluate", other, "--reference", first)
    assert done.returncode == 2
    assert "was evaluated on other images" in done.stderr
    assert "runback.test_opened" not in project.client().get_run(other).data.tags


def test_the_cost_is_that_of_the_run_and_of_its_sweep(swept):
    project, sweep, (first, *_) = swept
    report, _ = evaluated(project, first)  # the recorded one
    cost = report["cost"]
    history = project.client().get_metric_history(first, "epoch_seconds")
    assert cost["training_seconds"] == pytest.approx(sum(point.value for point in history))
    assert cost["sweep_training_seconds"] > cost["training_seconds"]
    metrics = project.client().get_run(sweep).data.metrics
    assert metrics["training_seconds"] == cost["sweep_training_seconds"]
    note = project.client().get_run(sweep).data.tags["mlflow.note.content"]
    assert re.search(r"Cost: \d+ s of training", note)


def test_a_sweep_that_was_deleted_leaves_the_cost_of_the_run(swept):
    project, sweep, (_, _, third) = swept
    project.client().delete_run(sweep)
    report, _ = evaluated(project, third)
    assert "sweep_training_seconds" not in report["cost"]
    assert any("the sweep's run is gone" in note for note in report["cost"]["notes"])
