"""The part of an evaluation that says whether every group is served as well."""

import re
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.groups.group_quality import LEAST, GroupingQuality, grouping_quality
from runback.classifier.evaluation.groups.metadata import CLASS, Grouping, by_class, pairs_of
from runback.classifier.evaluation.measure import Measure
from runback.classifier.evaluation.section import Section, SectionPicture, SectionTable
from runback.system.text.escape import for_picture

DRAWN = 40
"""The most groups that a picture has room for."""

PAIRED = 6
"""The most groupings whose pairs are looked at."""


def groups_section(answers: Answers, columns: Sequence[Grouping], notes: Sequence[str] = ()) -> Section:
    """Measure each class, each group of these groupings, and the pairs of all."""
    single = [by_class(answers.labels, answers.class_names), *columns]
    found = [grouping_quality(answers, one) for one in single]
    pairs = pairs_of(single[:PAIRED]) if columns else []
    found += [grouping_quality(answers, one, with_odds=False) for one in pairs]
    measures: dict[str, Measure] = {}
    for one in found:
        name = _name(one.grouping.name)
        if one.worst_accuracy is not None and one.gap is not None:
            measures[f"worst_{name}_accuracy"] = one.worst_accuracy
            measures[f"{name}_gap"] = one.gap
        if one.odds:
            worst = max(one.odds, key=lambda gap: gap.equalized_odds_difference)
            measures[f"{name}_equalized_odds_difference"] = Measure(
                worst.equalized_odds_difference, None, None, len(answers)
            )
    said = [*notes]
    if len(single) > PAIRED:
        said.append(f"Pairs are of the first {PAIRED} groupings, of {len(single)}.")
    said.append(
        "The interval of the worst group, and of the largest gap, is for whichever group is worst "
        "in truth: the one "
        "that looks worst has been unlucky as well, so its own share may lie below the interval's middle."
    )
    for one in found:
        if one.worst is not None and one.worst_accuracy is not None:
            said.append(f"Worst by {one.grouping.name}: {one.worst}, {one.worst_accuracy.value:.1%}.")
    return Section(
        name="groups",
        title="Groups",
        question="Is it as good for every group?",
        measures=measures,
        facts={"groupings": [_facts(one) for one in found]},
        notes=said,
        tables=[table for one in found for table in _tables(one)],
        pictures=[
            SectionPicture(
                f"Accuracy by {one.grouping.name}",
                "With 95 % intervals; the line is the accuracy of all images.",
                _figure(one, float(answers.right.mean())),
            )
            for one in found
            if 2 <= len(one.groups) - len(one.too_small) <= DRAWN
        ],
    )


def _name(text: str) -> str:
    return re.sub(r"[^0-9A-Za-z]+", "_", text).strip("_").lower() or "group"


def _facts(one: GroupingQuality) -> dict[str, object]:
    return {
        "name": one.grouping.name,
        "worst": one.worst,
        "worst_accuracy": one.worst_accuracy and one.worst_accuracy.as_dict(),
        "gap": one.gap and one.gap.as_dict(),
        "groups": [
            {
                "name": group.name,
                "n": group.n,
                "accuracy": group.accuracy and group.accuracy.as_dict(),
                "p_value_holm": group.p_value,
            }
            for group in one.groups
        ],
        "odds": [
            {
                "class": odds.class_name,
                "selection_rate_difference": odds.selection,
                "true_positive_rate_difference": odds.sensitivity,
                "false_positive_rate_difference": odds.false_alarms,
                "equalized_odds_difference": odds.equalized_odds_difference,
                "true_positive_rate_gap": odds.sensitivity_gap and odds.sensitivity_gap.as_dict(),
            }
            for odds in one.odds
        ],
    }


def _tables(one: GroupingQuality) -> list[SectionTable]:
    rows = [
        (
            group.name,
            group.n,
            group.accuracy or f"not enough images (below {LEAST})",
            "" if group.p_value is None else f"{group.p_value:.3g}",
        )
        for group in one.groups
    ]
    head = (one.grouping.name, "images", "accuracy", "p against all others (Holm)")
    tables = [SectionTable(f"By {one.grouping.name}", head, rows)]
    if one.odds and one.grouping.name != CLASS:
        odds = [
            (
                gap.class_name,
                f"{gap.selection:.3f}",
                gap.sensitivity_gap or f"{gap.sensitivity:.3f}",
                f"{gap.false_alarms:.3f}",
            )
            for gap in one.odds
        ]
        head = ("class", "answered with it", "of its images (true positives)", "of others (false positives)")
        tables.append(SectionTable(f"Largest differences between groups of {one.grouping.name}", head, odds))
    return tables


def _figure(one: GroupingQuality, overall: float) -> Figure:
    groups = [(group.name, group.accuracy) for group in one.groups if group.accuracy is not None]
    figure = Figure(figsize=(6.5, 1.2 + 0.28 * len(groups)), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.axvline(overall, color="grey", linewidth=1)
    for place, (_, accuracy) in enumerate(groups):
        axes.plot(np.array([accuracy.low, accuracy.high], float), [place, place], color="tab:blue")
        axes.plot(accuracy.value, place, marker="o", color="tab:blue")
    axes.set_yticks(range(len(groups)), [for_picture(f"{name:.40}") for name, _ in groups])
    axes.invert_yaxis()
    axes.set_xlabel("accuracy")
    return figure
