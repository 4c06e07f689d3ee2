"""`runback evaluate`, as a person runs it; then what `promote` and `review` make of its runs."""

import io
import json
import re
import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from PIL import Image

FUTURE, PAST = ((datetime.now(UTC).date() + timedelta(days=days)).isoformat() for days in (300, -2))

GATES = """owner: Ada Lovelace
review_by: {due}
conditions:
  - quality.accuracy.low >= {least}
"""


def tags(project, run_id):
    return project.client().get_run(run_id).data.tags


def artifact(project, run_id, name):
    with open(project.client().download_artifacts(run_id, name), encoding="utf-8") as file:  # noqa: PTH123
        return file.read()


def listed(project, run_id):
    return {file.path for file in project.client().list_artifacts(run_id)}


def report_of(project, run_id, name="evaluation.json"):
    return json.loads(artifact(project, run_id, name))


def one_line(done):
    assert done.returncode == 2, done
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_all_is_logged_to_the_run(evaluated):
    project, _, better, _ = evaluated
    logged = {
        "evaluation.json",
        "evaluation.html",
        "answers.parquet",
        "gates.json",
        "model_card.md",
        "model_card.html",
    }
    assert logged <= listed(project, better)
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
    text = artifact(project, better, "model_card.md")
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
    project, _, better, _ = evaluated
    code = (
        "import sys\nfrom runback.cli.command_line import main\n"
        f"code = main(['evaluate', '{better}', '--gates', 'lax'])\n"
        "sys.exit(code or 'tensorflow' in sys.modules)"
    )
    done = project.fresh_python("-c", code)
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


def test_a_run_that_fails_its_gates_is_promoted_with_a_waiver_alone(evaluated):
    project, worse, better, _ = evaluated
    failed = project.run("evaluate", worse, "--gates", "strict")
    assert failed.returncode == 1
    assert "FAILED  quality.accuracy.low >= 0.9999" in failed.stderr
    assert tags(project, worse)["runback.gates"] == "strict: failed 1 of 2"
    assert project.run("evaluate", worse, "--gates", "lax").returncode == 0  # others do not make up for it
    assert tags(project, worse)["runback.gates"] == "strict: failed 1 of 2; lax: passed"
    assert "gates strict: failed 1 of 2" in one_line(project.run("promote", worse))
    assert "a reason and a name" in one_line(project.run("promote", worse, "--waive", "in a hurry"))
    assert "--by: expected 1 to 200" in one_line(project.run("promote", worse, "--waive", "x", "--by", " "))
    for reason in ("in a hurry", "still in a hurry"):
        waived = project.run("promote", worse, "--waive", reason, "--by", "Bo")
        assert waived.returncode == 0, waived.stderr
    assert [one["reason"] for one in json.loads(artifact(project, worse, "waivers.json"))] == [
        "in a hurry",
        "still in a hurry",
    ]
    assert tags(project, worse)["runback.waiver"].endswith("still in a hurry")
    version = project.client().get_model_version_by_alias("runback-pair", "champion")
    assert version.tags["runback.waiver"].endswith("still in a hurry")
    assert "model_card.html" in version.description
    assert "still in a hurry" in artifact(project, worse, "model_card.md")
    promoted = project.run("promote", better, "--waive", "why not", "--by", "Bo")
    assert promoted.returncode == 0, promoted.stderr
    assert "against the champion on" in promoted.stderr
    assert "McNemar p" in promoted.stderr
    assert "no waiver is recorded" in promoted.stderr
    assert "runback.waiver" not in tags(project, better)


def test_gates_that_have_changed_are_checked_again(evaluated):
    project, _, better, _ = evaluated
    file = project.folder / "conf" / "gates" / "lax.yaml"
    before = file.read_text()
    file.write_text(before.replace("0.01", "0.02"))
    try:
        assert "have changed since they were checked" in one_line(project.run("promote", better))
    finally:
        file.write_text(before)


def test_a_run_whose_review_is_overdue_is_promoted_after_it(evaluated):
    project, _, better, _ = evaluated
    assert project.run("evaluate", better, "--gates", "due").returncode == 0
    told = one_line(project.run("promote", better))
    assert f"its review was due by {PAST}: runback review RUN --by=NAME --next=DATE" in told
    listed = project.run("review", better)
    assert listed.stdout.startswith(f"nobody has reviewed run {better}\n")
    assert "--by=NAME" in one_line(project.run("review", better, "--note", "fine"))
    assert "a date like" in one_line(project.run("review", better, "--by", "Bo", "--next", "soon"))
    assert "--by: expected" in one_line(project.run("review", better, "--by", ""))
    undated = project.run("review", better, "--by", "Al")
    assert f"the review is due since {PAST}: --next=DATE" in undated.stdout
    done = project.run("review", better, "--by", "Bo", "--note", "looked at cats", "--next", FUTURE, "--json")
    assert done.returncode == 0, done.stderr
    _, review = json.loads(done.stdout)
    assert (review["by"], review["note"], review["next"]) == ("Bo", "looked at cats", FUTURE)
    assert len(review["evaluation_sha256"]) == 64
    assert project.run("promote", better).returncode == 0
    assert "looked at cats" in project.run("review", better).stdout
    assert "looked at cats" in artifact(project, better, "model_card.md")


def test_another_evaluation_is_checked_and_reviewed_anew(evaluated):
    project, worse, _, _ = evaluated
    assert project.run("evaluate", worse, "--gates", "strict").returncode == 1
    project.run("review", worse, "--by", "Bo", "--next", FUTURE)
    again = project.run("evaluate", worse, "--again")
    assert again.returncode == 1, again.stderr  # the gates of before are checked with it
    assert "FAILED  quality.accuracy.low >= 0.9999" in again.stderr
    assert "of an earlier evaluation" in project.run("review", worse).stdout


@pytest.mark.parametrize("name", ["gates.json", "reviews.json"])
def test_a_damaged_record_is_one_line(evaluated, name):
    project, worse, _, _ = evaluated
    before = artifact(project, worse, name) if name in listed(project, worse) else "[]"
    try:
        for content in ("{", "[1]", '{"a": 1}', "[" * 50_000):
            project.client().log_text(worse, content, name)
            assert f"{name} of run {worse} is damaged" in one_line(project.run("promote", worse))
    finally:
        project.client().log_text(worse, before, name)


def test_statements_that_are_wrong_are_told_before_anything_is_done(evaluated):
    project, worse, _, _ = evaluated
    file = project.folder / "conf" / "card.yaml"
    before, champion = (
        file.read_text(),
        project.client().get_model_version_by_alias("runback-pair", "champion"),
    )
    opened = tags(project, worse)["runback.test_opened"]
    file.write_text("license: [")
    try:
        for command in (["evaluate", worse, "--again"], ["promote", worse], ["review", worse, "--by", "Bo"]):
            assert "card.yaml: cannot be read" in one_line(project.run(*command))
    finally:
        file.write_text(before)
    assert tags(project, worse)["runback.test_opened"] == opened
    after = project.client().get_model_version_by_alias("runback-pair", "champion")
    assert after.version == champion.version
