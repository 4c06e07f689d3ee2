"""Gates, reviews and waivers of evaluated runs, and what `runback promote` makes of them."""

import json
from datetime import UTC, datetime, timedelta

import pytest

FUTURE, PAST = ((datetime.now(UTC).date() + timedelta(days=days)).isoformat() for days in (300, -2))


def tags(project, run_id):
    return project.client().get_run(run_id).data.tags


def artifact(project, run_id, name):
    with open(project.client().download_artifacts(run_id, name), encoding="utf-8") as file:  # noqa: PTH123
        return file.read()


def one_line(done):
    assert done.returncode == 2, done
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


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


def listed(project, run_id):
    return {file.path for file in project.client().list_artifacts(run_id)}
