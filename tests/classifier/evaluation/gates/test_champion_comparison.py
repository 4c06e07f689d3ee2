import numpy as np
import pytest

from runback.classifier.data.dataset import Dataset
from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.gates.answers_file import read_answers, write_answers
from runback.classifier.evaluation.gates.champion_comparison import compare_answers
from runback.classifier.evaluation.groups.metadata import Grouping
from runback.errors import InputError

NAMES = ("cat", "dog", "ship")


def table(labels, chosen, groupings=(), seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), 4, 4, 1), np.uint8)
    probabilities = np.full((len(labels), len(NAMES)), 0.05)
    probabilities[np.arange(len(labels)), chosen] = 0.9
    answers = Answers(Dataset(pixels, labels, NAMES), probabilities)
    return read_answers(write_answers(answers, groupings), "answers")


def test_better_on_average_and_worse_for_cats():
    labels = np.repeat([0, 1, 2], 300)
    champion = labels.copy()
    champion[[*range(300, 360), *range(600, 660)]] = 0  # wrong about dogs and ships
    run = labels.copy()
    run[:40] = 1  # wrong about cats
    found = compare_answers(table(labels, run), table(labels, champion))
    assert found.overall.difference.mean == pytest.approx(80 / 900)
    assert found.overall.difference.low > 0
    assert found.worse == ["cat"]
    lines = found.lines()
    assert lines[0].startswith("against the champion on 900 images: accuracy +0.0889")
    assert lines[1] == "better on average, worse for cat"
    assert found.as_dict()["groups"]["cat"]["difference"] == pytest.approx(-40 / 300)


def test_other_test_images_are_not_compared():
    first = table(np.array([0, 1, 2]), np.array([0, 1, 2]))
    assert compare_answers(first, table(np.array([0, 1, 1]), np.array([0, 1, 2]))) is None
    assert compare_answers(first, table(np.array([0, 1]), np.array([0, 1]))) is None
    assert compare_answers(first, table(np.array([0, 1, 2]), np.array([0, 1, 2]), seed=1)) is None


def test_groups_of_metadata_are_compared_too():
    labels = np.repeat([0, 1, 2], 300)
    sites = Grouping("site", ("north", "south"), np.arange(900) % 2)
    run = labels.copy()
    run[(sites.of_image == 1) & (np.arange(900) % 5 == 0)] = 1  # wrong in the south, about all classes
    found = compare_answers(table(labels, run, [sites]), table(labels, labels))
    assert "site: south" in found.worse
    assert "site: north" not in found.worse
    assert found.groups["site: north"][0].n == 450


def test_a_damaged_file_is_refused():
    with pytest.raises(InputError, match="answers is damaged"):
        read_answers(b"PAR1", "answers")
