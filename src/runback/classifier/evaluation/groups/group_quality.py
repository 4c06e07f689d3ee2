"""Accuracy in each group of images, and how far apart the groups are."""

from dataclasses import dataclass

import numpy as np
from fairlearn.metrics import MetricFrame, count, false_positive_rate, selection_rate, true_positive_rate
from scipy.stats import fisher_exact
from sklearn.metrics import accuracy_score

from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.groups.metadata import CLASS, Grouping
from runback.classifier.evaluation.measure import Measure
from runback.statistics.group_extremes import GroupExtremes, group_extremes
from runback.statistics.holm import holm

LEAST = 30
"""Images that a group needs: below, an interval is wider than what one could learn from it."""


@dataclass(frozen=True)
class GroupQuality:
    """A group: its images, and its accuracy where they are enough."""

    name: str
    n: int
    accuracy: Measure | None
    p_value: float | None
    """Of Fisher's exact test against all other images, adjusted by Holm for the groups; None: too few."""


@dataclass(frozen=True)
class OddsGap:
    """How far apart groups are for one class: the largest differences between two of them."""

    class_name: str
    selection: float
    """Of the share of images that are answered with it."""
    sensitivity: float
    """Of the share of its images that are answered with it (true positive rate)."""
    false_alarms: float
    """Of the share of other images that are answered with it (false positive rate)."""
    sensitivity_gap: Measure | None
    """With its interval, over the groups with enough images of the class; None: fewer than two."""

    @property
    def equalized_odds_difference(self) -> float:
        """The larger one of the last two: 0 where the odds are equal."""
        return max(self.sensitivity, self.false_alarms)


@dataclass(frozen=True, eq=False)
class GroupingQuality:
    """A grouping: its groups, and its extremes where two have enough images."""

    grouping: Grouping
    groups: tuple[GroupQuality, ...]
    worst: str | None
    worst_accuracy: Measure | None
    gap: Measure | None
    odds: tuple[OddsGap, ...]
    """By class; none where the groups are the classes."""

    @property
    def too_small(self) -> tuple[str, ...]:
        """The groups without enough images."""
        return tuple(one.name for one in self.groups if one.accuracy is None)


def grouping_quality(answers: Answers, grouping: Grouping, *, with_odds: bool = True) -> GroupingQuality:
    """Measure each group of a grouping. Rates are Fairlearn's, of a MetricFrame."""
    frame = MetricFrame(
        metrics={"accuracy": accuracy_score, "n": count},
        y_true=answers.labels,
        y_pred=answers.chosen,
        sensitive_features=grouping.of_image,
    ).by_group
    counts = np.bincount(grouping.of_image, minlength=len(grouping.groups))
    right = np.bincount(grouping.of_image, answers.right, minlength=len(grouping.groups)).astype(int)
    enough = np.flatnonzero(counts >= LEAST)
    p_values = dict(zip(enough.tolist(), _p_values(right, counts, enough), strict=True))
    groups = [
        GroupQuality(
            name,
            int(counts[place]),
            Measure(
                float(frame.accuracy[place]),
                *_ends(int(right[place]), int(counts[place])),
                int(counts[place]),
            )
            if place in p_values
            else None,
            p_values.get(place),
        )
        for place, name in enumerate(grouping.groups)
    ]
    extremes = group_extremes(right[enough], counts[enough]) if len(enough) > 1 else None
    odds = (
        () if grouping.name == CLASS or not with_odds or len(enough) < 2 else _odds(answers, grouping, enough)
    )
    if extremes is None:
        return GroupingQuality(grouping, tuple(groups), None, None, None, odds)
    return GroupingQuality(grouping, tuple(groups), *_extremes(extremes, groups, enough), odds)


def _ends(right: int, n: int) -> tuple[float, float]:
    share = Measure.share(right, n)
    return float(share.low or 0.0), float(1.0 if share.high is None else share.high)


def _extremes(
    extremes: GroupExtremes, groups: list[GroupQuality], enough: np.ndarray
) -> tuple[str, Measure, Measure]:
    n = sum(groups[place].n for place in enough.tolist())
    return (
        groups[int(enough[extremes.worst])].name,
        Measure.of(extremes.worst_share, n),
        Measure.of(extremes.gap, n),
    )


def _p_values(right: np.ndarray, counts: np.ndarray, enough: np.ndarray) -> list[float]:
    total, all_right = int(counts.sum()), int(right.sum())
    found = []
    for place in enough.tolist():
        own, n = int(right[place]), int(counts[place])
        table = [[own, n - own], [all_right - own, total - n - (all_right - own)]]
        found.append(float(fisher_exact(table).pvalue))
    return holm(found)


def _odds(answers: Answers, grouping: Grouping, enough: np.ndarray) -> tuple[OddsGap, ...]:
    chosen = np.isin(grouping.of_image, enough)
    groups = grouping.of_image[chosen]
    found = []
    for place, name in enumerate(answers.class_names):
        of_class, answered = (one[chosen] == place for one in (answers.labels, answers.chosen))
        if not of_class.any():
            continue
        frame = MetricFrame(
            metrics={
                "selection": selection_rate,
                "sensitivity": true_positive_rate,
                "false_alarms": false_positive_rate,
            },
            y_true=of_class.astype(int),
            y_pred=answered.astype(int),
            sensitive_features=groups,
        )
        gaps = frame.difference(method="between_groups")
        found.append(
            OddsGap(
                name,
                float(gaps["selection"]),
                float(gaps["sensitivity"]),
                float(gaps["false_alarms"]),
                _sensitivity_gap(of_class, answered, groups),
            )
        )
    return tuple(found)


def _sensitivity_gap(of_class: np.ndarray, answered: np.ndarray, groups: np.ndarray) -> Measure | None:
    counts = np.bincount(groups[of_class])
    right = np.bincount(groups[of_class & answered], minlength=len(counts))
    enough = counts >= LEAST
    if enough.sum() < 2:
        return None
    return Measure.of(group_extremes(right[enough], counts[enough]).gap, int(counts[enough].sum()))
