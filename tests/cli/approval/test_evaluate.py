"""`runback evaluate`, `review` and `promote` of what was evaluated, as a person runs them."""

import json
import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from PIL import Image

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
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(GATES.format(due=due, least=least))


@pytest.fixture(scope="module")
def swept(module_project):
    """A project with a sweep of two trials; the project, and the IDs of the worse one and the better one."""
    module_project.own_sweeps(pair=SWEEP)
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


def tags(project, run_id):
    return project.client().get_run(run_id).data.tags


def report_of(project, run_id, name="evaluation.json"):
    with open(project.client().download_artifacts(run_id, name), encoding="utf-8") as file:  # noqa: PTH123
        return json.load(file)


def one_line(done):
    assert done.returncode == 2, done
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_all_is_logged_to_the_run(evaluated):
    project, _, better, _ = evaluated
    files = {file.path for file in project.client().list_artifacts(better)}
    logged = {
        "evaluation.json",
        "evaluation.html",
        "answers.parquet",
        "gates.json",
        "model_card.md",
        "model_card.html",
    }
    assert logged <= files
    run = project.client().get_run(better)
    report = report_of(project, better)
    assert run.data.metrics["test_accuracy"] == report["quality"]["accuracy"]["value"]
    for name in ("test_ece", "test_consistency", "test_corruption_accuracy", "test_membership_auc"):
        assert np.isfinite(run.data.metrics[name])
    assert {one["name"] for one in report["groups"]["groupings"]} >= {
        "class",
        "site",
        "age",
        "class and site",
    }
    assert run.data.tags["runback.gates"] == "lax: passed"
    assert run.data.tags["runback.review_by"] == FUTURE
    assert run.data.tags["runback.test_opened"] == "1"
    assert "model_card.html" in run.data.tags["mlflow.note.content"]


def test_the_card_has_the_projects_statements_and_the_gates(evaluated):
    project, _, better, _ = evaluated
    with open(project.client().download_artifacts(better, "model_card.md"), encoding="utf-8") as file:  # noqa: PTH123
        text = file.read()
    assert text.startswith("---\nlicense: mit\n")
    assert "identifying people" in text
    assert "lax, owner Ada Lovelace" in text


def test_what_was_done_and_how_often_the_sweep_was_tested_is_said(evaluated):
    *_, (first, second) = evaluated
    assert "corrupted images" in first.stdout
    assert "age: numbers, cut into quarters" in second.stderr
    assert "2 runs of sweep pair were tested: by chance alone the best of them looks up to" in second.stderr
    assert "passed  quality.accuracy.low >= 0.01" in second.stderr


def test_the_split_is_opened_again_only_where_that_is_asked_for(evaluated):
    project, worse, _, _ = evaluated
    before = report_of(project, worse)["opened"]
    told = one_line(project.run("evaluate", worse, "--metadata", "metadata.csv"))
    assert "--again opens it again" in told
    again = project.run("evaluate", worse, "--again")
    assert again.returncode == 0, again.stderr
    assert f"opened {before + 1} times" in again.stderr
    assert tags(project, worse)["runback.test_opened"] == str(before + 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gates", "stric"], "unknown gates 'stric'.*did you mean 'strict'"),
        (["--accuracy", "1.5"], r"--accuracy must lie in \(0, 1\)"),
        (["--again", "--metadata", "short.csv"], "expected a row for each"),
        (["--again", "--groups", "site"], "--metadata=FILE names the table"),
        (["--again", "--metadata", "metadata.csv", "--groups", "sit"], "expected one of site, age"),
        (["--data", "nowhere"], "nowhere"),
        (["--name", "mine"], "--data=PATH says where they are"),
        (["--data", "own", "--name", "test"], "--name: expected"),
        (["--data", "own", "--gates", "lax"], "gates are about the test split"),
        (["--feedback"], "nobody has said anything"),
        (["--again", "--reference", "nothing"], "nothing"),
    ],
)
def test_bad_input_is_one_line_and_opens_nothing(evaluated, arguments, message):
    project, worse, _, _ = evaluated
    (project.folder / "short.csv").write_text("site\nnorth\n")
    before = tags(project, worse)["runback.test_opened"]
    assert re.search(message, one_line(project.run("evaluate", worse, *arguments)))
    assert tags(project, worse)["runback.test_opened"] == before


