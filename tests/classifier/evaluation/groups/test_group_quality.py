import numpy as np
import pytest
from fairlearn.metrics import MetricFrame, equalized_odds_difference
from sklearn.metrics import accuracy_score

from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.groups.group_quality import grouping_quality
from runback.classifier.evaluation.groups.groups_section import groups_section
from runback.classifier.evaluation.groups.metadata import Grouping, by_class


@pytest.fixture
def sites(answers):
    places = np.random.default_rng(4).choice(4, len(answers), p=[0.45, 0.3, 0.22, 0.03])
    return Grouping("site", ("north", "south", "east", "west"), places)


def test_numbers_are_those_of_fairlearn(answers, sites):
    found = grouping_quality(answers, sites)
    frame = MetricFrame(
        metrics=accuracy_score,
        y_true=answers.labels,
        y_pred=answers.chosen,
        sensitive_features=sites.of_image,
    )
    for place, group in enumerate(found.groups[:3]):
        assert group.n == np.count_nonzero(sites.of_image == place)
        assert group.accuracy.value == pytest.approx(frame.by_group[place], abs=1e-12)
    large = sites.of_image < 3
    for place, odds in enumerate(found.odds):
        expected = equalized_odds_difference(
            answers.labels[large] == place,
            answers.chosen[large] == place,
            sensitive_features=sites.of_image[large],
        )
        assert odds.equalized_odds_difference == pytest.approx(expected, abs=1e-12)


def test_a_small_group_is_named_and_not_measured(answers, sites):
    found = grouping_quality(answers, sites)
    assert found.too_small == ("west",)
    assert found.groups[3].accuracy is None
    assert found.groups[3].p_value is None


def test_a_group_with_flipped_labels_is_named_as_the_worst(answers, sites):
    labels = answers.labels.copy()
    south = np.flatnonzero(sites.of_image == 1)
    flipped = south[: len(south) // 2]
    labels[flipped] = (labels[flipped] + 1) % 4
    harmed = Answers(
        type(answers.images)(answers.images.images, labels, answers.class_names), answers.probabilities
    )
    found = grouping_quality(harmed, sites)
    assert found.worst == "south"
    assert found.gap.low > 0.1
    assert found.groups[1].p_value < 0.001
    section = groups_section(harmed, [sites])
    assert section.measures["worst_site_accuracy"].high < 0.7
    assert "Worst by site: south" in " ".join(section.notes)


def test_classes_are_groups_and_have_no_odds(answers):
    found = grouping_quality(answers, by_class(answers.labels, answers.class_names))
    assert [group.name for group in found.groups] == [*answers.class_names]
    assert found.odds == ()


def test_the_section_has_pairs_and_survives_json(answers, sites):
    section = groups_section(answers, [sites])
    names = [one["name"] for one in section.facts["groupings"]]
    assert names == ["class", "site", "class and site"]
    assert {"worst_class_accuracy", "class_gap", "worst_site_accuracy", "site_equalized_odds_difference"} <= {
        *section.measures
    }
