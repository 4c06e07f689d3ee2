import base64
import json

import numpy as np
import pytest

from runback.classifier.evaluation.feedback_report import feedback_report
from runback.classifier.serving import feedback as feedback_module
from runback.classifier.serving.feedback import (
    FeedbackFile,
    FeedbackFull,
    TooOften,
    image_hash,
    read_feedback,
)
from runback.errors import DataError

SHAPE, NAMES = (2, 3, 1), ("cat", "dog")


@pytest.fixture
def entries(tmp_path):
    return FeedbackFile(tmp_path / "feedback" / "run.jsonl", SHAPE, NAMES)


def said(number=0, *, answer="cat", correction="dog", with_image=False, **more):
    image = np.full(SHAPE, number, np.uint8)
    entry = {"sha256": image_hash(image), "answer": answer, "correction": correction, **more}
    if with_image:
        entry |= {"image": base64.b64encode(image.tobytes()).decode(), "consent": True}
    return json.dumps(entry).encode()


def test_an_entry_is_kept_with_its_time(entries):
    stored = entries.add(said(note="a dog\nwith \x1b[31m ears"))
    [read] = read_feedback(entries.file).entries
    assert read.model_dump(exclude={"image"}) == stored
    assert (read.answer, read.correction) == ("cat", "dog")
    assert read.when.startswith("20")
    assert entries.file.read_bytes().isascii()
    assert b"\x1b" not in entries.file.read_bytes()
    assert entries.file.stat().st_mode & 0o077 == 0


def test_an_image_is_kept_with_consent_alone(entries):
    entries.add(said(7, with_image=True))
    [read] = read_feedback(entries.file).entries
    assert base64.b64decode(read.image) == bytes([7] * 6)
    assert read.consent
    without = json.loads(said(7, with_image=True)) | {"consent": False}
    with pytest.raises(DataError, match="only with consent"):
        entries.add(json.dumps(without).encode())
    other = json.loads(said(7, with_image=True)) | {"sha256": "0" * 64}
    with pytest.raises(DataError, match="with the sha256 stated"):
        entries.add(json.dumps(other).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"sha256": "../../etc/passwd", "answer": "cat", "correction": "dog"}',
        said(answer="unicorn"),
        said(correction="\x1b[2J"),
        said(note="x" * 1001),
        said(more="fields"),
        said(image="%%%", consent=True),
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_what_is_no_entry_is_refused_in_one_line(entries, body):
    with pytest.raises(DataError) as caught:
        entries.add(body)
    assert "\n" not in str(caught.value)
    assert not entries.file.exists()


def test_more_than_so_many_a_minute_are_not_taken(entries, monkeypatch):
    monkeypatch.setattr(feedback_module, "A_MINUTE", 3)
    for number in range(3):
        entries.add(said(number))
    with pytest.raises(TooOften, match="3 entries a minute"):
        entries.add(said(4))
    assert len(read_feedback(entries.file).entries) == 3


def test_a_full_file_takes_no_more_also_after_a_restart(entries, monkeypatch):
    monkeypatch.setattr(feedback_module, "MOST_ENTRIES", 2)
    entries.add(said(0))
    again = FeedbackFile(entries.file, SHAPE, NAMES)
    again.add(said(1))
    with pytest.raises(FeedbackFull, match="full: 2 entries"):
        again.add(said(2))
    with pytest.raises(FeedbackFull, match="full: 2 entries"):  # it has counted what another server has added
        entries.add(said(2))


def test_a_last_line_that_was_cut_short_is_left_out(entries):
    entries.add(said(0))
    with entries.file.open("ab") as file:
        file.write(b'{"sha256": "12')
    assert (len(read_feedback(entries.file).entries), read_feedback(entries.file).damaged) == (1, 1)
    entries.add(said(2))
    assert len(read_feedback(entries.file).entries) == 2


def test_the_report_counts_and_scores_what_came_with_its_image(entries):
    entries.add(said(0, with_image=True))
    entries.add(said(200, correction="cat", with_image=True))
    entries.add(said(1))
    entries.add(said(1, correction="cat"))  # somebody has thought again
    report = feedback_report(
        read_feedback(entries.file),
        NAMES,
        SHAPE,
        lambda images: (images.mean(axis=(1, 2, 3)) < 100).astype(int),
    )
    assert (report["images"], report["with_image"], report["left_out"]) == (3, 2, 0)
    assert report["disputed"]["value"] == pytest.approx(1 / 3)
    assert report["agrees"]["value"] == 1
    assert report["corrections"] == [{"answer": "cat", "correction": "dog", "n": 1}]


def test_entries_about_other_classes_are_left_out_and_counted(entries):
    entries.add(said(0))
    report = feedback_report(read_feedback(entries.file), ("fox", "owl"), SHAPE, lambda images: images)
    assert (report["left_out"], report["disputed"], report["agrees"]) == (1, None, None)


def test_an_image_stays_where_a_later_entry_brings_none(entries):
    entries.add(said(0, with_image=True))
    entries.add(said(0, correction="cat"))
    report = feedback_report(
        read_feedback(entries.file), NAMES, SHAPE, lambda images: np.zeros(len(images), int)
    )
    assert (report["with_image"], report["agrees"]["value"]) == (1, 1)


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "[]",
        "[" * 100_000,
        '{"sha256": "0", "answer": ["cat"], "correction": "dog", "when": ""}',
        json.dumps(json.loads(said(0)) | {"when": "now", "image": "AAAA", "consent": True}),
        json.dumps(json.loads(said(0)) | {"when": "now", "image": "%", "consent": True}),
        "\ud800",
    ],
    ids=lambda line: line[:30],
)
def test_a_file_that_somebody_has_written_to_is_read_as_far_as_it_goes(entries, line):
    entries.add(said(1))
    with entries.file.open("ab") as file:
        file.write(line.encode(errors="surrogatepass") + b"\n")
    feedback = read_feedback(entries.file)
    report = feedback_report(feedback, NAMES, SHAPE, lambda images: np.zeros(len(images), int))
    assert report["images"] + report["damaged_lines"] == 2
    assert report["with_image"] == 0


def test_a_link_in_the_place_of_the_file_is_not_followed(entries, tmp_path):
    entries.file.parent.mkdir()
    other = tmp_path / "other"
    other.write_text("mine\n")
    entries.file.symlink_to(other)
    with pytest.raises(FeedbackFull, match="cannot be written"):
        entries.add(said())
    assert other.read_text() == "mine\n"


def test_a_large_image_may_be_sent(tmp_path):
    entries = FeedbackFile(tmp_path / "run.jsonl", (512, 512, 3), NAMES)
    assert entries.longest_body > 4 * 512 * 512
