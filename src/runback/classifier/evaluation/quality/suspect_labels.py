"""Labels that may be wrong."""

from dataclasses import dataclass

import numpy as np

from runback.classifier.evaluation.answers import Answers


@dataclass(frozen=True)
class SuspectLabel:
    """An image whose label the network doubts."""

    image: int
    label: int
    likelier: int
    label_probability: float
    likelier_probability: float


def suspect_labels(answers: Answers) -> list[SuspectLabel]:
    """Return the images that count as of another class than their label says, the most doubtful first.

    An image counts as of a class where its probability is at least the mean over the images with that label;
    of several, the likeliest. Source: C. Northcutt, L. Jiang, I. Chuang, "Confident learning: estimating
    uncertainty in dataset labels", Journal of Artificial Intelligence Research 70 (2021), section 3.
    """
    probabilities, labels = answers.probabilities, answers.labels
    k = len(answers.class_names)
    counts = np.bincount(labels, minlength=k)
    of_label = probabilities[np.arange(len(labels)), labels]
    least = np.where(counts > 0, np.bincount(labels, of_label, minlength=k) / np.maximum(counts, 1), np.inf)
    counted = np.where(probabilities >= least, probabilities, -1)
    likelier = counted.argmax(axis=1)
    doubtful = np.flatnonzero((counted.max(axis=1) >= 0) & (likelier != labels))
    margins = probabilities[doubtful, likelier[doubtful]] - of_label[doubtful]
    doubtful, margins = doubtful[margins > 0], margins[margins > 0]
    return [
        SuspectLabel(
            image,
            int(labels[image]),
            int(likelier[image]),
            float(of_label[image]),
            float(probabilities[image, likelier[image]]),
        )
        for image in doubtful[np.argsort(-margins, kind="stable")].tolist()
    ]
