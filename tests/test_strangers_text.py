"""What strangers wrote into names, params, tags and files never acts on whoever reads a command's output."""

import csv
import io
import json
import os
import re

import numpy as np
import pytest
from PIL import Image

ESCAPE, TURNED, FORMULA, SUM = "a\x1b[2J\x1b]0;x\x07", "b\u202eexe.txt", "=cmd|' /C calc'!A0", "$\\sum_{$ c$"
CLASSES = (ESCAPE, TURNED, FORMULA, SUM, "two\nrun 123 is fine", "[x](javascript:alert(1))<img src=x>")
HOSTILE = "".join(CLASSES)

SMALL = ("training.epochs=1", "model.dense_width=8", "model.widths=[4,4]", "data.height=8", "data.width=8")


def acts(text):
    """Return the characters that would do something to a terminal; ends of lines are our own."""
    return sorted({one for one in text if not one.isprintable() and one != "\n"})


@pytest.fixture(scope="module")
def trained(module_project):
    """Train on a folder whose classes and files are called so, then call the runs so."""
    images = module_project.folder / "images"
    pixels = np.random.default_rng(0).integers(0, 256, (len(CLASSES), 12, 8, 8, 3), np.uint8)
    for name, tiles in zip(CLASSES, pixels, strict=True):
        # Slashes would be folders.
        (images / name.replace("/", "")).mkdir(parents=True)
        for number, tile in enumerate(tiles):
            Image.fromarray(tile).save(images / name.replace("/", "") / f"\x1b[31m{number}.png")
    raw = os.fsencode(images / CLASSES[0]) + b"/\xff\xfe.png"
    Image.fromarray(pixels[0, 0]).save(io.BytesIO(), "png")
    with open(raw, "wb") as file:  # noqa: PTH123 - a name of bytes
        Image.fromarray(pixels[0, 0]).save(file, "png")
    arguments = ("train", "data=folder", "data.path=images", *SMALL)
    outcomes = module_project.run_many(arguments, [*arguments, "optimizer=sgd"], [*arguments, "seed=2"])
    assert [code for code, _, _ in outcomes] == [0, 0, 0], outcomes
    client = module_project.client()
    for number, run in enumerate(module_project.runs()):
        client.update_run(run.info.run_id, name=f"{HOSTILE}{number}")
        client.set_tag(run.info.run_id, "runback.sweep", "s")
        client.log_param(run.info.run_id, "note", f"{CLASSES[number]}")
        client.log_param(run.info.run_id, "number", f"-{number + 1}")
    failed = module_project.runs()[2].info.run_id
    client.set_terminated(failed, "FAILED")
    client.set_tag(failed, "runback.failure", HOSTILE)
    client.set_tag(failed, "runback.reason", HOSTILE)
    return module_project, [run.info.run_id for run in module_project.runs()], outcomes


def test_training_shows_nothing_that_acts(trained):
    _, _, outcomes = trained
    assert [acts(out + err) for _, out, err in outcomes] == [[], [], []]


@pytest.mark.parametrize(
    "form", [[], ["--csv"], ["--html"], ["--json"], ["--columns", "name,note,reason,failure,status"]]
)
def test_a_table_of_runs_shows_nothing_that_acts(trained, form):
    project, runs, _ = trained
    done = project.run("compare", *runs, *form)
    assert done.returncode == 0, done.stderr
    assert acts(done.stdout + done.stderr) == []
    if not form or form[0] == "--columns":
        assert done.stdout.count("\n") == len(runs) + 1


def test_a_table_of_runs_in_a_spreadsheet_calculates_nothing_and_keeps_its_numbers(trained):
    project, runs, _ = trained
    done = project.run("compare", *runs, "--csv", "--columns", "run,name,note,number,val_accuracy,reason")
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert len(rows) == len(runs) + 1
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if re.match(r"[=+@|%\t\r]", cell)]
    notes, numbers = ({row[column] for row in rows[1:]} for column in (2, 3))
    assert f"'{FORMULA}" in notes
    assert numbers == {"-1", "-2", "-3"}


def test_why_two_runs_differ_shows_nothing_that_acts(trained):
    project, runs, _ = trained
    done = project.run("compare", *runs[:2])
    assert done.returncode == 0, done.stderr
    assert "optimizer" in done.stdout
    assert acts(done.stdout + done.stderr) == []


def test_evaluating_shows_each_class_on_a_line_of_its_own(trained):
    project, runs, _ = trained
    done = project.run("evaluate", runs[0])
    assert done.returncode == 0, done.stderr
    assert acts(done.stdout + done.stderr) == []
    lines = [line.split() for line in done.stdout.splitlines()]
    first = next(place for place, words in enumerate(lines) if words[:2] == ["class", "images"]) + 1
    assert lines[first + len(CLASSES)][0] == "value"
    assert len({words[0] for words in lines[first : first + len(CLASSES)]}) == len(CLASSES)
    assert done.stderr == ""  # neither a glyph that is missing nor mathematics that is none


def test_what_cannot_be_done_is_said_without_anything_that_acts(trained):
    project, runs, _ = trained
    refused = [
        ["compare", HOSTILE, runs[0]],
        ["evaluate", HOSTILE],
        ["best", HOSTILE],
        ["sweep", HOSTILE],
        ["promote", HOSTILE],
        ["reproduce", HOSTILE],
        ["export", HOSTILE, "x.zip"],
        ["verify", HOSTILE],
        ["serve", HOSTILE],
        ["sync", HOSTILE],
        ["train", f"resume={HOSTILE}"],
        ["train", f"model={HOSTILE}"],
        ["train", "--config", HOSTILE],
        ["train", "data=folder", "data.path='\x1b[2J'"],
        ["compare", *runs, "--sort", HOSTILE],
        ["doctor", HOSTILE],
        ["clean", HOSTILE],
        [HOSTILE],
    ]
    for arguments, (code, out, err) in zip(refused, project.run_many(*refused), strict=True):
        assert code == 2, (arguments, out, err)
        assert (acts(out + err), err.count("\n")) == ([], 1), arguments


def test_a_table_on_a_terminal_has_only_the_terminals_own_escapes(trained):
    import pty
    import subprocess
    import sys

    project, runs, _ = trained
    for arguments in (["compare", *runs], ["evaluate", runs[0]], ["compare", *runs[:2]]):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "runback", *arguments],
            cwd=project.folder,
            env=project.environment(COLUMNS="200", TERM="xterm-256color"),
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        content = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:
                break
            if not part:
                break
            content += part
        assert process.wait() == 0, content
        plain = re.sub(r"\x1b\[[0-9;]*m|\r", "", content.decode())
        assert acts(plain) == []
        assert "\x1b[2J" not in content.decode()
        assert "\x1b[31m" not in content.decode()


def test_a_reproduction_of_it_shows_nothing_that_acts_in_text_or_page(trained):
    project, runs, _ = trained
    done = project.run("reproduce", runs[0], "--in-place", "--threads", "1")
    assert done.returncode in (0, 1), done.stderr
    assert acts(done.stdout + done.stderr) == []
    new = project.runs()[-1]
    page = project.client().download_artifacts(new.info.run_id, "reproduction.html")
    with open(page, encoding="utf-8") as file:  # noqa: PTH123 - a path of MLflow's
        assert acts(file.read()) == []


def test_reports_in_json_are_whole(trained):
    project, runs, _ = trained
    done = project.run("compare", *runs, "--json")
    assert FORMULA in {run["note"] for run in json.loads(done.stdout)["runs"]}
