"""Every block of docs/evaluation.md, in the order of the page, with a run of a project."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runback.classifier.data import digits

PAGE = (Path(__file__).parents[1] / "docs" / "evaluation.md").read_text("utf-8")

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def project(module_project):
    """A project with what the page names: sites.csv, photos/, textures/ and the file of gates."""
    folder = module_project.folder
    module_project.own_conf()
    [gates, card] = [text for language, text in BLOCK.findall(PAGE) if language == "yaml"]
    (folder / "conf" / "gates" / "release.yaml").write_text(gates)
    (folder / "conf" / "card.yaml").write_text(card)
    n = len(digits.load("test", cache=folder / "cache"))
    (folder / "sites.csv").write_text("site\n" + "north\nsouth\n" * (n // 2) + "north\n" * (n % 2))
    generator = np.random.default_rng(0)
    for name in map(str, range(10)):
        for place in (folder / "photos" / name, folder / "textures" / f"t{name}"):
            place.mkdir(parents=True)
            for number in range(6):
                Image.fromarray(generator.integers(0, 256, (8, 8), np.uint8)).save(place / f"{number}.png")
    return module_project


@pytest.fixture(scope="module")
def done(project):
    """Run the page's commands; return their output by command."""
    trained = project.run("train", "training.epochs=2")
    assert trained.returncode == 0, trained.stderr
    run_id = trained.stdout.split()[-1]
    said = {}
    for language, text in BLOCK.findall(PAGE):
        for command in text.splitlines() if language == "sh" else ():
            tool, *words = shlex.split(command.replace("RUN", run_id))
            assert tool == "runback"
            said[command] = project.run(*words)
    return run_id, said


def test_every_command_of_the_page_runs(done):
    _, said = done
    assert len(said) >= 5
    for command, one in said.items():
        assert one.returncode in ((0, 1) if "--gates" in command else (0,)), (command, one.stderr)


def test_the_page_names_the_sections_and_metrics_that_there_are(project, done):
    run_id, _ = done
    with open(project.client().download_artifacts(run_id, "evaluation.json"), encoding="utf-8") as file:  # noqa: PTH123
        report = json.load(file)
    sections = [name for name, value in report.items() if isinstance(value, dict)]
    rows = PAGE.partition("| section |")[2].partition("\n\n")[0]
    table = re.findall(r"^\| (\w+) \|", rows, re.MULTILINE)
    assert table == sections


def test_the_card_has_what_the_page_states(project, done):
    run_id, _ = done
    card = Path(project.client().download_artifacts(run_id, "model_card.md")).read_text("utf-8")
    assert "Postcode digits" in card
    assert "identifying people" in card
    assert "Ada Lovelace" in card


def test_every_artifact_of_the_page_is_logged(project, done):
    run_id, _ = done
    logged = {file.path for file in project.client().list_artifacts(run_id)}
    named = set(re.findall(r"`(\w+\.(?:html|json|md|parquet))`", PAGE))
    assert named <= logged
    assert len(named) >= 7