def test_a_sweep_is_nothing_to_evaluate(evaluated):
    project, *_ = evaluated
    [sweep] = [run for run in project.runs() if run.data.tags["runback.kind"] == "sweep"]
    assert "no network" in one_line(project.run("evaluate", sweep.info.run_id))


def test_images_of_ones_own_are_evaluated_under_their_own_name(evaluated):
    project, _, better, _ = evaluated
    report = report_of(project, better)
    generator = np.random.default_rng(0)
    for one in report["quality"]["classes"]:
        folder = project.folder / "own" / one["name"]
        folder.mkdir(parents=True)
        for number in range(12):
            Image.fromarray(generator.integers(0, 256, (8, 8), np.uint8)).save(folder / f"{number}.png")
    opened = tags(project, better)["runback.test_opened"]
    done = project.run("evaluate", better, "--data", "own", "--json")
    assert done.returncode == 0, done.stderr
    own = json.loads(done.stdout)
    assert own["images"] == "own"
    assert own["n"] == 12 * len(report["quality"]["classes"])
    assert "membership" not in own
    assert "own_accuracy" in project.client().get_run(better).data.metrics
    assert report_of(project, better, "evaluations/own/evaluation.json") == own
    assert tags(project, better)["runback.test_opened"] == opened
    (project.folder / "own" / "unicorn").mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(project.folder / "own" / "unicorn" / "1.png")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(project.folder / "own" / "unicorn" / "2.png")
    assert "different: 'unicorn'" in one_line(project.run("evaluate", better, "--data", "own"))


def test_a_run_that_fails_its_gates_is_promoted_with_a_waiver_alone(evaluated):
    project, worse, better, _ = evaluated
    failed = project.run("evaluate", worse, "--gates", "strict")
    assert failed.returncode == 1
    assert "FAILED  quality.accuracy.low >= 0.9999" in failed.stderr
    assert tags(project, worse)["runback.gates"] == "strict: failed 1 of 2"
    told = one_line(project.run("promote", worse))
    assert "gates strict: failed 1 of 2" in told
    assert "a reason and a name" in one_line(project.run("promote", worse, "--waive", "in a hurry"))
    waived = project.run("promote", worse, "--waive", "in a hurry", "--by", "Bo")
    assert waived.returncode == 0, waived.stderr
    waiver = json.loads(tags(project, worse)["runback.waiver"])
    assert (waiver["by"], waiver["reason"]) == ("Bo", "in a hurry")
    assert project.client().get_model_version_by_alias("runback-pair", "champion").tags["runback.waiver"]
    promoted = project.run("promote", better)
    assert promoted.returncode == 0, promoted.stderr
    assert "against the champion on" in promoted.stderr
    assert "McNemar p" in promoted.stderr


def test_a_run_whose_review_is_overdue_is_promoted_after_it(evaluated):
    project, _, better, _ = evaluated
    assert project.run("evaluate", better, "--gates", "due").returncode == 0
    assert f"its review was due by {PAST}" in one_line(project.run("promote", better))
    listed = project.run("review", better)
    assert (listed.returncode, listed.stdout) == (0, f"nobody has reviewed run {better}\n")
    assert "--by=NAME" in one_line(project.run("review", better, "--note", "fine"))
    assert "a date like" in one_line(project.run("review", better, "--by", "Bo", "--next", "soon"))
    done = project.run("review", better, "--by", "Bo", "--note", "looked at cats", "--next", FUTURE, "--json")
    assert done.returncode == 0, done.stderr
    [review] = json.loads(done.stdout)
    assert (review["by"], review["note"], review["next"]) == ("Bo", "looked at cats", FUTURE)
    assert len(review["evaluation_sha256"]) == 64
    assert project.run("promote", better).returncode == 0
    assert "looked at cats" in project.run("review", better).stdout
