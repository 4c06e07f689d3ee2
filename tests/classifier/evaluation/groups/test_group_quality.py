import json

import numpy as np
import pytest
from fairlearn.metrics import MetricFrame, equalized_odds_difference, selection_rate, true_positive_rate
from sklearn.metrics import accuracy_score

from runback.classifier.data.dataset import Dataset
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
        y_pred=answers.predicted,
        sensitive_features=sites.of_image,
    )
    for place, group in enumerate(found.groups[:3]):
        assert group.n == np.count_nonzero(sites.of_image == place)
        assert group.accuracy.value == pytest.approx(frame.by_group[place], abs=1e-12)
    large = sites.of_image < 3
    for place, rates in enumerate(found.classes):
        of_class, answered = answers.labels[large] == place, answers.predicted[large] == place
        expected = equalized_odds_difference(of_class, answered, sensitive_features=sites.of_image[large])
        assert rates.equalized_odds_difference.value == pytest.approx(expected, abs=1e-12)
        frame = MetricFrame(
            metrics={"recall": true_positive_rate, "selection": selection_rate},
            y_true=of_class,
            y_pred=answered,
            sensitive_features=sites.of_image[large],
        )
        assert [*rates.rates["true_positive_rate"].values()] == pytest.approx([*frame.by_group["recall"]])
        difference = frame.difference()["selection"]
        assert rates.differences["selection_rate"].value == pytest.approx(difference, abs=1e-12)
        assert rates.differences["selection_rate"].high > difference


def test_a_group_without_images_of_a_class_is_not_the_worst_for_it(made_answers):
    answers = made_answers(1_200)
    places = np.where(answers.labels == 0, 0, np.arange(1_200) % 3)
    found = grouping_quality(answers, Grouping("site", ("a", "b", "c"), places))
    cat = found.classes[0]
    assert [*cat.rates["true_positive_rate"]] == ["a"]
    assert "true_positive_rate" not in cat.differences
    assert cat.equalized_odds_difference is None  # half of it could not be measured
    assert found.classes[1].equalized_odds_difference.value < 0.3


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
    harmed = Answers(Dataset(answers.dataset.images, labels, answers.class_names), answers.probabilities)
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
    assert found.classes == ()


def test_the_section_has_pairs_and_survives_json(answers, sites):
    section = groups_section(answers, [sites])
    assert json.loads(json.dumps(section.as_dict(), allow_nan=False)) == section.as_dict()
    names = [one["name"] for one in section.facts["groupings"]]
    assert names == ["class", "site", "class and site"]
    assert {"worst_class_accuracy", "class_gap", "worst_site_accuracy", "site_equalized_odds_difference"} <= {
        *section.measures
    }


def test_groupings_of_like_names_keep_their_own_numbers(answers, sites):
    others = [
        Grouping(name, sites.groups, sites.of_image) for name in ("年齢", "性別", "skin tone", "skin-tone")
    ]
    measures = groups_section(answers, others).measures
    names = ("group", "group_2", "skin_tone", "skin_tone_2")
    assert {f"worst_{name}_accuracy" for name in names} <= {*measures}
