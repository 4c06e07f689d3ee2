"""`runback evaluate`, as a person runs it."""

import io
import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from PIL import Image

FUTURE = (datetime.now(UTC).date() + timedelta(days=300)).isoformat()

GATES = """owner: Ada Lovelace
review_by: {due}
conditions:
  - quality.accuracy.low >= {least}
"""


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
    assert "Owner: Ada Lovelace" in text


def test_what_was_done_and_how_often_the_sweep_was_tested_is_said(evaluated):
    project, *_, (first, second) = evaluated
    assert "corrupted images" in first.stdout
    assert "age: numbers, cut into quarters" in second.stderr
    said = "2 runs of sweep pair were tested: by chance alone the best of them looks"
    assert said in second.stderr
    [sweep] = [run for run in project.runs() if run.data.tags["runback.kind"] == "sweep"]
    assert said in sweep.data.tags["runback.tested"]
    assert "passed  quality.accuracy.low >= 0.01" in second.stderr


def test_the_split_is_opened_again_only_where_that_is_asked_for(evaluated):
    project, worse, _, _ = evaluated
    before = report_of(project, worse)["opened"]
    told = one_line(project.run("evaluate", worse, "--metadata", "metadata.csv"))
    assert "which takes --again" in told
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
        (
            ["--groups", "site", "--metadata", "metadata.csv"],
            "opened once: --metadata, --groups would measure anew",
        ),
        (["--accuracy", "0.9"], "opened once: --accuracy would measure anew"),
        (["--feedback", "--gates", "lax"], "--feedback does not go with --gates"),
        (["--data", "own", "--again"], "it does not go with --data"),
        (["--data", "own", "--name", ""], "--name: expected"),
        (["--data", "own", "--name", "best"], "--name: expected"),
        (["--data", "own", "--name", "test_balanced"], "--name: expected"),
        (["--again", "--gates", "mistyped"], "unknown number 'quality.acuracy"),
        (["--again", "--metadata", "metadata.csv", "--groups", "sit"], "expected one of site, age"),
        (["--data", "nowhere"], "nowhere"),
        (["--name", "mine"], "--data=PATH says where they are"),
        (["--data", "own", "--name", "test"], "--name: expected"),
        (["--feedback"], "nobody has said anything"),
        (["--again", "--reference", "nothing"], "nothing"),
        (
            ["--again", "--metadata", "others.csv"],
            "300 files that the test split|expected each",
        ),
        (["--again", "--gates", "unknown_site"], "there is no such grouping"),
        (["--again", "--gates", "unknown_class"], "there is no such class"),
        (["--gates", "twice"], "'conditions' occurs twice"),
    ],
)
def test_bad_input_is_one_line_and_opens_nothing(evaluated, arguments, message):
    project, worse, _, _ = evaluated
    (project.folder / "short.csv").write_text("site\nnorth\n")
    text = GATES.format(due=FUTURE, least=0.1).replace("accuracy", "acuracy")
    (project.folder / "conf" / "gates" / "mistyped.yaml").write_text(text)
    rows = "".join(f"{number}.png,north\n" for number in range(300))
    (project.folder / "others.csv").write_text("file,site\n" + rows)
    for name, number in (
        ("site", "groups.worst_country_accuracy"),
        ("class", "quality.classes.unicorn.recall"),
    ):
        text = GATES.format(due=FUTURE, least=0.1).replace("quality.accuracy.low", number)
        (project.folder / "conf" / "gates" / f"unknown_{name}.yaml").write_text(text)
    twice = GATES.format(due=FUTURE, least=0.99) + "conditions:\n  - quality.accuracy >= 0\n"
    (project.folder / "conf" / "gates" / "twice.yaml").write_text(twice)
    before = tags(project, worse)["runback.test_opened"]
    assert re.search(message, one_line(project.run("evaluate", worse, *arguments)))
    assert tags(project, worse)["runback.test_opened"] == before


def test_a_sweep_is_nothing_to_evaluate(evaluated):
    project, *_ = evaluated
    [sweep] = [run for run in project.runs() if run.data.tags["runback.kind"] == "sweep"]
    assert "is a whole sweep" in one_line(project.run("evaluate", sweep.info.run_id))


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


