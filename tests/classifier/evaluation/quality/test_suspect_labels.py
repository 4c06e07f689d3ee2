from dataclasses import replace

import numpy as np

from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.quality.suspect_labels import suspect_labels


def test_flipped_labels_are_found_first(answers):
    sure = np.flatnonzero(answers.confidence > 0.95)[:20]
    labels = answers.labels.copy()
    labels[sure] = (answers.predicted[sure] + 1) % 4
    flipped = Answers(replace(answers.dataset, labels=labels), answers.probabilities)
    found = suspect_labels(flipped)
    assert {*sure.tolist()} <= {one.image for one in found}
    assert found[0].image in sure
    first = found[0]
    assert first.label == labels[first.image]
    assert first.likelier == answers.predicted[first.image]
    assert first.likelier_probability > first.label_probability


def test_a_network_that_always_says_the_same_doubts_nothing(answers):
    constant = Answers(answers.dataset, np.full_like(answers.probabilities, 0.25))
    assert suspect_labels(constant) == []
