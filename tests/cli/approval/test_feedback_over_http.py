"""Disputed answers, from `runback serve --feedback` to `runback evaluate --feedback`."""

import base64
import contextlib
import hashlib
import http.client
import json

import numpy as np
import pytest

JSON = "application/json"


@pytest.fixture(scope="module")
def trained(module_project):
    done = module_project.run("train", "training.epochs=2", "model.dense_width=16")
    assert done.returncode == 0, done.stderr
    return module_project, done.stdout.split()[-1]


@contextlib.contextmanager
def serving(project, run, *options):
    """Serve a run; yields the lines that the server says, and a function that posts to it."""
    process = project.start("serve", run, *options)
    try:
        lines = [process.stdout.readline().rstrip("\n") for _ in range(4 if options else 3)]
        assert all(lines), process.communicate()[1]
        port = int(lines[0].rpartition(":")[2])

        def post(path, body, content_type=JSON):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("POST", path, body, {"Content-Type": content_type})
            answer = connection.getresponse()
            with contextlib.closing(connection):
                return answer.status, answer.headers, json.loads(answer.read())

        yield lines, post
    finally:
        process.kill()
        process.communicate()


def entry(pixels, correction, **more):
    pixels = pixels.tobytes()
    return {"sha256": hashlib.sha256(pixels).hexdigest(), "answer": "1", "correction": correction, **more}


def with_image(image, correction):
    return entry(image, correction, image=base64.b64encode(image.tobytes()).decode(), consent=True)


def test_what_people_say_is_kept_and_scored(trained):
    project, run = trained
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), np.uint8)
    with serving(project, run, "--feedback") as (lines, post):
        assert lines[3].endswith(f"{run}.jsonl")
        code, _, answer = post("/invocations", json.dumps({"inputs": images.tolist()}))
        assert code == 200
        hashes = [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
        assert [one["sha256"] for one in answer["predictions"]] == hashes
        code, _, stored = post("/feedback", json.dumps(entry(images[0], "7", note="a seven")))
        assert (code, stored["correction"], stored["note"]) == (201, "7", "a seven")
        said = answer["predictions"][1]["class"]
        assert post("/feedback", json.dumps(with_image(images[1], said)))[0] == 201
        assert post("/feedback", json.dumps(with_image(images[2], "1")), f"{JSON}; charset=utf-8")[0] == 201
    report = json.loads(project.run("evaluate", run, "--feedback").stdout)
    assert (report["images"], report["with_image"], report["left_out"]) == (3, 2, 0)
    assert {"answer": "1", "correction": "7", "n": 1} in report["corrections"]
    assert report["notes"] == [{"answer": "1", "correction": "7", "note": "a seven"}]
    assert report["agrees"]["value"] >= 0.5  # about the second image the network says what the person says
    metrics = project.client().get_run(run).data.metrics
    assert metrics["feedback_agrees"] == report["agrees"]["value"]
    assert "test_accuracy" not in metrics  # the test split stays closed


ENTRY = '{"sha256": "00", "answer": "1", "correction": "2"}'

NO_ENTRIES = (
    (ENTRY, "text/plain", 415),  # as a page elsewhere can send
    (ENTRY, "application/x-www-form-urlencoded", 415),
    ("{", JSON, 400),
    (ENTRY, JSON, 400),
    ("[" * 60_000, JSON, 400),
    ("x" * 200_000, JSON, 413),
)


def test_what_is_no_entry_is_refused(trained):
    project, run = trained
    with serving(project, run, "--feedback") as (_, post):
        for body, content_type, code in NO_ENTRIES:
            status, _, answer = post("/feedback", body, content_type)
            assert status == code, body[:100]
            assert "\n" not in answer["message"]


def test_more_than_a_minute_takes_are_told_to_come_later(trained):
    project, run = trained
    images = np.random.default_rng(1).integers(0, 256, (70, 8, 8, 1), np.uint8)
    with serving(project, run, "--feedback") as (_, post):
        codes = [post("/feedback", json.dumps(entry(image, "2")))[:2] for image in images]
        assert {code for code, _ in codes[:60]} == {201}
        assert {(code, headers["Retry-After"]) for code, headers in codes[60:]} == {(429, "60")}


def test_without_the_option_nobody_can_say_anything(trained):
    project, run = trained
    with serving(project, run) as (_, post):
        assert post("/feedback", "{}")[0] == 404