def test_rows_of_parquet_keep_their_order(evaluated):
    project, _, better, _ = evaluated
    names = [one["name"] for one in report_of(project, better)["quality"]["classes"]]
    generator, rows = np.random.default_rng(1), []
    for number in range(40 * len(names)):
        file = io.BytesIO()
        Image.fromarray(generator.integers(0, 256, (8, 8), np.uint8)).save(file, "PNG")
        rows.append({"image": {"bytes": file.getvalue()}, "label": names[number * 7 % len(names)]})
    pd.DataFrame(rows).to_parquet(project.folder / "rows.parquet")
    labels = [row["label"] for row in rows]
    table = pd.DataFrame({"index": range(len(rows)), "copy": [f"is {label}" for label in labels]})
    table.to_csv(project.folder / "rows.csv", index=False)
    done = project.run("evaluate", better, "--data", "rows.parquet", "--metadata", "rows.csv", "--json")
    assert done.returncode == 0, done.stderr
    groupings = {one["name"]: one for one in json.loads(done.stdout)["groups"]["groupings"]}
    own, copied = (
        {one["name"]: one["accuracy"] for one in groupings[name]["groups"]} for name in ("class", "copy")
    )
    assert {f"is {name}": accuracy for name, accuracy in own.items()} == copied
    assert len(groupings["class and copy"]["groups"]) == len(names)
    assert json.loads(done.stdout)["quality"]["confident_mistakes"][0]["file"].startswith("rows.parquet row ")
    clash = one_line(project.run("evaluate", better, "--data", "rows.parquet", "--name", "rows_more"))
    assert "could not be told from those of rows" in clash


def test_a_network_alone_and_a_split_without_a_class_are_refused(evaluated):
    project, worse, _, _ = evaluated
    client = project.client()
    run = client.create_run(client.get_run(worse).info.experiment_id)
    client.set_tag(run.info.run_id, "runback.kind", "train")
    client.set_terminated(run.info.run_id)
    assert "has no network to load" in one_line(project.run("evaluate", run.info.run_id))
    for number in range(60):
        split, name = ("train", "test")[number >= 40], "abc"[number % 3 if number < 40 else number % 2]
        file = project.folder / "absent" / split / name / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(file)
    small = ["data=folder", "data.path=absent", "data.height=8", "data.width=8", "data.channels=1"]
    trained = project.run("train", *small, "model.widths=[4,4]", "model.dense_width=8", "training.epochs=1")
    assert "got c: 12 train, 1 validation, 0 test" in one_line(trained)  # before it is trained


def test_a_recorded_evaluation_is_shown_without_tensorflow(evaluated):
    project, worse, _, _ = evaluated
    code = (
        "import sys\nfrom runback.cli.command_line import main\n"
        f"code = main(['evaluate', '{worse}', '--gates', 'lax'])\n"
        "sys.exit(code or 'tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.folder,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_an_evaluation_that_did_not_end_is_not_begun_again_unasked(evaluated):
    project, worse, _, _ = evaluated
    client = project.client()
    run = client.create_run(client.get_run(worse).info.experiment_id)
    for name, value in {**tags(project, worse), "runback.test_opened": "1"}.items():
        client.set_tag(run.info.run_id, name, value)
    client.set_terminated(run.info.run_id)
    told = one_line(project.run("evaluate", run.info.run_id))
    assert "was opened, and its evaluation did not end: --again" in told


def test_a_report_of_another_version_is_one_line(evaluated):
    project, worse, _, _ = evaluated
    client = project.client()
    run = client.create_run(client.get_run(worse).info.experiment_id)
    for name, value in tags(project, worse).items():
        client.set_tag(run.info.run_id, name, value)
    client.log_metric(run.info.run_id, "test_accuracy", 0.5)
    client.log_text(run.info.run_id, '{"test_accuracy": 0.5}', "evaluation.json")
    client.set_terminated(run.info.run_id)
    assert "another version of runback" in one_line(project.run("evaluate", run.info.run_id))
    assert "another version of runback" not in project.run("promote", run.info.run_id).stdout


def test_an_evaluation_that_the_store_did_not_take_is_stored_by_the_next_command(evaluated):
    project, worse, _, _ = evaluated
    opened = tags(project, worse)["runback.test_opened"]
    report = report_of(project, worse)
    folder = project.folder / "mlruns" / "evaluations" / worse
    folder.mkdir(parents=True)
    for name in ("evaluation.html", "answers.parquet", "confusion.png", "evaluation.json"):
        shutil.copy(project.client().download_artifacts(worse, name), folder / name)
    facts = {"images": "test", "n": report["n"], "metrics": {"test_accuracy": 0.125, "test_ece": 0.5}}
    (folder / "metrics.json").write_text(json.dumps(facts))
    done = project.run("evaluate", worse)
    assert done.returncode == 0, done.stderr
    metrics = project.client().get_run(worse).data.metrics
    assert metrics["test_accuracy"] == 0.125
    assert np.isnan(metrics["test_brier"])  # an earlier evaluation's, which this one does not have
    assert tags(project, worse)["runback.test_opened"] == opened
    assert not folder.exists()
