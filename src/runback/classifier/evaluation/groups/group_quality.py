"""Accuracy and rates in each group of images, and how far apart the groups are."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
from scipy.stats import fisher_exact

from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.groups.metadata import CLASS, Grouping
from runback.classifier.evaluation.measure import LEAST_IMAGES, Measure
from runback.statistics.group_extremes import group_extremes
from runback.statistics.holm import holm

SELECTION, TRUE_POSITIVE, FALSE_POSITIVE = RATES = (
    "selection_rate",
    "true_positive_rate",
    "false_positive_rate",
)
"""Rates of a class: of all images, of its images, and of all others, the share that is answered with it."""


@dataclass(frozen=True)
class GroupQuality:
    """A group: its images, and its accuracy where they are enough."""

    name: str
    n: int
    accuracy: Measure | None
    p_value: float | None
    """Of Fisher's exact test against all other images, adjusted by Holm for the groups; None: too few."""


@dataclass(frozen=True)
class ClassRates:
    """Rates of a class in each group, and how far apart the groups are."""

    class_name: str
    rates: Mapping[str, Mapping[str, float]]
    """By rate, then by group with enough images to take the rate of."""
    differences: Mapping[str, Measure]
    """By rate: the largest difference of two groups; without rates that fewer than two groups have."""

    @property
    def equalized_odds_difference(self) -> Measure | None:
        """The larger difference of true and false positive rates: 0 where the odds are equal.

        None where either of the two could not be measured in two groups.
        """
        if not {TRUE_POSITIVE, FALSE_POSITIVE} <= self.differences.keys():
            return None
        return max(
            (self.differences[rate] for rate in (TRUE_POSITIVE, FALSE_POSITIVE)), key=lambda one: one.value
        )


@dataclass(frozen=True, eq=False)
class GroupingQuality:
    """A grouping: its groups, and its extremes where two have enough images."""

    grouping: Grouping
    groups: tuple[GroupQuality, ...]
    worst: str | None
    worst_accuracy: Measure | None
    gap: Measure | None
    classes: tuple[ClassRates, ...]
    """None where the groups are the classes, or parts of them."""

    @property
    def too_small(self) -> tuple[str, ...]:
        """The groups without enough images."""
        return tuple(one.name for one in self.groups if one.accuracy is None)


def grouping_quality(answers: Answers, grouping: Grouping, *, with_rates: bool = True) -> GroupingQuality:
    """Measure each group of a grouping."""
    count = len(grouping.groups)
    n = np.bincount(grouping.of_image, minlength=count)
    correct = np.bincount(grouping.of_image, answers.correct, minlength=count).astype(int)
    enough = np.flatnonzero(n >= LEAST_IMAGES)
    p_values = dict(zip(enough.tolist(), _p_values(correct, n, enough), strict=True))
    groups = tuple(
        GroupQuality(
            name,
            int(n[place]),
            Measure.share(int(correct[place]), int(n[place])) if place in p_values else None,
            p_values.get(place),
        )
        for place, name in enumerate(grouping.groups)
    )
    if len(enough) < 2:
        return GroupingQuality(grouping, groups, None, None, None, ())
    extremes = group_extremes(correct[enough], n[enough])
    worst = int(enough[extremes.worst])
    has_rates = with_rates and grouping.name != CLASS
    return GroupingQuality(
        grouping,
        groups,
        groups[worst].name,
        Measure.of(extremes.worst_share, int(n[worst])),
        Measure.of(extremes.gap, int(n[enough].sum())),
        _class_rates(answers, grouping) if has_rates else (),
    )


def _p_values(correct: np.ndarray, n: np.ndarray, enough: np.ndarray) -> list[float]:
    """Return each group's adjusted p-value against all other images."""
    wrong = n - correct
    tables = (
        [[correct[place], wrong[place]], [correct.sum() - correct[place], wrong.sum() - wrong[place]]]
        for place in enough.tolist()
    )
    return holm([float(fisher_exact(table).pvalue) for table in tables])


def _class_rates(answers: Answers, grouping: Grouping) -> tuple[ClassRates, ...]:
    """Return the rates of each class that is answered or has images, by Fairlearn's MetricFrame."""
    made = []
    for place, name in enumerate(answers.class_names):
        of_class, answered = answers.labels == place, answers.predicted == place
        if not (of_class.any() or answered.any()):
            continue
        frame = MetricFrame(
            metrics=dict(zip(RATES, (selection_rate, true_positive_rate, false_positive_rate), strict=True)),
            y_true=of_class.astype(int),
            y_pred=answered.astype(int),
            sensitive_features=grouping.of_image,
        ).by_group
        made.append(_rates_of_class(name, frame, of_class, answered, grouping))
    return tuple(made)


def _rates_of_class(
    name: str, frame: pd.DataFrame, of_class: np.ndarray, answered: np.ndarray, grouping: Grouping
) -> ClassRates:
    rates: dict[str, dict[str, float]] = {}
    differences: dict[str, Measure] = {}
    images = {SELECTION: np.ones_like(of_class), TRUE_POSITIVE: of_class, FALSE_POSITIVE: ~of_class}
    for rate, counted in images.items():
        count = len(grouping.groups)
        n = np.bincount(grouping.of_image[counted], minlength=count)
        hits = np.bincount(grouping.of_image[counted & answered], minlength=count)
        enough = np.flatnonzero(n >= LEAST_IMAGES)  # a rate of a few images would be the largest or the least
        rates[rate] = {grouping.groups[place]: float(frame[rate][place]) for place in enough.tolist()}
        if len(enough) > 1:
            gap = group_extremes(hits[enough], n[enough]).gap
            differences[rate] = Measure.of(gap, int(n[enough].sum()))
    return ClassRates(name, rates, differences)
